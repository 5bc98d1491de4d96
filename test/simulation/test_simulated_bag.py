import numpy as np
import pytest

from rehdr_ros.events import Clock, Events, make_decoder
from rehdr_ros.recordings import BagRecording, RecordingError
from rehdr_ros.simulation import SimulationConfig
from rehdr_ros.simulation.bag import EVENTS_TOPIC, IMAGE_TOPIC, TRUTH_TOPIC, write_bag

CONFIG = SimulationConfig(width=48, height=36, seconds=0.4, fps=20, seed=2, renders=200, jitter=0.3)


@pytest.mark.parametrize("encoding", ["evt3", "mono"])
def test_a_bag_reads_back_what_was_simulated(tmp_path, assert_same_events, encoding):
    samples = list(write_bag(CONFIG, tmp_path / "bag", encoding))
    bag = BagRecording(tmp_path / "bag")
    assert (bag.image_topic, bag.events_topic, bag.encoding) == (IMAGE_TOPIC, EVENTS_TOPIC, encoding)
    frames, truths = list(bag.frames()), list(bag.frames(TRUTH_TOPIC))
    assert len(frames) == len(truths) == len(samples) == 8
    start = frames[0].stamp_ns
    for sample, frame, truth in zip(samples, frames, truths, strict=True):
        assert frame.stamp_ns == truth.stamp_ns == start + sample.stamp_ns
        np.testing.assert_array_equal(frame.image, sample.ldr)
        np.testing.assert_array_equal(truth.image, sample.truth)
    decoder, clock = make_decoder(encoding, 48, 36), Clock()
    read = Events.concatenate([clock.to_ros(p, decoder.decode(p)) for p in bag.packets()])
    events = Events.concatenate([part for s in samples for part in (s.events, s.tail)])
    assert len(read) > 1000
    assert_same_events(read, Events(start + events.t // 1000 * 1000, events.x, events.y, events.p))


def test_messages_come_in_the_order_of_time(tmp_path):
    list(write_bag(CONFIG, tmp_path / "bag"))
    stamps = [message.stamp_ns for message in BagRecording(tmp_path / "bag").messages()]
    assert stamps == sorted(stamps)


def test_a_packet_spans_a_few_milliseconds(tmp_path):
    list(write_bag(CONFIG, tmp_path / "bag"))
    decoder = make_decoder("evt3", 48, 36)
    spans = [np.ptp(decoder.decode(p).t) for p in BagRecording(tmp_path / "bag").packets()]
    assert len(spans) > 60 and max(spans) < 4_000_000


def test_an_existing_bag_is_not_overwritten(tmp_path):
    (tmp_path / "bag").mkdir()
    with pytest.raises(RecordingError, match="exists"):
        next(write_bag(CONFIG, tmp_path / "bag"))


def test_an_unknown_encoding_leaves_no_bag(tmp_path):
    with pytest.raises(ValueError, match="evt9"):
        next(write_bag(CONFIG, tmp_path / "bag", "evt9"))
    assert not (tmp_path / "bag").exists()
