"""Time that loops, leaps, stands still, and streams that come apart: what it costs, and that it is told."""

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from live import Client, Fault, Manager, Stream, stamp

from rehdr_ros.msg import FrameInfo

MS, S = 1_000_000, 1_000_000_000
GREY = np.full((48, 64, 3), 128, np.uint8)


def loop(seconds: float) -> Callable[[Stream], None]:
    """A bag starts over while events of its end still wait. Of odd length: no stamp comes twice."""

    def happen(stream: Stream) -> None:
        camera = stream.camera
        camera.events(*(camera.now + k * MS for k in range(2, 42)))
        camera.restart(camera.now - round(seconds * S))

    return happen


def pause(seconds: float) -> Callable[[Stream], None]:
    return lambda stream: stream.camera.step(seconds)


def overtaken_frame(stream: Stream) -> None:
    late = stream.camera.step()
    stream.info(stream.whole_frame())
    stream.camera.image(late, GREY, "rgb8")


def duplicate_frame(stream: Stream) -> None:
    stream.camera.image(stamp(stream.info(stream.whole_frame())), GREY, "rgb8")


def packet_ahead(seconds: float, sensor_too: bool = True) -> Callable[[Stream], None]:
    """One packet from the future; sensor_too: by the event camera's clock, too, else by the host's alone."""

    def happen(stream: Stream) -> None:
        camera = stream.camera
        wrong = camera.now + round(seconds * S)
        if sensor_too:
            camera.events(wrong)
            camera.restart(camera.now, camera.seq)
        else:
            camera.events(camera.now + 2 * MS, stamped=wrong)

    return happen


def frame_overtaken_by_an_hour(stream: Stream) -> None:
    """It does not wait for its two events: with the packet ahead the event stream is past them."""
    packet_ahead(3600)(stream)
    at = stream.camera.step()
    stream.camera.image(at, GREY, "rgb8")
    stream.info(at)
    stream.camera.events(at - MS, at)


STEP_BACK = ("time stepped back",)
FAULTS = {
    "bag loop of 90 s": Fault(loop(90.05), resets=STEP_BACK, back=1),
    "bag loop of 0.55 s": Fault(loop(0.55), resets=STEP_BACK, back=1),
    "seek forward": Fault(pause(30), resets=("gap of 30",)),
    "gap that is short enough": Fault(pause(0.8)),
    "overtaken frame": Fault(
        overtaken_frame, {"skipped_frames": 1}, {"frames: overtaken frames": 1, "frames: skipped frames": 1}
    ),
    "duplicate frame": Fault(duplicate_frame, {"skipped_frames": 1}, {"frames: duplicate frames": 1}),
    "packet stamped 1 h ahead": Fault(
        packet_ahead(3600, False), diagnosed={"events: time contradictions": 1}
    ),
    "packet 1 h ahead": Fault(frame_overtaken_by_an_hour, {"dropped_events": 3}),
    "packet 0.9 s ahead": Fault(packet_ahead(0.9)),
}


@pytest.fixture(autouse=True)
def leave_behind_what_was_sent_ahead(stream):
    """And give time room to step back."""
    stream.camera.step(100)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_stream_goes_on_after(assert_withstands, fault):
    assert_withstands(fault)


@pytest.mark.parametrize("seconds", [90.05, 0.55])
def test_events_of_the_old_loop_do_not_reach_the_new_one(stream, seconds):
    stream.frames_until_good()
    loop(seconds)(stream)
    assert [stream.info(stream.whole_frame()).events for _ in range(8)] == [0] + 7 * [2]


@pytest.fixture
def manager(client, node) -> Iterator[Manager]:
    """Sets the node's parameters; the timeout is the module's again afterwards."""
    manager = Manager(client)
    yield manager
    assert manager.set("event_timeout", 3.0).successful


@pytest.fixture
def unheard(stream, manager) -> Stream:
    """The stream to a node that has just been activated and knows neither frames nor events."""
    assert manager.change("deactivate")
    assert manager.change("activate")
    stream.camera.wait_for_listener()
    stream.camera.restart(stream.camera.now + 100 * S)
    return stream


def frames_alone(stream: Stream, seconds: float) -> list[FrameInfo]:
    """Frames at 10 Hz, each after the one before has come back, and no events."""
    infos, deadline = [], time.monotonic() + seconds
    while time.monotonic() < deadline:
        at = stream.camera.step()
        stream.camera.image(at, GREY, "rgb8")
        infos.append(stream.info(at))
    return infos


def events_alone(stream: Stream, client: Client, seconds: float) -> None:
    """100,000 events a second, and no frames."""
    until = stream.camera.now + round(seconds * S)
    while stream.camera.now < until:
        at = stream.camera.step(0.05)
        stream.camera.events(*range(at - 50 * MS + 10_000, at + 1, 10_000))
        client.spin(0.05)


def test_frames_without_events_go_after_the_timeout(stream, node, manager, diagnosis, assert_recovers):
    stream.frames_until_good()
    manager.set("event_timeout", 0.2)
    infos = frames_alone(stream, 3.0)
    assert len(infos) > 5
    assert not any(info.events for info in infos)
    assert min(info.latency for info in infos) >= 0.2
    assert not any(info.reset_reason for info in infos)
    np.testing.assert_allclose(stream.radiance(infos[-1]), (128 / 255) ** 2.2, rtol=1e-2)
    assert diagnosis.says("events", "no events for").level == DiagnosticStatus.WARN
    manager.set("event_timeout", 3.0)
    assert_recovers(stream, node)


def test_events_without_frames_are_bounded_and_told(stream, node, client, diagnosis, assert_recovers):
    stream.frames_until_good()
    before = node.memory_bytes()
    events_alone(stream, client, 3.0)
    assert diagnosis.says("frames", "no frames for").level == DiagnosticStatus.ERROR
    assert node.memory_bytes() - before < 50e6
    assert_recovers(stream, node)
    assert stream.infos[-2].reset_reason.startswith("gap of 3")


def test_events_may_start_after_the_frames(unheard, node, manager, assert_recovers):
    manager.set("event_timeout", 0.2)
    infos = frames_alone(unheard, 1.0)
    assert not any(info.events for info in infos)
    manager.set("event_timeout", 3.0)
    assert_recovers(unheard, node)
    assert not unheard.infos[-1].skipped_frames


def test_frames_may_start_after_the_events(unheard, node, client, assert_recovers):
    events_alone(unheard, client, 1.0)
    assert_recovers(unheard, node)
    assert unheard.infos[-1].dropped_events == unheard.infos[-1].skipped_frames == 0
