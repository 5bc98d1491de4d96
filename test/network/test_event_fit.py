import numpy as np
import pytest
import torch

from rehdr_ros.network import event_fit
from rehdr_ros.network.event_fit import initial_sums, read, update

PIXELS = 4000


def plane(x):
    return torch.as_tensor(x, dtype=torch.float32).view(1, 1, 1, -1)


@pytest.fixture
def after():
    """A function that updates the sums with frames (change, on, off) of one width and returns the fit."""

    def through(frames, seconds=0.05, sums=None):
        for change, on, off in frames:
            sums = initial_sums(torch.zeros(1)) if sums is None else sums
            usable = torch.ones(1, 1, 1, len(change), dtype=torch.bool)
            elapsed = torch.full((1, 1, 1, 1), seconds)
            sums = update(sums, plane(change), plane(on), plane(off), usable, elapsed)
        return read(sums), sums

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
    prior = np.array(event_fit.PRIOR)
    sums, given = prior.copy(), None
    for change, on, off in frames:
        aa, bb, ab, ad, bd, _, rr, n = sums
        slopes = np.linalg.solve([[aa, -ab], [-ab, bb]], [ad, -bd])
        residual, count = change - slopes[0] * on + slopes[1] * off, on + off
        weight = (count > 0) & (np.maximum(on, off) <= event_fit.PLAUSIBLE)
        expected = rr / n * count + event_fit.FRAME_VARIANCE
        weight = weight / (1 + residual**2 / (event_fit.OUTLIER * expected))
        products = [on * on, off * off, on * off, on * change, off * change, change**2, residual**2, count]
        sums = prior + (sums - prior) * np.exp(-0.2 / event_fit.MEMORY) + (weight * np.array(products)).sum(1)
        fit, given = after([(change, on, off)], 0.2, given)
        np.testing.assert_allclose(given[0], sums, rtol=1e-4)
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
    frames = pairs(np.random.default_rng(6), 40, on=0.4)
    fit, _ = after([[x[down == 0] for x in (change, up, down)] for change, up, down in frames])
    assert fit.on.item() == pytest.approx(0.4, rel=0.05)
    assert fit.off.item() == pytest.approx(0.25, rel=0.05)


def test_pixels_without_events_and_hot_ones_say_nothing(after):
    frame = pairs(np.random.default_rng(7), 1, noise=0.02)[0]
    expected, _ = after([frame])
    extra = np.full(50, 2.0), np.zeros(50), np.zeros(50)
    hot = np.full(50, 0.1), np.full(50, event_fit.PLAUSIBLE + 1), np.zeros(50)
    fit, _ = after([[np.concatenate(x) for x in zip(frame, extra, hot, strict=True)]])
    assert values(fit) == pytest.approx(values(expected), rel=1e-4)


def test_what_is_not_usable_says_nothing_and_what_is_old_fades():
    sums = initial_sums(torch.zeros(1)) * 9
    nothing, events = torch.zeros(1, 1, 1, 30), torch.full((1, 1, 1, 30), 3.0)
    after = update(sums, events, events, nothing, nothing > 0, torch.full((1, 1, 1, 1), event_fit.MEMORY))
    prior = torch.tensor([event_fit.PRIOR])
    torch.testing.assert_close(after, prior + (sums - prior) / np.e)


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
