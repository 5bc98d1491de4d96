"""Which events a frame gets is one rule: in the pipeline, live or not, in alignment, and in the export."""

import time

import numpy as np
import pytest

from rehdr_ros.alignment import event_calibration
from rehdr_ros.alignment.windows import windows
from rehdr_ros.cli.verbs.reconstruct import reconstruct
from rehdr_ros.events import Events, make_encoder, voxel_grid
from rehdr_ros.reconstruction import HdrPipeline, PipelineConfig
from rehdr_ros.reconstruction.event_image import event_image
from rehdr_ros.reconstruction.event_latency import EventLatency
from rehdr_ros.recordings import BagRecording, BagWriter
from rehdr_ros.recordings.bag_types import EVENTS
from rehdr_ros.simulation.bag import EVENTS_TOPIC, IMAGE_TOPIC, TRUTH_TOPIC
from rehdr_ros.training.export import export_folder

START, MS, SIZE, BINS = 1_000_000_000_000, 1_000_000, 8, 5
FRAMES = (0, 10, 20, 30, 40)
# Arrival in ms after START, and the times of the packet's events, in the sensor's order.
PACKETS = [
    (5, (1, 4)),
    (11, (12, 9)),  # mixed
    (12, (8, 13)),  # its first event comes after its frame has gone
    (19, (16, 18)),  # was overtaken by the next one
    (17, (19,)),
    (24, (21, 24)),
    (31, (26, 30)),  # up to the very stamp of a frame
    (32, (30, 31)),  # and, behind it, once more
    (41, (39,)),  # the last frame waits for the recording's end
]
TAKEN = [(), (1, 4, 9), (12, 13, 16, 18, 19), (21, 24, 26, 30), (31, 39)]
LATE = 2
FAST = {"policy": "all", "event_latency": 0.0, "device": "cpu", "precision": "float32", "event_image": True}


def image(stamp):
    return np.full((SIZE, SIZE, 3), 50 + stamp, np.uint8)


def events_at(times):
    """One event for each ms, ON, at its own pixel."""
    times = np.array(times, np.int64)
    return Events(START + times * MS, times % SIZE, times // SIZE, np.ones(len(times)))


EXPECTED = [
    voxel_grid(events_at(times), START + t0 * MS, START + t1 * MS, BINS, SIZE, SIZE)
    for times, t0, t1 in zip(TAKEN, (0, *FRAMES), FRAMES, strict=False)
]


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    path, encoder = tmp_path_factory.mktemp("pairing") / "bag", make_encoder("mono", SIZE, SIZE)
    messages = [(stamp, None) for stamp in FRAMES]
    for arrival, times in PACKETS:
        events = events_at(times)
        messages.append((arrival, encoder.encode(events, int(events.t.min()))))
    with BagWriter(path) as bag:
        for arrival, packet in sorted(messages, key=lambda message: message[0]):
            if packet is None:
                bag.write_image(IMAGE_TOPIC, START + arrival * MS, "", image(arrival), "rgb8")
                truth = np.ones((SIZE, SIZE, 3), np.float32)
                bag.write_image(TRUTH_TOPIC, START + arrival * MS, "", truth, "32FC3")
            else:
                stamp = bag.types["builtin_interfaces/msg/Time"](*divmod(packet.stamp_ns, 10**9))
                header = bag.types["std_msgs/msg/Header"](stamp, "")
                words = np.frombuffer(packet.data, np.uint8)
                fields = header, SIZE, SIZE, packet.seq, packet.time_base, packet.encoding, False, words
                message = bag.types[EVENTS](*fields)
                bag.write(EVENTS_TOPIC, EVENTS, message, START + arrival * MS)
    return BagRecording(path)


def assert_expected(frames):
    """That HDR frames were made of the expected grids."""
    assert [frame.info.events for frame in frames] == list(map(len, TAKEN))
    for frame, stamp, grid in zip(frames, FRAMES, EXPECTED, strict=True):
        np.testing.assert_array_equal(frame.event_image, event_image(grid, image(stamp)))
    assert (frames[-1].info.late_events, frames[-1].info.dropped_events) == (LATE, LATE)


def test_offline(bag, tiny_weights):
    pipeline = HdrPipeline(PipelineConfig(weights=str(tiny_weights), **FAST))
    assert_expected(list(reconstruct(pipeline, bag.messages())))


def test_live(bag, tiny_weights):
    pipeline, frames = HdrPipeline(PipelineConfig(weights=str(tiny_weights), event_timeout=60.0, **FAST)), []
    for message in bag.messages():
        pipeline.add(message)
        frames += pipeline.take(now=time.monotonic())
    frames += pipeline.take(now=time.monotonic() + 61)  # the last one's events are overdue
    assert_expected(frames)


def test_export(bag, tmp_path):
    assert export_folder(bag.path, tmp_path, "x", BINS) == len(FRAMES)
    for k, grid in enumerate(EXPECTED):
        np.testing.assert_array_equal(np.load(tmp_path / "event" / "x" / f"{k:06d}.npy"), grid)


def test_alignment(bag, monkeypatch):
    taken = []

    class Measure(EventLatency):
        def add(self, exposed, image, response, events, *sizes):
            taken.append(((events.t - START) // MS).tolist())
            super().add(exposed, image, response, events, *sizes)

    monkeypatch.setattr(event_calibration, "EventLatency", Measure)
    event_calibration.calibrate_events(bag.messages(), None, PipelineConfig())
    assert taken == list(map(list, TAKEN))


def test_windows_between_frames(bag):
    found = list(windows(bag.messages(), None, "host", lambda index: True, (0, 0), 10**9))
    for window, grid, t0, t1 in zip(found, EXPECTED[1:], FRAMES, FRAMES[1:], strict=False):
        interval = START + t0 * MS, START + t1 * MS
        np.testing.assert_array_equal(voxel_grid(window.events, *interval, BINS, SIZE, SIZE), grid)
    assert len(found) == len(FRAMES) - 1
