from dataclasses import replace

import numpy as np
import pytest

from rehdr_ros.events import Events
from rehdr_ros.luminance import BT709
from rehdr_ros.simulation import EventCameraConfig, SimulationConfig, simulate, truth_at
from rehdr_ros.simulation.procedural import procedural_canvas

QUIET = EventCameraConfig(mismatch=0.0, refractory_us=0.0, noise_rate=0.0, leak_rate=0.0)
SMALL = SimulationConfig(width=48, height=36, seconds=0.5, fps=20, seed=3, renders=200)


@pytest.fixture(scope="module")
def run():
    """A function that simulates a view of a small canvas, on which much happens."""
    canvas = procedural_canvas(1, 120, 160)
    return lambda **changes: list(simulate(replace(SMALL, **changes), canvas))


def assert_same(actual, expected, assert_same_events):
    for a, b in zip(actual, expected, strict=True):
        assert a.stamp_ns == b.stamp_ns
        np.testing.assert_array_equal(a.ldr, b.ldr)
        np.testing.assert_array_equal(a.truth, b.truth)
        assert_same_events(a.events, b.events)


def test_the_seed_decides_everything(assert_same_events):
    expected = list(simulate(SMALL))
    assert_same(simulate(SMALL), expected, assert_same_events)
    other = list(simulate(replace(SMALL, seed=4)))
    assert not np.array_equal(other[0].ldr, expected[0].ldr)
    assert not np.array_equal(other[-1].events.t, expected[-1].events.t)


def test_a_recording_has_its_length_and_shapes(run):
    samples = run()
    assert [s.stamp_ns for s in samples] == [k * 50_000_000 for k in range(10)]
    for sample in samples:
        assert (sample.ldr.shape, sample.ldr.dtype) == ((36, 48, 3), np.uint8)
        assert (sample.truth.shape, sample.truth.dtype) == ((36, 48, 3), np.float32)
        assert np.isfinite(sample.truth).all() and (sample.truth >= 0).all()


@pytest.mark.parametrize("jitter", [0.0, 0.8])
def test_events_lie_between_the_frames(run, jitter):
    previous = -1
    for sample in run(jitter=jitter):
        assert sample.stamp_ns > previous
        if previous >= 0:
            assert len(sample.events) > 100
            assert previous < sample.events.t[0] and sample.events.t[-1] <= sample.stamp_ns
            assert (np.diff(sample.events.t) >= 0).all()
            assert sample.events.x.max() < 48 and sample.events.y.max() < 36
        else:
            assert len(sample.events) == 0
        previous = sample.stamp_ns


def test_jitter_moves_the_stamps_within_bounds(run):
    stamps = np.array([s.stamp_ns for s in run(jitter=0.5, seconds=1)])
    deviation = stamps - np.arange(len(stamps)) * 50_000_000
    assert deviation.std() > 2_000_000 and np.abs(deviation).max() <= 12_500_000


def test_well_exposed_pixels_show_the_truth(run):
    """Within noise and quantisation; the noise's spread is as stated."""
    deviations = []
    for sample in run():
        truth = sample.truth.astype(np.float64)
        linear = (sample.ldr / 255.0) ** 2.2
        sigma = np.sqrt(2e-4 * truth + 2e-3**2)
        step = 0.5 / 255 * 2.2 * np.maximum(linear, truth) ** (1.2 / 2.2) + 1e-5
        exposed = (truth > 0.02) & (truth < 0.8)
        error = (linear - truth)[exposed]
        assert (np.abs(error) < 6 * sigma[exposed] + step[exposed]).all()
        deviations.append(error / np.hypot(sigma, step / 3**0.5)[exposed])
        assert (sample.ldr[truth > 1.2] == 255).all()
    assert np.concatenate(deviations).std() == pytest.approx(1, abs=0.1)
    assert abs(np.concatenate(deviations).mean()) < 0.05


@pytest.mark.parametrize("clipped", [0.05, 0.2, 0.5])
def test_as_many_pixels_clip_as_asked(run, clipped):
    truth = np.stack([s.truth for s in run(clipped=clipped, seconds=2, fps=8, renders=8)])
    assert (truth.max(-1) > 1).mean() == pytest.approx(clipped, abs=0.03 + 0.1 * clipped)


