"""The batched sensors against the exact ones of sensors.py."""

import numpy as np
import pytest
import torch

from rehdr_ros.simulation import EventCameraConfig
from rehdr_ros.simulation.batch_sensors import (
    BatchEventCamera,
    Readout,
    add_noise,
    demosaicked,
    expose,
    low_pass_share,
)
from rehdr_ros.simulation.sensors import HOT_RATE, EventCamera, FrameCamera

STEPS, HEIGHT, WIDTH = 60, 20, 24
# Of three scenes; the last one's pixels are blind for longer than a step.
SPANS_NS = np.array([5_000_000, 1_000_000, 2_500_000])
REFRACTORY_US = np.array([0.0, 200.0, 7000.0])
DARK = 1e-3


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def luminances(seed=0):
    """(STEPS + 1, scenes, HEIGHT, WIDTH): pixels that wander, turn round, rise, fall, jump, and stay."""
    rng = np.random.default_rng(seed)
    shape = (STEPS + 1, len(SPANS_NS), HEIGHT, WIDTH)
    log = np.cumsum(rng.normal(0, 1, shape) * rng.uniform(0, 0.6, shape[1:]), 0)
    ramp = np.arange(STEPS + 1).reshape(-1, 1, 1)
    log[:, :, 0], log[:, :, 1] = 0.05 * ramp, -0.05 * ramp
    log[:, :, 2] = 2.0 * (ramp // 5 % 2)
    log[:, :, 3] = 0.3
    return np.exp(log - 1).astype(np.float32)


def both(bandwidth=0.0, seed=0):
    """Polarity sums, mean event times (shares of a step), each (steps, scenes, H, W): exact, of the batch."""
    light = luminances(seed)
    exact_sums, exact_times = np.zeros((2, STEPS, len(SPANS_NS), HEIGHT, WIDTH))
    cameras = []
    for n, span in enumerate(SPANS_NS):
        config = EventCameraConfig(
            contrast=0.2,
            mismatch=0.1,
            refractory_us=REFRACTORY_US[n],
            noise_rate=0,
            leak_rate=0,
            dark=DARK,
            bandwidth=bandwidth,
        )
        camera = EventCamera(HEIGHT, WIDTH, config, np.random.default_rng(n))
        cameras.append(camera)
        for k, view in enumerate(light[:, n]):
            events = camera.step(int(k * span), np.repeat(view[..., None], 3, -1))
            if k:
                polarity, counts = np.zeros((2, HEIGHT, WIDTH))
                np.add.at(polarity, (events.y, events.x), 2.0 * events.p - 1)
                np.add.at(counts, (events.y, events.x), 1)
                share = (events.t - (k - 1) * span) / span
                np.add.at(exact_times[k - 1, n], (events.y, events.x), share)
                exact_sums[k - 1, n] = polarity
                exact_times[k - 1, n] /= np.maximum(counts, 1)
                assert (np.abs(polarity) == counts).all()  # one direction a step: the sums hide nothing
    thresholds = torch.from_numpy(np.stack([camera.thresholds for camera in cameras]))
    ones = torch.ones(len(SPANS_NS))
    refractory = torch.tensor(REFRACTORY_US * 1e-6).float()
    batch = BatchEventCamera(thresholds, refractory, DARK * ones, bandwidth * ones)
    views = torch.from_numpy(light)[:, :, None]
    spans = torch.tensor(SPANS_NS * 1e-9).float()
    batch.start(views[0])
    parts = [batch.steps(part, spans) for part in (views[1:4], views[4:5], views[5:])]
    return (exact_sums, exact_times), tuple(torch.cat(x)[:, :, 0].numpy() for x in zip(*parts, strict=True))


@pytest.mark.parametrize("bandwidth", [0.0, 60.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_events_are_those_of_the_exact_camera(bandwidth, seed):
    (exact, exact_times), (sums, times) = both(bandwidth, seed)
    difference = np.abs(sums - exact)
    for n in range(len(SPANS_NS)):  # float32 against ns: an event at a step's end may fall to the next step
        assert np.abs(exact[:, n]).sum() > 3000
        assert difference[:, n].max() <= 1
        assert (difference[:, n] > 0).mean() <= 1e-3
    same = (difference == 0) & (exact != 0)
    assert np.abs(times - exact_times)[same].mean() < 1e-4
    assert np.quantile(np.abs(times - exact_times)[same], 0.999) < 5e-3


def test_no_event_is_lost_or_made_over_many_steps():
    (exact, _), (sums, _) = both()
    assert np.abs(np.cumsum(sums - exact, 0)).max() <= 1
    assert not sums[:, :, 3].any()  # constant light
    up, down = sums[:, :, 0], sums[:, :, 1]
    assert (up >= 0).all() and (down <= 0).all() and up.any() and down.any()


def test_a_low_pass_of_no_bandwidth_lets_everything_through():
    light = torch.tensor([1.0, 1.0, 0.1, 1e-9]).view(4, 1, 1, 1)
    bandwidth = torch.tensor([0.0, 50.0, 50.0, 50.0]).view(4, 1, 1, 1)
    share = low_pass_share(light, bandwidth, torch.full((4, 1, 1, 1), 0.002)).flatten()
    corner = 2 * np.pi * 50 * 0.002
    expected = torch.tensor([1.0, *(1 - np.exp(-corner * np.array([1, 0.1, 1e-3])))]).float()
    torch.testing.assert_close(share, expected)


def frame(signal, levels=255, shot=0.0, read=0.0, bayer=False, seed=0):
    """`expose` of scenes (N, 3, H, W) that are all alike."""
    n = len(signal)
    column = [torch.full((n,), float(x)) for x in (levels, shot, read)]
    return expose(signal, *column, torch.full((n,), bayer), generator(seed))


def test_a_frame_is_that_of_the_exact_camera():
    radiance = np.random.default_rng(0).uniform(-0.01, 1.3, (30, 40, 3)).astype(np.float32)
    exact = FrameCamera(white=1.0, shot_noise=0.0, read_noise=0.0).expose(radiance, np.random.default_rng(0))
    linear = frame(torch.from_numpy(radiance).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(np.rint(255 * linear ** (1 / 2.2)), exact)
    np.testing.assert_allclose(linear, (exact / 255.0) ** 2.2, atol=1e-6)


@pytest.mark.parametrize("levels", [255, 1023, 4095])
def test_a_frame_has_the_levels_of_its_depth(levels):
    signal = torch.linspace(0, 1, 60_000).view(1, 1, 200, 300).expand(1, 3, 200, 300)
    steps = frame(signal, levels) ** (1 / 2.2) * levels
    assert (steps - steps.round()).abs().max() < 0.01
    assert len(steps.round().unique()) > 0.95 * levels
    assert steps.min() == 0 and steps.max() == pytest.approx(levels)


def test_a_frame_s_noise_is_as_stated():
    signal = torch.full((2, 3, 200, 200), 0.1)
    signal[1] = 0.6
    noisy = frame(signal, levels=4095, shot=1e-3, read=5e-3)
    for linear, mean in zip(noisy, (0.1, 0.6), strict=True):
        assert linear.mean().item() == pytest.approx(mean, rel=2e-3)
        assert linear.std().item() == pytest.approx((1e-3 * mean + 5e-3**2) ** 0.5, rel=0.02)
    assert torch.equal(noisy, frame(signal, levels=4095, shot=1e-3, read=5e-3))
    assert not torch.equal(noisy, frame(signal, levels=4095, shot=1e-3, read=5e-3, seed=1))


def slowly_demosaicked(rgb):
    """(3, H, W): every missing colour is the mean of its measured neighbours, beyond the border mirrored."""
    colour = np.array([[0, 1], [1, 2]])
    _, height, width = rgb.shape
    out = rgb.copy()

    def mirrored(i, n):
        return abs(min(i, 2 * n - 2 - i))

    for y in range(height):
        for x in range(width):
            for c in range(3):
                if colour[y % 2, x % 2] == c:
                    continue
                near = [
                    (dy * dy + dx * dx, mirrored(y + dy, height), mirrored(x + dx, width))
                    for dy in (-1, 0, 1)
                    for dx in (-1, 0, 1)
                    if colour[(y + dy) % 2, (x + dx) % 2] == c
                ]
                closest = min(d for d, _, _ in near)
                out[c, y, x] = np.mean([rgb[c, i, j] for d, i, j in near if d == closest])
    return out


@pytest.mark.parametrize("shape", [(8, 10), (7, 9), (2, 2)])
def test_demosaicing_is_bilinear_up_to_the_borders(shape):
    rgb = np.random.default_rng(0).random((3, *shape), np.float32)
    quickly = demosaicked(torch.from_numpy(rgb)[None])[0]
    np.testing.assert_allclose(quickly, slowly_demosaicked(rgb), atol=1e-6)


def test_a_bayer_sensor_measures_one_colour_a_pixel_and_shows_grey_as_grey():
    coloured = torch.rand(1, 3, 17, 22, generator=generator())
    grey = torch.linspace(0, 1, 22).expand(1, 3, 17, 22)
    both = torch.cat((coloured, grey))
    full, bayer = frame(both), frame(both, bayer=True)
    for channel, row, column in ((0, 0, 0), (1, 0, 1), (1, 1, 0), (2, 1, 1)):
        measured = (slice(None), channel, slice(row, None, 2), slice(column, None, 2))
        assert torch.equal(bayer[measured], full[measured])
    assert (bayer[0] - full[0]).abs().mean() > 0.05
    inner = bayer[1, :, :, 1:-1]
    assert (inner - full[1, :, :, 1:-1]).abs().max() < 0.02
    assert bayer.isfinite().all() and bayer.shape == both.shape


def test_only_the_bayer_cameras_of_a_batch_interpolate():
    signal = torch.rand(2, 3, 6, 6, generator=generator())
    levels, none = torch.full((2,), 255.0), torch.zeros(2)
    mixed = expose(signal, levels, none, none, torch.tensor([True, False]), generator())
    assert torch.equal(mixed[1], frame(signal)[1])
    assert torch.equal(mixed[0], frame(signal, bayer=True)[0])


def noise(
    bins=5, seconds=(1.0, 3.0), noise_rate=(0.0, 0.0), leak_rate=(0.0, 0.0), hot=None, seed=0, before=0.0
):
    grid = torch.full((2, bins, 150, 150), before)
    hot = torch.zeros(2, 1, 150, 150, dtype=torch.bool) if hot is None else hot
    rates = (torch.tensor(x).view(2, 1, 1, 1) for x in (noise_rate, leak_rate))
    add_noise(grid, torch.tensor(seconds), *rates, hot, generator(seed))
    return grid


def test_noise_has_either_sign_and_leaks_are_on_events():
    noisy, leaking = noise(noise_rate=(2.0, 0.0), leak_rate=(0.0, 3.0))
    assert noisy.mean().item() == pytest.approx(0, abs=0.01)
    assert noisy.sum(0).var().item() == pytest.approx(2.0, rel=0.05)  # a difference of two Poisson numbers
    assert leaking.min() == 0
    counts = leaking.sum(0)
    assert counts.mean().item() == pytest.approx(3.0 * 3, rel=0.02)
    assert counts.var().item() == pytest.approx(3.0 * 3, rel=0.05)


@pytest.mark.parametrize("bins, shares", [(1, [1]), (2, [0.5, 0.5]), (5, [0.125, 0.25, 0.25, 0.25, 0.125])])
def test_noise_spreads_over_the_bins_as_uniform_times_do(bins, shares):
    sums = noise(bins, leak_rate=(4.0, 4.0)).sum((0, 2, 3))
    np.testing.assert_allclose(sums / sums.sum(), shares, atol=0.01)


def test_hot_pixels_fire_and_the_others_do_not():
    hot = torch.rand(2, 1, 150, 150, generator=generator()) < 0.02
    grid = noise(hot=hot)
    assert grid[~hot.expand_as(grid)].abs().sum() == 0
    for scene, pixels, seconds in zip(grid, hot[:, 0], (1.0, 3.0), strict=True):
        assert scene.sum(0)[pixels].var().item() == pytest.approx(HOT_RATE * seconds, rel=0.2)
        assert scene.sum(0)[pixels].mean().item() == pytest.approx(0, abs=0.2 * (HOT_RATE * seconds) ** 0.5)


def test_noise_is_added_and_a_function_of_the_generator():
    first, again, other = (noise(noise_rate=(1.0, 1.0), seed=s) for s in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, other)
    torch.testing.assert_close(noise(noise_rate=(1.0, 1.0), seed=3, before=7.0), first + 7)


def test_noise_may_differ_from_pixel_to_pixel():
    rate = torch.zeros(2, 1, 150, 150)
    rate[..., 75:] = 3.0
    grid, none = torch.zeros(2, 5, 150, 150), torch.zeros(2, 1, 150, 150)
    add_noise(grid, torch.ones(2), rate, none, none > 0, generator())
    assert not grid[..., :75].any()
    assert grid[..., 75:].sum(1).var().item() == pytest.approx(3.0, rel=0.05)


def ramp(on, off, change, phases):
    """Polarity sums of pixels whose log luminance changes by so much in all, in 200 steps, (200, pixels)."""
    n = len(phases)
    thresholds = torch.tensor([off, on]).view(1, 2, 1, 1).expand(1, 2, 1, n)
    camera = BatchEventCamera(thresholds, torch.zeros(1), torch.full((1,), 1e-9), torch.zeros(1))
    views = torch.linspace(0, change, 201).exp()
    camera.start(views[0].expand(1, 1, 1, n), phases.view(1, 1, 1, n))
    span = torch.full((1,), 1e-3)
    return torch.stack([camera.steps(v.expand(1, 1, 1, 1, n), span)[0].flatten() for v in views[1:]])


@pytest.mark.parametrize("on, off", [(0.2, 0.2), (0.3, 0.1)])
@pytest.mark.parametrize("direction", [1, -1])
def test_a_phase_says_how_far_a_pixel_is_from_its_next_event(on, off, direction):
    """Events of a uniform ramp begin at once for some, late for others: anywhere within both thresholds."""
    phases = torch.linspace(0, 1, 2001)
    threshold, change = (on if direction > 0 else off), 2.0
    events = ramp(on, off, direction * change, phases)
    assert (direction * events >= 0).all()
    first = (events != 0).int().argmax(0) + 1  # steps of a hundredth
    way = (on + off) * (1 - phases if direction > 0 else phases)  # on - ahead, or off + ahead
    assert (first - 100 * way).abs().max() <= 1.01
    counts = direction * events.sum(0)
    expected = ((change - way) / threshold).floor() + 1
    assert (counts - expected).abs().max() <= 1 and (counts != expected).float().mean() < 0.02
    # In the mean half of both thresholds goes by before the first one.
    mean = (change - (on + off) / 2) / threshold + 0.5
    assert counts.mean().item() == pytest.approx(mean, abs=0.1)


def test_without_a_phase_all_have_just_fired():
    events = ramp(0.3, 0.1, 1.0, torch.full((3,), 0.25))  # a quarter of the way from OFF at -0.1 to ON at 0.3
    thresholds, views = torch.tensor([0.1, 0.3]).view(1, 2, 1, 1), torch.linspace(0, 1, 201).exp()
    camera = BatchEventCamera(thresholds, torch.zeros(1), torch.full((1,), 1e-9), torch.zeros(1))
    camera.start(views[:1].view(1, 1, 1, 1))
    span = torch.full((1,), 1e-3)
    plain = torch.stack([camera.steps(v.view(1, 1, 1, 1, 1), span)[0].flatten() for v in views[1:]])
    assert torch.equal(plain.expand(-1, 3), events) and plain.sum() == 3


def read_out(grid, scatter=0.0, strays=0.0, most=float("inf"), seconds=0.1, seed=0):
    column = [torch.full((len(grid), 1, 1, 1), float(x)) for x in (scatter, strays, most)]
    return Readout(*column)(grid.clone(), torch.full((len(grid),), seconds), generator(seed))


def test_a_perfect_readout_changes_nothing():
    grid = torch.randint(-3, 4, (2, 5, 20, 20), generator=generator()).float()
    assert torch.equal(read_out(grid), grid)


@pytest.mark.parametrize("scatter", [0.1, 0.3, 0.7])
def test_counts_scatter_about_what_they_should_be(scatter):
    """A pixel's by one factor, whatever its bins; none becomes of the other sign."""
    grid = torch.ones(2, 5, 150, 150)
    grid[:, ::2] = -2
    out = read_out(grid, scatter)
    factor = out / grid
    torch.testing.assert_close(factor, factor[:, :1].expand_as(factor))
    assert factor.mean().item() == pytest.approx(1, abs=0.03)
    assert factor.std().item() == pytest.approx(scatter, rel=0.12)
    assert factor.min() >= 0 and factor.max() <= 3


def test_strays_come_beside_true_events_alone():
    grid = torch.zeros(4, 5, 60, 60)
    grid[:, 2, 28:32, 28:32] = -10.0  # 160 events
    out = read_out(grid, strays=0.5)
    added = out - grid
    assert added.abs().sum((1, 2, 3)).mean().item() == pytest.approx(80, rel=0.2)
    assert (added > 0).any() and (added < 0).any() and abs(added.sum().item()) < 0.3 * added.abs().sum()
    assert (added == added.round()).all() and (added.abs().sum((0, 2, 3)) > 0).all()
    added[..., 26:34, 26:34] = 0
    assert not added.any()


def test_a_readout_lets_no_more_through_than_it_can():
    """In the sensor's mean; what is within it stays."""
    grid = torch.randint(-3, 4, (2, 5, 100, 100), generator=generator()).float()
    grid[1] *= torch.rand((5, 100, 100), generator=generator()) < 0.05
    rates = grid.abs().sum(1).mean((1, 2)) / 0.1
    assert rates[0] > 60 > 20 > rates[1]
    out = read_out(grid, most=20)
    assert out[0].abs().sum(0).mean().item() == pytest.approx(2, rel=0.03)
    assert ((out[0] == grid[0]) | (out[0] == 0)).all() and torch.equal(out[1], grid[1])
    assert not torch.equal(out, read_out(grid, most=20, seed=1)) and torch.equal(out, read_out(grid, most=20))
