import numpy as np
import pytest
import torch

from rehdr_ros.network import event_fit
from rehdr_ros.network.event_fit import initial_sums, read, recent_changes, update

PIXELS = 4000


def plane(x):
    return torch.as_tensor(x, dtype=torch.float32).view(1, 1, 1, -1)


@pytest.fixture
def after():
    """A function that goes through frames (change, on, off) of one width; returns the fit, (recent, sums)."""

    def through(frames, seconds=0.05, state=None):
        recent, sums = state or (torch.zeros(1, 3, 1, len(frames[0][0])), initial_sums(torch.zeros(1)))
        elapsed = torch.full((1, 1, 1, 1), seconds)
        for frame in frames:
            usable = torch.ones(1, 1, 1, len(frame[0]), dtype=torch.bool)
            recent = recent_changes(recent, *map(plane, frame), usable, elapsed)
            sums = update(sums, recent, elapsed)
        return read(sums), (recent, sums)

    return through


def pairs(rng, frames, on=0.25, off=0.25, noise=0.001, rate=1.5, pixels=PIXELS):
    """Frames of a sensor whose events add variance `noise` each, and whose pixels see light rise or fall."""
    made = []
    for _ in range(frames):
        rising = rng.random(pixels) < 0.5
        more, fewer = rng.poisson(rate, pixels), rng.poisson(0.1 * rate, pixels)
        up, down = np.where(rising, more, fewer), np.where(rising, fewer, more)
        change = on * up - off * down + rng.normal(0, 1, pixels) * np.sqrt(noise * (up + down))
        made.append((change, up, down))
    return made


def values(fit):
    return [x.item() for x in fit]


def test_before_the_first_frame_it_is_a_usual_sensor():
    fit = read(initial_sums(torch.zeros(3, 3, 4, 5)))
    assert [tuple(x.shape) for x in fit] == [(3, 1, 1, 1)] * 4
    assert fit.on[0].item() == fit.off[0].item() == pytest.approx(0.25)
    assert fit.noise[0].item() == pytest.approx(0.02) and fit.explained[0].item() == pytest.approx(0.7)


