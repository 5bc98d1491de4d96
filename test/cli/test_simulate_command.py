"""rehdr simulate: a bag that its seed determines."""

import pytest

from rehdr_ros.events import make_decoder
from rehdr_ros.recordings import BagRecording
from rehdr_ros.simulation import EventCameraConfig, SimulationConfig
from rehdr_ros.simulation import simulate as simulated
from rehdr_ros.simulation.scene import load_radiance

SMALL = ("--size", "32x24", "--seconds", "0.5", "--fps", "10")
TOPICS = {"/camera/image_raw", "/event_camera/events", "/ground_truth/hdr/image_raw"}


@pytest.fixture
def simulate(rehdr, tmp_path):
    """A function that simulates a small bag and returns all its messages."""

    def simulate(name: str, *options) -> list:
        outcome = rehdr("simulate", "-o", tmp_path / name, *SMALL, *options)
        assert outcome.code == 0, outcome.err
        bag = BagRecording(tmp_path / name)
        assert set(bag.topics) == TOPICS
        return [(topic, stamp_ns, bytes(raw)) for topic, stamp_ns, raw in bag.raw_messages(TOPICS)]

    return simulate


def test_same_seed_gives_the_same_messages(simulate):
    first = simulate("first", "--seed", "4")
    assert len(first) > 15
    assert simulate("second", "--seed", "4") == first


def test_other_seed_gives_other_frames_and_events(simulate):
    first, second = (set(simulate(seed, "--seed", seed)) for seed in ("4", "5"))
    assert {message[0] for message in first - second} == TOPICS


@pytest.mark.parametrize("encoding", ["evt3", "mono"])
def test_bag_has_what_was_asked_for(simulate, tmp_path, encoding):
    simulate("bag", "--encoding", encoding)
    bag = BagRecording(tmp_path / "bag")
    frames, truth = list(bag.frames()), list(bag.frames("/ground_truth/hdr/image_raw"))
    assert [f.stamp_ns for f in frames] == [t.stamp_ns for t in truth]
    assert {f.image.shape for f in frames} == {t.image.shape for t in truth} == {(24, 32, 3)}
    assert len(frames) == 5
    assert {(p.width, p.height, p.encoding) for p in bag.packets()} == {(32, 24, encoding)}


def test_the_event_camera_is_as_asked_for(simulate, tmp_path):
    """The bag has the events of just this camera, of which no property could be left at its default."""
    wanted = {"contrast": 0.2, "mismatch": 0.1, "refractory_us": 2000.0, "noise_rate": 2.0}
    wanted |= {"leak_rate": 3.0, "hot_pixels": 0.01, "bandwidth": 50.0}
    options = [f"--{name.removesuffix('_us').replace('_', '-')}={value}" for name, value in wanted.items()]
    simulate("bag", *options)
    decoder = make_decoder("evt3", 32, 24)
    events = sum(len(decoder.decode(packet)) for packet in BagRecording(tmp_path / "bag").packets())
    radiance = load_radiance("procedural", 24, 32, seed=0)

    def count(camera) -> int:
        events = EventCameraConfig(**camera)
        config = SimulationConfig(width=32, height=24, seconds=0.5, fps=10, events=events)
        return sum(sample.event_count for sample in simulated(config, radiance))

    assert events == count(wanted)
    for name in wanted:
        assert events != count({key: value for key, value in wanted.items() if key != name})


@pytest.mark.parametrize(
    "option", ["--mismatch", "--refractory", "--noise-rate", "--leak-rate", "--bandwidth"]
)
def test_a_property_that_cannot_be_is_named(rehdr, tmp_path, option):
    outcome = rehdr("simulate", "-o", tmp_path / "bag", *SMALL, f"{option}=-1")
    assert outcome.code == 2 and option[2:].replace("-", "_") in outcome.err
    assert not (tmp_path / "bag").exists()


def test_it_tells_how_many_events_the_bag_has(rehdr, tmp_path):
    outcome = rehdr("simulate", "-o", tmp_path / "bag", *SMALL)
    decoder = make_decoder("evt3", 32, 24)
    events = sum(len(decoder.decode(packet)) for packet in BagRecording(tmp_path / "bag").packets())
    assert outcome.out == f"5 frames and {events} events in {tmp_path / 'bag'}\n"
