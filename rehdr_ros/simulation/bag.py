"""A simulated recording as a rosbag2."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from rehdr_ros.events import Events, make_encoder
from rehdr_ros.events.codecs.stream import Encoder
from rehdr_ros.recordings import BagWriter
from rehdr_ros.simulation.simulator import Sample, SimulationConfig, simulate

IMAGE_TOPIC = "/camera/image_raw"
EVENTS_TOPIC = "/event_camera/events"
EXPOSURE_TOPIC = "/camera/exposure"
TRUTH_TOPIC = "/ground_truth/hdr/image_raw"

_START_NS = 1_000_000_000_000  # ROS time of the first frame; the sensor's clock starts at 0
_PACKET_NS = 4_000_000


def write_bag(config: SimulationConfig, path: str | Path, encoding: str = "evt3") -> Iterator[Sample]:
    """Write the recording sample by sample, yielding each. Raises RecordingError where the path exists."""
    encoder = make_encoder(encoding, config.width, config.height)
    samples = simulate(config)
    first = next(samples)  # a scene that can't be had leaves no bag behind
    with BagWriter(path) as bag:
        for sample in chain([first], samples):
            _write_events(bag, encoder, sample.events)
            stamp = _START_NS + sample.stamp_ns
            bag.write_image(IMAGE_TOPIC, stamp, "camera", sample.ldr, "rgb8")
            if config.auto_exposure or config.sharp_truth:
                gain = sample.exposure / config.exposure
                bag.write_exposure(EXPOSURE_TOPIC, stamp, "camera", config.exposure, gain)
            bag.write_image(TRUTH_TOPIC, stamp, "camera", sample.truth, "32FC3")
            _write_events(bag, encoder, sample.tail)
            yield sample


def _write_events(bag: BagWriter, encoder: Encoder, events: Events) -> None:
    for part in _in_packets(events):
        stamp = _START_NS + int(part.t[0])
        bag.write_packet(EVENTS_TOPIC, encoder.encode(part, stamp), "event_camera")


def _in_packets(events: Events) -> Iterator[Events]:
    """In whole microseconds, which sensors count, and cut by time, as a camera's driver does."""
    events = Events(events.t // 1000 * 1000, events.x, events.y, events.p)
    borders = np.flatnonzero(np.diff(events.t // _PACKET_NS)) + 1
    for start, end in zip((0, *borders), (*borders, len(events)), strict=True):
        if end > start:
            yield events[start:end]
