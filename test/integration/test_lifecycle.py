"""rehdr_node in the hands of a lifecycle manager."""

import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from live import INPUTS, rclpy, stamp
from rcl_interfaces.srv import SetParameters

from rehdr_ros.msg import FrameInfo


@pytest.fixture(scope="module")
def managed(start_node):
    """A node that waits for its manager."""
    node = start_node(autostart="false", event_timeout=3.0)
    yield node
    assert node.end() == 0, node.log


@pytest.fixture(scope="module")
def change(client, managed):
    """A function that asks for a transition and returns whether it succeeded."""

    def change(transition: int) -> bool:
        request = ChangeState.Request(transition=Transition(id=transition))
        return client.call(ChangeState, "/rehdr_node/change_state", request).success

    return change


@pytest.fixture(scope="module")
def state(client, managed):
    """A function that returns the name of the node's state."""
    return lambda: client.call(GetState, "/rehdr_node/get_state").current_state.label


def listens(client) -> bool:
    return bool(client.get_subscriptions_info_by_topic(INPUTS["image_raw"]))


def test_node_goes_through_every_transition(client, camera, change, state, managed):
    assert state() == "unconfigured"
    assert change(Transition.TRANSITION_CONFIGURE)
    assert state() == "inactive"
    assert not listens(client)
    infos = client.collect(FrameInfo, "/rehdr_node/frame_info")

    def frame_comes_back() -> FrameInfo:
        camera.wait_for_listener()
        at = camera.frame()
        assert client.wait_until(lambda: infos and stamp(infos[-1]) == at)
        return infos[-1]

    assert change(Transition.TRANSITION_ACTIVATE)
    assert state() == "active"
    assert frame_comes_back().index == 0
    assert frame_comes_back().index == 1

    assert change(Transition.TRANSITION_DEACTIVATE)
    assert state() == "inactive"
    assert client.wait_until(lambda: not listens(client))
    camera.frame()
    client.spin(1.0)
    assert len(infos) == 2

    assert change(Transition.TRANSITION_ACTIVATE)
    again = frame_comes_back()
    assert again.index == 0
    assert again.reset_reason

    assert change(Transition.TRANSITION_DEACTIVATE)
    assert change(Transition.TRANSITION_CLEANUP)
    assert state() == "unconfigured"
    assert client.wait_until(lambda: not client.count_publishers("/hdr/image_raw"))
    assert managed.log.count("stopped after") == 2


def test_configure_that_failed_works_with_better_parameters(client, change, state, tiny_weights):
    def set_weights(path) -> None:
        request = SetParameters.Request(parameters=[rclpy.Parameter("weights", value=str(path)).to_parameter_msg()])
        assert client.call(SetParameters, "/rehdr_node/set_parameters", request).results[0].successful

    set_weights("/nowhere/net.safetensors")
    assert not change(Transition.TRANSITION_CONFIGURE)
    assert state() == "unconfigured"
    set_weights(tiny_weights)
    assert change(Transition.TRANSITION_CONFIGURE)
    assert state() == "inactive"


def test_shutdown_while_active_is_final(client, camera, change, state, managed):
    if state() == "unconfigured":
        assert change(Transition.TRANSITION_CONFIGURE)
    assert change(Transition.TRANSITION_ACTIVATE)
    assert change(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert state() == "finalized"
    assert client.wait_until(lambda: not listens(client))
    assert managed.alive()
