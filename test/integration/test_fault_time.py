"""Time that loops, leaps, stands still, and streams that come apart: what it costs, and that it is told."""

import time
from collections.abc import Callable

import numpy as np
import pytest
from live import Camera, Diagnosis, Fault, Manager, Stream, stamp
from rosgraph_msgs.msg import Clock

from rehdr_ros.node.conversions import ns_to_stamp

MS, S = 1_000_000, 1_000_000_000
GREY = np.full((48, 64, 3), 128, np.uint8)


def loop(seconds: float) -> Callable[[Camera], None]:
    """A bag starts over while events of its end still wait."""

    def happen(camera: Camera) -> None:
        camera.events(*(camera.now + k * MS for k in range(2, 42)))
        camera.restart(camera.now - round(seconds * S))

    return happen


def pause(seconds: float) -> Callable[[Camera], None]:
    return lambda camera: camera.step(seconds)


def overtaken_frame(camera: Camera) -> None:
    late = camera.step()
    camera.frame()
    camera.image(late, GREY, "rgb8")


def duplicate_frame(camera: Camera) -> None:
    camera.image(camera.frame(), GREY, "rgb8")


def packet_ahead(seconds: float, sensor_too: bool) -> Callable[[Camera], None]:
    """One packet from the future; sensor_too: by the event camera's own clock as well, else by the host's alone."""

    def happen(camera: Camera) -> None:
        wrong = camera.now + round(seconds * S)
        if sensor_too:
            camera.events(wrong)
            camera.restart(camera.now, seq=camera.seq)
        else:
            camera.events(camera.now + 2 * MS, stamped=wrong)

    return happen


STEP_BACK = ("time stepped back",)
FAULTS = {
    "bag loop of 90 s": Fault(loop(90), resets=STEP_BACK, back=1),
    "bag loop of 0.5 s": Fault(loop(0.5), resets=STEP_BACK, back=1),
    "bag loop of 0.2 s": Fault(loop(0.2), resets=STEP_BACK, back=1),
    "seek forward": Fault(pause(30), resets=("gap of 30",)),
    "gap that is short enough": Fault(pause(0.8)),
    "overtaken frame": Fault(
        overtaken_frame, {"skipped_frames": 1}, {"frames: overtaken frames": 1, "frames: skipped frames": 1}
    ),
    "duplicate frame": Fault(duplicate_frame, {"skipped_frames": 1}, {"frames: duplicate frames": 1}),
    "packet stamped 1 h ahead": Fault(packet_ahead(3600, False), diagnosed={"events: time contradictions": 1}),
    "packet 1 h ahead": Fault(packet_ahead(3600, True), {"dropped_events": 1}),
    "packet 0.9 s ahead": Fault(packet_ahead(0.9, True)),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_stream_goes_on_after(assert_withstands, stream, fault):
    stream.camera.step(100)  # room for time to step back
    assert_withstands(fault)