@pytest.mark.parametrize("contrast", [0.15, 0.4])
def test_events_carry_the_true_luminance_on(run, contrast):
    """Ideal pixels, no motion blur: threshold x polarity sum is log luminance's change to one threshold."""
    samples = run(events=replace(QUIET, contrast=contrast), exposure=1e-9)
    log = [np.log(s.truth @ BT709 + 1e-3) for s in samples]
    total = np.zeros((36, 48))
    for k in range(1, len(samples)):
        events = samples[k].events
        np.add.at(total, (events.y, events.x), contrast * (2.0 * events.p - 1))
        assert np.abs(log[k] - log[0] - total).max() < 1.01 * contrast
    clipped = (samples[-1].truth > 1).any(-1)
    assert clipped.any() and np.abs(total[clipped]).max() > 2 * contrast  # also where the frame shows nothing


def test_exposure_blurs_the_motion(run):
    sharp, blurred = run(exposure=1e-6, speed=200), run(exposure=0.04, speed=200)

    def detail(samples):
        return np.mean([np.abs(np.diff(np.log(s.truth + 1e-3), axis=1)).mean() for s in samples])

    assert detail(blurred) < 0.95 * detail(sharp)


def test_events_follow_the_motion_between_the_frames(run):
    """Detail that comes and goes between two frames leaves events; renders at frames alone would miss it."""
    often, rarely = (sum(len(s.events) for s in run(speed=200, renders=r, events=QUIET)) for r in (400, 20))
    assert often > 1.1 * rarely


def test_speed_decides_how_much_happens(run):
    slow, fast = (sum(len(s.events) for s in run(speed=speed, events=QUIET)) for speed in (5, 100))
    assert fast > 5 * slow > 0


@pytest.mark.parametrize(
    "wrong",
    [{"width": 0}, {"height": -1}, {"seconds": 0.0}, {"fps": float("nan")}, {"speed": 0}, {"renders": 0}]
    + [{"exposure": 0}, {"clipped": 0.0}, {"clipped": 1.0}, {"jitter": 1.0}, {"jitter": -0.1}],
    ids=str,
)
def test_a_recording_that_cannot_be_is_refused_by_name(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SimulationConfig(**wrong)


def test_a_very_short_recording_has_one_frame(run):
    (sample,) = run(seconds=0.01)
    assert isinstance(sample.events, Events) and len(sample.events) == 0


def test_the_truth_is_known_at_any_moment():
    config = SimulationConfig(width=32, height=24, seconds=0.3, fps=10, exposure=1e-6)
    truth = truth_at(config)
    for sample in simulate(config):
        np.testing.assert_allclose(truth(sample.stamp_ns * 1e-9), sample.truth, rtol=1e-3, atol=1e-4)
    assert not np.allclose(truth(0.05), truth(0.06), rtol=1e-2)


def test_sharp_truth_is_that_of_the_exposures_middle():
    blurred = SimulationConfig(width=32, height=32, seconds=0.1, exposure=0.05, speed=200, renders=400)
    (mean, *_), (middle, *_) = (
        list(simulate(replace(blurred, sharp_truth=sharp))) for sharp in (False, True)
    )
    (shorter, *_) = simulate(replace(blurred, exposure=0.0001))
    assert np.array_equal(mean.ldr, middle.ldr)
    assert np.abs(np.diff(middle.truth, axis=1)).mean() > 1.2 * np.abs(np.diff(mean.truth, axis=1)).mean()
    # the middle is not the start, at which a short exposure is
    assert np.abs(middle.truth - shorter.truth).mean() > 0.05 * shorter.truth.mean()


def test_events_of_the_last_exposure_come_with_the_recording():
    config = SimulationConfig(width=32, height=32, seconds=0.1, exposure=0.08, speed=200, renders=400)
    last = list(simulate(config))[-1]
    assert last.tail.t[-1] > last.stamp_ns + 0.95 * config.exposure * 1e9
