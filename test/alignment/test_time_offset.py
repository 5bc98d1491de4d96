"""The time offset of simulated recordings is found, and what can't be found is called unsure."""

import numpy as np
import pytest

from rehdr_ros.alignment import collect_pairs, estimate_time_offset
from rehdr_ros.alignment.score import score
from rehdr_ros.errors import InputError
from rehdr_ros.events import Events
from rehdr_ros.reconstruction import PipelineConfig
from rehdr_ros.recordings import Frame
from rehdr_ros.simulation import EventCameraConfig, SimulationConfig, simulate

SIZE = (160, 120)
MS = 1_000_000
EXPOSURE = 0.004

Recording = tuple[list[Frame], Events]


def record(size=SIZE, events=None, **config) -> Recording:
    """What a simulated pair of cameras sees, by one clock."""
    defaults = {"seconds": 0.8, "fps": 20.0, "seed": 1, "exposure": EXPOSURE}
    config = {**defaults, **config, "events": EventCameraConfig(**(events or {}))}
    samples = list(simulate(SimulationConfig(width=size[0], height=size[1], **config)))
    parts = [part for sample in samples for part in (sample.events, sample.tail)]
    return [Frame(sample.stamp_ns, sample.ldr) for sample in samples], Events.concatenate(parts)


@pytest.fixture(scope="module")
def recording() -> Recording:
    return record()


def messages(frames: list[Frame], events: Events):
    """In the order of a recording: each frame after its events."""
    begin = 0
    for frame in frames:
        end = int(np.searchsorted(events.t, frame.stamp_ns, "right"))
        if end > begin:
            yield events[begin:end]
        begin = max(begin, end)
        yield frame
    yield events[begin:]


def collect(recording: Recording, late_ms=0.0, exposure=EXPOSURE, most=40, **config):
    """late_ms: by which the events' clock is late."""
    frames, events = recording
    stream = messages(frames, events.shifted(round(late_ms * MS)))
    return collect_pairs(stream, SIZE, PipelineConfig(**config), 0.04, exposure, most)


def find(recording: Recording, *args, **kwargs):
    return estimate_time_offset(collect(recording, *args, **kwargs).pairs, reach=0.04)


def assert_found(found, expected_ms: float):
    assert found.offset * 1e3 == pytest.approx(expected_ms, abs=max(1.0, 1e3 * found.uncertainty))
    assert found.doubts == ()
    assert 0 < found.uncertainty < 0.002
    assert found.score > found.present_score - 0.01


@pytest.mark.parametrize("late_ms", [-20.0, 0.0, 20.0])
def test_the_offset_is_what_must_be_added_to_the_events_time(recording, late_ms):
    found = find(recording, late_ms)
    assert_found(found, -late_ms)
    assert found.contrast == pytest.approx(0.25, rel=0.2)
    assert (found.score > found.present_score + 0.1) == bool(late_ms)


@pytest.mark.parametrize(
    "config",
    [
        {"seed": 2, "clipped": 0.3, "seconds": 1.2},
        {"seed": 3, "fps": 50.0, "seconds": 0.4},
        {"seed": 5, "jitter": 0.5, "events": {"noise_rate": 1.0, "leak_rate": 0.3}},
    ],
    ids=lambda config: " ".join(config),
)
def test_it_is_found_whatever_the_cameras_and_the_scene(config):
    assert_found(find(record(**config), 20.0), -20.0)


@pytest.mark.long
@pytest.mark.parametrize("size", [(346, 260), (640, 480)])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("late_ms", [-20.0, 20.0])
def test_it_is_found_at_the_size_of_real_cameras(size, seed, late_ms):
    frames, events = record(size, seed=20 + seed, seconds=1.5)
    stream = messages(frames, events.shifted(round(late_ms * MS)))
    pairs = collect_pairs(stream, size, PipelineConfig(), 0.1, EXPOSURE).pairs
    assert_found(estimate_time_offset(pairs), -late_ms)


def test_without_the_exposure_time_half_of_it_is_missing():
    assert_found(find(record(exposure=0.02), exposure=None), -10.0)


def test_frames_tell_their_exposure_themselves(recording):
    frames, events = recording
    frames = [Frame(frame.stamp_ns, frame.image, exposure_time_s=EXPOSURE) for frame in frames]
    collected = collect((frames, events), exposure=None)
    assert collected.exposure == EXPOSURE
    assert_found(estimate_time_offset(collected.pairs, reach=0.04), 0.0)


