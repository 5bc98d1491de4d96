"""rehdr_node in the hands of a lifecycle manager."""

import os
from pathlib import Path

import pytest
from live import INPUTS, Manager, stamp

from rehdr_ros.msg import FrameInfo

# What lifecycle managers may ask for in each state, and which state follows.
FOLLOWS = {
    "unconfigured": {"configure": "inactive", "unconfigured_shutdown": "finalized"},
    "inactive": {"activate": "active", "cleanup": "unconfigured", "inactive_shutdown": "finalized"},
    "active": {"deactivate": "inactive", "active_shutdown": "finalized"},
    "finalized": {},
}
EVERY = {transition for transitions in FOLLOWS.values() for transition in transitions}
FEW, MANY = 20, 100  # activations: to warm up, and then
GROWTH = 0.01  # of the resident memory in MANY activations that a test lets pass: 5 MB; 0.8 MB were measured


@pytest.fixture(scope="module")
def managed(start_node):
    """A node that waits for its manager. What a compiled network takes, once, would look like a leak."""
    node = start_node(autostart="false", event_timeout=3.0, engine="pytorch")
    yield node
    assert node.end() == 0, node.log
    assert "Traceback" not in node.log


@pytest.fixture(scope="module")
def manager(client, managed):
    return Manager(client)


@pytest.fixture
def bring_to(manager):
    """A function that brings the node into a state, wherever it is."""
    ways = {
        "unconfigured": {"inactive": "cleanup", "active": "deactivate"},
        "inactive": {"unconfigured": "configure", "active": "deactivate"},
        "active": {"unconfigured": "configure", "inactive": "activate"},
    }

    def bring_to(state: str) -> None:
        while (now := manager.state()) != state:
            assert manager.change(ways[state][now])

    return bring_to


@pytest.fixture(scope="module")
def infos(client, managed) -> list[FrameInfo]:
    """What the node tells of its frames; the tests ask it to configure first."""
    return client.collect(FrameInfo, "/rehdr_node/frame_info")


@pytest.fixture
def frame_comes_back(client, camera, infos):
    """A function that sends a frame and returns what the node tells of it."""

    def frame_comes_back() -> FrameInfo:
        camera.wait_for_listener()
        at = camera.frame()
        assert client.wait_until(lambda: infos and stamp(infos[-1]) == at), "no frame came back"
        return infos[-1]

    return frame_comes_back


def listens(client) -> bool:
    return bool(client.get_subscriptions_info_by_topic(INPUTS["image_raw"]))


def test_node_goes_through_every_transition(client, camera, manager, managed, request):
    assert manager.state() == "unconfigured"
    assert manager.change("configure")
    assert manager.state() == "inactive"
    assert not listens(client)
    infos, frame_comes_back = request.getfixturevalue("infos"), request.getfixturevalue("frame_comes_back")

    assert manager.change("activate")
    assert manager.state() == "active"
    assert frame_comes_back().index == 0
    assert frame_comes_back().index == 1

    assert manager.change("deactivate")
    assert manager.state() == "inactive"
    assert client.wait_until(lambda: not listens(client))
    camera.frame()
    client.spin(1.0)
    assert len(infos) == 2

    assert manager.change("activate")
    again = frame_comes_back()
    assert again.index == 0
    assert again.reset_reason

    assert manager.change("deactivate")
    assert manager.change("cleanup")
    assert manager.state() == "unconfigured"
    assert client.wait_until(lambda: not client.count_publishers("/hdr/image_raw"))
    assert managed.log.count("stopped after") == 2


@pytest.mark.parametrize("state", ["unconfigured", "inactive", "active"])
def test_transition_that_a_state_does_not_have_is_refused_and_changes_nothing(
    managed, manager, bring_to, frame_comes_back, state
):
    bring_to(state)
    for transition in sorted(EVERY - set(FOLLOWS[state])):
        assert not manager.change(transition), transition
        assert manager.state() == state
    assert managed.alive()
    bring_to("active")
    frame_comes_back()


def test_a_hundred_activations_leave_nothing_behind(client, camera, infos, managed, manager, bring_to):
    """Each with a frame: every activation has its worker; PyTorch keeps threads for each that computes."""
    bring_to("active")

    def activate_again() -> None:
        assert manager.change("deactivate") and manager.change("activate")
        assert client.wait_until(camera.is_heard)
        count = len(infos)
        while len(infos) == count:  # the camera may see the node before the node sees the camera
            camera.frame()
            client.wait_until(lambda: len(infos) > count, 0.2)

    def held_after(times: int) -> tuple[int, int, int]:
        for _ in range(times):
            activate_again()
        held = held_by(managed.process.pid)
        print(f"after {times} more activations: {held[0]} bytes, {held[1]} files, {held[2]} threads")
        return held

    few = held_after(FEW)
    many = held_after(MANY)
    assert many[0] <= few[0] * (1 + GROWTH)
    assert many[1:] == few[1:]


def held_by(pid: int) -> tuple[int, int, int]:
    """Resident bytes, open files and threads of a process."""
    process = Path("/proc") / str(pid)
    pages = int((process / "statm").read_text().split()[1])
    files, threads = (len(list((process / each).iterdir())) for each in ("fd", "task"))
    return pages * os.sysconf("SC_PAGE_SIZE"), files, threads


@pytest.mark.parametrize("wrong", ["that are not there", "that are damaged", "of another kind"])
def test_configure_that_failed_says_why_and_works_with_better_weights(
    managed, manager, bring_to, frame_comes_back, tiny_weights, tmp_path, wrong
):
    weights = tmp_path / f"{wrong.replace(' ', '_')}.safetensors"
    if wrong == "that are damaged":
        weights.write_bytes(tiny_weights.read_bytes()[:-1000])
    if wrong == "of another kind":
        weights.write_text("not a checkpoint")
    bring_to("unconfigured")
    assert manager.set("weights", str(weights)).successful
    assert not manager.change("configure")
    assert manager.state() == "unconfigured"
    (line,) = [line for line in managed.wait_for(weights.name).log.splitlines() if weights.name in line]
    assert "[ERROR]" in line and "cannot configure" in line

    assert manager.set("weights", str(tiny_weights)).successful
    bring_to("active")
    assert frame_comes_back().index == 0


def test_shutdown_while_active_is_final(client, manager, managed, bring_to):
    bring_to("active")
    assert manager.change("active_shutdown")
    assert manager.state() == "finalized"
    assert client.wait_until(lambda: not listens(client))
    for transition in sorted(EVERY):
        assert not manager.change(transition), transition
        assert manager.state() == "finalized"
    assert managed.alive()


def test_shutdown_is_final_from_every_other_state(client, start_node):
    states = ("unconfigured", "inactive")
    others = {state: start_node("-r", f"__node:={state}", autostart="false") for state in states}
    for state in others:
        manager = Manager(client, f"/{state}")
        if state == "inactive":
            assert manager.change("configure")
        assert manager.change(f"{state}_shutdown")
        assert manager.state() == "finalized"
        assert not manager.change("configure")
        assert not client.count_publishers("/hdr/image_raw")
    assert [node.end() for node in others.values()] == [0, 0]