def test_it_is_what_the_statement_in_numpy_says(after):
    """Least squares with weights by the residual of the fit before, on sums that fade towards the prior."""
    rng = np.random.default_rng(0)
    frames = pairs(rng, 3, on=0.2, off=0.3, noise=0.02, pixels=200)
    frames[1][1][:5] = event_fit.PLAUSIBLE + 1
    prior, recent = np.array(event_fit.PRIOR), np.zeros((3, 200))
    sums, state = prior.copy(), None
    for frame in frames:
        aa, bb, ab, ad, bd, _, rr, n = sums
        slopes = np.linalg.solve([[aa, -ab], [-ab, bb]], [ad, -bd])
        recent = np.exp(-0.2 / event_fit.BASELINE) * recent + np.array(frame)
        change, on, off = recent
        residual, count = change - slopes[0] * on + slopes[1] * off, on + off
        weight = (count > event_fit.LEAST) & (np.maximum(on, off) <= event_fit.PLAUSIBLE)
        count /= 1 + np.exp(-0.2 / event_fit.BASELINE)
        expected = rr / n * count + event_fit.FRAME_VARIANCE
        weight = weight / (1 + residual**2 / (event_fit.OUTLIER * expected))
        products = [on * on, off * off, on * off, on * change, off * change, change**2, residual**2, count]
        new = (1 - np.exp(-0.2 / event_fit.BASELINE)) * (weight * np.array(products)).sum(1)
        sums = prior + (sums - prior) * np.exp(-0.2 / event_fit.MEMORY) + new
        fit, state = after([frame], 0.2, state)
        np.testing.assert_allclose(state[0][0, :, 0], recent, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(state[1][0], sums, rtol=1e-4)
    aa, bb, ab, ad, bd, dd, rr, n = sums
    slopes = np.linalg.solve([[aa, -ab], [-ab, bb]], [ad, -bd])
    np.testing.assert_allclose(values(fit), [*slopes, rr / n, 1 - rr / dd], rtol=1e-3)


@pytest.mark.parametrize("on, off", [(0.25, 0.25), (0.12, 0.5), (0.6, 0.2)])
@pytest.mark.parametrize("noise", [0.001, 0.02])
def test_skewed_thresholds_are_found(after, on, off, noise):
    fit, _ = after(pairs(np.random.default_rng(1), 40, on, off, noise))
    assert fit.on.item() == pytest.approx(on, rel=0.05)
    assert fit.off.item() == pytest.approx(off, rel=0.05)


@pytest.mark.parametrize("noise", [0.002, 0.05, 0.3])
def test_the_variance_that_an_event_adds_is_found(after, noise):
    """The weights take the tails of the normal distribution for outliers, which takes some of it."""
    fit, _ = after(pairs(np.random.default_rng(2), 40, noise=noise))
    assert fit.noise.item() == pytest.approx(noise, rel=0.3)


def test_the_share_of_change_that_events_explain_is_found(after):
    clean, _ = after(pairs(np.random.default_rng(3), 40))
    assert clean.explained.item() > 0.98
    half, _ = after(pairs(np.random.default_rng(3), 40, noise=0.1))
    assert 0.4 < half.explained.item() < 0.75


def test_events_that_have_nothing_to_do_with_the_frames_explain_nothing(after):
    rng = np.random.default_rng(4)
    frames = [(rng.normal(0, 0.3, PIXELS), on, off) for _, on, off in pairs(rng, 40)]
    fit, _ = after(frames)
    assert fit.explained.item() < 0.05 and fit.on.item() < 0.05 and fit.off.item() < 0.05


@pytest.mark.parametrize("on, off", [(0.25, 0.25), (0.15, 0.4)])
def test_one_in_twenty_pixels_may_be_an_outlier(after, on, off):
    """Blur at edges, misalignment: changes without reason, of e^3 times up or down."""
    rng = np.random.default_rng(5)
    frames = pairs(rng, 40, on, off, 0.005)
    for change, *_ in frames:
        outliers = rng.random(PIXELS) < 0.05
        change[outliers] = rng.choice([-3.0, 3.0], outliers.sum())
    fit, _ = after(frames)
    assert fit.on.item() == pytest.approx(on, rel=0.05)
    assert fit.off.item() == pytest.approx(off, rel=0.05)


def test_one_polarity_alone_tells_its_threshold_and_nothing_of_the_other(after):
    counts = np.random.default_rng(6).poisson(1.5, (40, PIXELS))
    fit, _ = after([(0.4 * up, up, 0 * up) for up in counts])
    assert fit.on.item() == pytest.approx(0.4, rel=0.05)
    assert fit.off.item() == pytest.approx(0.25, rel=0.05)


def test_pixels_without_events_and_hot_ones_say_nothing(after):
    frame = pairs(np.random.default_rng(7), 1, noise=0.02)[0]
    expected, _ = after([frame])
    extra = np.full(50, 2.0), np.zeros(50), np.zeros(50)
    hot = np.full(50, 0.1), np.full(50, event_fit.PLAUSIBLE + 1), np.zeros(50)
    fit, _ = after([[np.concatenate(x) for x in zip(frame, extra, hot, strict=True)]])
    assert values(fit) == pytest.approx(values(expected), rel=1e-4)


def test_what_is_old_fades():
    sums, fade = initial_sums(torch.zeros(1)) * 9, torch.full((1, 1, 1, 1), event_fit.MEMORY)
    after = update(sums, torch.zeros(1, 3, 1, 30), fade)
    prior = torch.tensor([event_fit.PRIOR])
    torch.testing.assert_close(after, prior + (sums - prior) / np.e)


def test_pixels_that_are_not_exposed_begin_anew():
    recent, usable = torch.full((1, 3, 1, 4), 2.0), torch.tensor([True, True, False, False]).view(1, 1, 1, 4)
    nothing, seconds = torch.zeros(1, 1, 1, 4), torch.full((1, 1, 1, 1), event_fit.BASELINE)
    after = recent_changes(recent, nothing, nothing + 1, nothing, usable, seconds)
    faded = 2 / np.e
    expected = torch.tensor([[faded, faded, 0, 0], [faded + 1, faded + 1, 0, 0], [faded, faded, 0, 0]])
    torch.testing.assert_close(after, expected.view(1, 3, 1, 4).float())


def test_what_does_not_add_up_is_no_noise_of_events(after):
    """Frames that are each off by as much as one event, but not more in the end: half a quantum, a clock."""
    rng, off_by = np.random.default_rng(9), np.zeros(PIXELS)
    frames = []
    for change, up, down in pairs(rng, 60, noise=0.001):
        last, off_by = off_by, rng.normal(0, 0.2, PIXELS)
        frames.append((change + off_by - last, up, down))
    fit, _ = after(frames)
    assert fit.on.item() == pytest.approx(0.25, rel=0.05) and fit.explained.item() > 0.8
    assert fit.noise.item() < 0.25 * (0.001 + 2 * 0.2**2 / 1.65)  # which is what frame by frame it would be


def test_it_fades_by_seconds_not_frames(after):
    """One stream at 40 Hz, and as frames at 10 Hz see it; the thresholds change after 2 of 3 s."""
    rng = np.random.default_rng(8)
    fast = pairs(rng, 80, 0.2, 0.3, 0.02, rate=0.5) + pairs(rng, 40, 0.35, 0.25, 0.05, rate=0.5)
    slow = [[np.sum(x, 0) for x in zip(*fast[i : i + 4], strict=True)] for i in range(0, 120, 4)]
    sums = [None, None]
    for first, last in ((0, 40), (40, 80), (80, 100), (100, 120)):
        at_40, sums[0] = after(fast[first:last], 1 / 40, sums[0])
        at_10, sums[1] = after(slow[first // 4 : last // 4], 1 / 10, sums[1])
        assert values(at_10) == pytest.approx(values(at_40), rel=0.1), last
    assert 0.21 < at_10.on.item() < 0.34  # half way: the memory is a second
