"""An activation that fails, at every step of it; and transitions whose callbacks break."""

import gc
import threading
from itertools import count

import pytest
from live import Manager, rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn

from rehdr_ros.node import inputs, node
from rehdr_ros.node.node import RehdrNode
from rehdr_ros.node.transitions import answer_every_request

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
SUBSCRIPTIONS = 5
STEPS = {
    "pipeline": (node.HdrPipeline, "activate"),
    "diagnostics": (node.Diagnostics, "restart"),
    "worker": (node.Worker, "__init__"),
    "publishers": (LifecycleNode, "on_activate"),
    "inputs": (node.Inputs, "__init__"),
    "subscriptions": (node.Inputs, "open"),
    "timer": (RehdrNode, "create_timer"),
    "service": (RehdrNode, "create_service"),
}
# Names that only another type may have.
REFUSED = {
    "events and frames": ("events:=/camera/image_raw", "events and image_raw are both /camera/image_raw"),
    "a later subscription": (
        "exposure:=/parameter_events",
        "exposure can't be /parameter_events of type rehdr_ros/msg/Exposure",
    ),
    "the service": ("~/reset:=/rehdr_node/get_state", "/rehdr_node/get_state"),
}


@pytest.fixture
def configured(client, tiny_weights):
    """A list of one configured node, emptied at the end: the last reference to it keeps its services."""
    node = RehdrNode()
    values = {"weights": str(tiny_weights), "device": "cpu"}
    node.set_parameters([rclpy.Parameter(name, value=value) for name, value in values.items()])
    assert node.trigger_configure() == SUCCESS
    configured = [node]
    del node
    yield configured
    configured[0].stop()
    configured.pop().destroy_node()
    gc.collect()


def held(half: RehdrNode) -> tuple:
    """What an activation makes."""
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("rehdr ")]
    return list(half.subscriptions), list(half.timers), list(half.services), threads


def assert_undone(half: RehdrNode, before: tuple) -> None:
    assert held(half) == before
    assert half.stop()
    assert half.trigger_activate() == SUCCESS
    assert held(half) != before
    assert half.trigger_deactivate() == SUCCESS
    assert held(half) == before


@pytest.mark.parametrize(("owner", "name"), STEPS.values(), ids=STEPS)
def test_activation_that_fails_is_undone_and_may_be_tried_again(configured, monkeypatch, owner, name):
    (half,) = configured
    before = held(half)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fail)
        assert half.trigger_activate() == FAILURE
    assert_undone(half, before)
    assert half.trigger_shutdown() == SUCCESS


@pytest.mark.parametrize("fails", range(SUBSCRIPTIONS))
def test_subscription_that_is_refused_leaves_none_of_the_others(configured, monkeypatch, fails):
    (half,) = configured
    before, made, subscribe = held(half), count(), inputs.subscribe
    with monkeypatch.context() as patch:
        patch.setattr(
            inputs, "subscribe", lambda *args, **kw: (fail if next(made) == fails else subscribe)(*args, **kw)
        )
        assert half.trigger_activate() == FAILURE
    assert_undone(half, before)


@pytest.mark.parametrize("owner", [node.HdrPipeline, node.Outputs])
def test_configuration_that_fails_in_an_unforeseen_way_is_said_and_undone(
    configured, monkeypatch, capfd, owner
):
    (half,) = configured
    assert half.trigger_cleanup() == SUCCESS
    publishers = list(half.publishers)
    with monkeypatch.context() as patch:
        patch.setattr(owner, "__init__", fail)
        assert half.trigger_configure() == FAILURE
    assert "cannot configure: KeyError: 'no more of these'" in capfd.readouterr().err
    assert list(half.publishers) == publishers
    assert half.trigger_configure() == SUCCESS


def fail(*args, **options):
    raise KeyError("no more of these")


@pytest.mark.parametrize(("remapped", "said"), REFUSED.values(), ids=REFUSED)
def test_node_that_cannot_activate_ends_with_two_and_says_why_in_one_line(start_node, remapped, said):
    failed = start_node("-r", remapped)
    assert failed.wait() == 2, failed.log
    (line,) = [line for line in failed.log.splitlines() if "[rehdr_node]" in line and "[INFO]" not in line]
    assert "[ERROR]" in line and "cannot activate: " in line and said in line
    assert "Traceback" not in failed.log
    assert " at /" not in line


def test_manager_gets_a_node_that_cannot_activate_back_inactive(start_node, client):
    failed = start_node("-r", REFUSED["the service"][0], autostart="false")
    manager = Manager(client)
    assert manager.change("configure")
    for _ in range(2):
        assert not manager.change("activate")
        assert manager.state() == "inactive"
    assert manager.change("cleanup") and manager.change("configure")
    assert not manager.change("activate")
    assert manager.change("inactive_shutdown")
    assert failed.end() == 0
    assert failed.log.count("cannot activate: ") == 3
    assert "Traceback" not in failed.log


def test_transition_whose_callback_breaks_is_answered(client):
    class Broken(LifecycleNode):
        def on_configure(self, state):
            return None

    broken = Broken("broken")
    answer_every_request(broken)
    executor = SingleThreadedExecutor()
    executor.add_node(broken)
    spinning = threading.Thread(target=executor.spin)
    spinning.start()
    try:
        assert not Manager(client, "/broken").change("configure")
    finally:
        executor.shutdown()
        spinning.join()
        broken.destroy_node()