def test_the_search_begins_at_the_present_offset(recording):
    pairs = collect(recording, 300.0, event_time_offset=-0.31).pairs
    found = estimate_time_offset(pairs, present=-0.31, reach=0.04)
    assert_found(found, -300.0)
    assert found.present == -0.31


def test_registered_events_fit(recording):
    frames, events = recording
    inside = events.x < SIZE[0] - 12
    moved = Events(events.t[inside], events.x[inside] + 12, events.y[inside], events.p[inside])
    assert not find((frames, moved)).sure
    homography = (1.0, 0, -12, 0, 1, 0, 0, 0, 1)
    assert_found(find((frames, moved), registration="homography", homography=homography), 0.0)


def test_hot_pixels_are_left_out(recording):
    frames, events = recording
    rng = np.random.default_rng(0)
    t = rng.integers(events.t[0], events.t[-1], 200_000)
    x, y, p = (rng.integers(0, most, len(t)) for most in (5, 4, 2))
    hot = Events(t, 7 + 30 * x, 9 + 30 * y, p)
    mixed = Events.concatenate((events, hot))
    mixed = mixed[np.argsort(mixed.t, kind="stable")]
    collected = collect((frames, mixed))
    assert collected.hot_pixels == 20
    assert_found(estimate_time_offset(collected.pairs, reach=0.04), 0.0)


def noise(events: Events) -> Events:
    rng = np.random.default_rng(0)
    return Events(events.t, *(rng.integers(0, n, len(events)) for n in (*SIZE, 2)))


DOUBTFUL = {
    "no events": (lambda f, e: (f, e[:0]), "too few events"),
    "nothing but noise": (lambda f, e: (f, noise(e)), "hardly agree"),
    "frames without motion": (lambda f, e: ([Frame(x.stamp_ns, f[0].image) for x in f], e), "hardly agree"),
    "an offset beyond the range": (lambda f, e: (f, e.shifted(400 * MS)), "hardly agree"),
    "an offset beyond the recording": (lambda f, e: (f, e.shifted(3_600_000 * MS)), "too few events"),
    "two frames": (lambda f, e: (f[:2], e), "only 1 pair of frames"),
}


@pytest.mark.parametrize(("spoil", "reason"), DOUBTFUL.values(), ids=DOUBTFUL)
def test_what_cannot_be_told_is_unsure_and_says_why(recording, spoil, reason):
    found = find(spoil(*recording))
    assert not found.sure
    assert reason in "; ".join(found.doubts)


def test_frames_without_well_exposed_pixels_are_refused(recording):
    frames, events = recording
    with pytest.raises(InputError, match="well exposed"):
        collect(([Frame(frame.stamp_ns, 0 * frame.image) for frame in frames], events))


def test_voxel_grids_are_refused(recording):
    frames, _ = recording
    gridded = [Frame(frame.stamp_ns, frame.image, grid=np.zeros((5, 4, 4), np.float32)) for frame in frames]
    with pytest.raises(InputError, match="voxel grids"):
        collect((gridded, Events.empty()))


def test_few_pairs_are_spread_over_the_whole_recording(recording):
    pairs = collect(recording, most=4).pairs
    assert [pair.index for pair in pairs] == [4, 8, 12]
    every = collect(recording).pairs
    assert [pair.index for pair in every] == list(range(1, 16))
    assert [pair.t0_ns for pair in every] == [k * 50 * MS + 2 * MS for k in range(15)]


def test_a_gap_is_no_pair(recording):
    frames, events = recording
    cut = [frame for k, frame in enumerate(frames) if not 4 <= k < 8]
    pairs = collect((cut, events), max_frame_gap=0.1).pairs
    assert [pair.index for pair in pairs] == [1, 2, 3, *range(5, 12)]


def test_the_score_is_the_correlation_of_two_changes(recording):
    pairs = collect(recording).pairs
    scores = [score(pairs, offset * MS) for offset in (-40, -20, 0, 20, 40)]
    assert np.argmax(scores) == 2
    assert 0.5 < scores[2] < 1
    darker = [
        frame.image if k % 2 else (frame.image * 0.8).astype(np.uint8) for k, frame in enumerate(recording[0])
    ]
    flickering = [Frame(frame.stamp_ns, image) for frame, image in zip(recording[0], darker, strict=True)]
    assert score(collect((flickering, recording[1])).pairs, 0) == pytest.approx(scores[2], abs=0.05)
