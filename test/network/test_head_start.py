import numpy as np
import pytest
import torch

from rehdr_ros.network.head_start import advance, fill, initial_state, rescale, without_isolated
from rehdr_ros.network.integrator import integrate, luminance

WHITE = (250 / 255) ** 2.2
PRIOR = 0.25  # the contrast threshold while nothing is known of it
COLOUR = torch.tensor([0.5, 0.4, 0.3]).view(1, 3, 1, 1)


def flat(colour, size=8):
    """A frame of one colour, a number or (1, 3, 1, 1)."""
    return torch.as_tensor(colour, dtype=torch.float32).expand(1, 3, size, size).clone()


def sums(value, size=8):
    return torch.full((1, 1, size, size), float(value))


@pytest.fixture
def follow():
    """A function that advances through frames (1, 3, H, W) with their polarity sums and returns the last state."""

    def through(*steps, kind="filled"):
        state = initial_state(steps[0][0])
        for frame, polarity_sum in steps:
            state, _ = advance(frame, polarity_sum, state, kind=kind)
        return state

    return through


def halved(x):
    """Means of 2 x 2 pixels (C, H, W), of fewer at the end of an odd size."""
    rows, columns = (np.arange(0, n, 2) for n in x.shape[1:])
    total = np.add.reduceat(np.add.reduceat(x, rows, 1), columns, 2)
    return total / np.add.reduceat(np.add.reduceat(np.ones_like(x), rows, 1), columns, 2)


def stretched(x, length, axis):
    """Linear interpolation along one axis, pixels taken as areas."""
    n = x.shape[axis]
    at = np.clip((np.arange(length) + 0.5) * n / length - 0.5, 0, n - 1)
    left = np.floor(at).astype(int)
    share = np.expand_dims(at - left, tuple(i for i in range(3) if i != axis))
    return np.take(x, left, axis) * (1 - share) + np.take(x, np.minimum(left + 1, n - 1), axis) * share


def filled(values, weight, levels=6):
    if levels == 0 or min(values.shape[1:]) < 2:
        return values
    total = halved(weight)
    coarse = filled(halved(weight * values) / np.maximum(total, 1e-9), np.minimum(4 * total, 1), levels - 1)
    around = stretched(stretched(coarse, values.shape[1], 1), values.shape[2], 2)
    return around + weight * (values - around)


def among_neighbours(x):
    """(H, W), each pixel at most 2 events above or below all its neighbours."""
    height, width = x.shape
    padded = np.pad(x, 1, constant_values=np.nan)
    moves = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    around = np.stack([padded[i : i + height, j : j + width] for i, j in moves])
    return np.clip(x, np.nanmin(around, 0) - 2, np.nanmax(around, 0) + 2)


def mean_around(x, reach=4):
    height, width = x.shape
    mean = np.empty_like(x)
    for i, j in np.ndindex(height, width):
        mean[i, j] = x[max(0, i - reach) : i + reach + 1, max(0, j - reach) : j + reach + 1].mean()
    return mean


def test_it_is_what_the_statement_in_numpy_says():
    rng = np.random.default_rng(0)
    height, width = 13, 18
    ldr = np.minimum(rng.lognormal(-1.0, 0.8, (7, 3, height, width)), 1).astype(np.float32)
    ldr[1:, :, 3:9, 4:12] = 1
    ldr[:, :, 0, 0] = 0
    voxel = rng.integers(-4, 5, (7, 5, height, width)).astype(np.float32)
    log_radiance, trust = np.zeros((3, height, width)), np.zeros((height, width))
    state = initial_state(torch.from_numpy(ldr[:1]))
    for frame, grid in zip(ldr, voxel, strict=True):
        events = among_neighbours(grid.sum(0))
        expected, threshold = integrate(
            torch.from_numpy(frame[None]), torch.from_numpy(events)[None, None], state.integrator
        )
        state, own_threshold = advance(torch.from_numpy(frame[None]), torch.from_numpy(grid[None]), state)
        assert torch.equal(own_threshold, threshold)
        assert all(torch.equal(a, b) for a, b in zip(state.integrator, expected, strict=True))

        shown = np.log(np.maximum(frame, 2**-10))
        exposed, known = (frame < WHITE).all(0), (frame < WHITE) & (frame > 2**-10)
        carried = log_radiance + threshold.item() * events
        carried += ((shown - carried) * known).sum(0) / np.maximum(known.sum(0), 1)
        carried = np.minimum(np.maximum(carried, shown), 10)
        trust = np.where(known.any(0), np.maximum(0.97 * trust, 0.3), 0.97 * trust)
        weight = np.where(exposed, 0, trust**2)
        mixed = weight * carried + (1 - weight) * filled(carried, weight[None])
        log_radiance = np.where(exposed, shown, np.maximum(mixed, shown))
        trust = np.where(exposed, 1, np.maximum(trust, 0.5 * np.sqrt(mean_around(weight))))
        np.testing.assert_allclose(state.log_radiance[0], log_radiance, atol=2e-4)
        np.testing.assert_allclose(state.trust[0, 0], trust, atol=1e-5)
    assert 0.2 < exposed.mean() < 0.9 and log_radiance.max() > 0.5


def test_exposed_pixels_are_read_from_the_frame_and_fully_trusted(follow):
    ldr = 0.9 * torch.rand((1, 3, 9, 7), generator=torch.Generator().manual_seed(0))
    state = follow((torch.ones_like(ldr), sums(0)[..., :1, :1].expand(1, 1, 9, 7)), (ldr, torch.full((1, 1, 9, 7), 7)))
    torch.testing.assert_close(state.log_radiance, ldr.clamp_min(2**-10).log())
    assert (state.trust == 1).all()


def test_events_carry_a_clipped_pixel_on_in_all_colours(follow):
    state = follow((flat(COLOUR), sums(0)), (flat(1), sums(8)))
    torch.testing.assert_close(state.log_radiance, (flat(COLOUR).log() + 8 * PRIOR), rtol=0, atol=1e-4)
    state = follow((flat(COLOUR), sums(0)), (flat(1), sums(8)), (flat(1), sums(4)))
    torch.testing.assert_close(state.log_radiance, (flat(COLOUR).log() + 12 * PRIOR), rtol=0, atol=1e-4)


def test_a_clipped_pixel_is_never_darker_than_the_frame(follow):
    assert not follow((flat(COLOUR), sums(0)), (flat(1), sums(-9))).log_radiance.any()


def test_channels_that_do_not_clip_correct_the_others(follow):
    """The frame brightens 1.8 times, and the events say 20 times too much or nothing: red alone clips."""
    brighter = flat(1.8 * torch.tensor([0.7, 0.4, 0.3]).view(1, 3, 1, 1))
    for events in (0, 12):
        state = follow((brighter / 1.8, sums(0)), (brighter.clamp_max(1), sums(events)))
        torch.testing.assert_close(state.log_radiance, brighter.log(), rtol=0, atol=1e-4)


def test_a_lamp_takes_its_level_and_colour_from_the_rim_that_the_events_measured(follow):
    """Its inside was never exposed; the rim is exposed, then clipped by a rise that the events tell."""
    background, lamp, rim = flat(0.1, 24), *torch.zeros((2, 24, 24), dtype=bool)
    lamp[6:18, 6:18] = rim[6:18, 6:18] = True
    rim[8:16, 8:16] = False
    before, after, events = background.clone(), background.clone(), sums(0, 24)
    before[..., lamp] = 1.0
    before[..., rim] = COLOUR[0, :, 0]
    after[..., lamp] = 1.0
    events[..., rim] = 12
    state = follow((before, sums(0, 24)), (after, events))
    expected = (COLOUR.log() + 12 * PRIOR)[0, :, 0]
    assert (expected > 1.7).all()
    torch.testing.assert_close(state.log_radiance[0][:, lamp], expected.expand(3, 144), rtol=0, atol=0.02)
    # And the background, trusted as it is, has no say in it: it is known not to clip.
    alone, _ = advance(before, sums(0, 24), initial_state(before))
    assert not alone.log_radiance[..., lamp & ~rim].any()


def test_trust_fades_and_spreads_among_clipped_pixels(follow):
    """The left column was exposed once; the rest of the row never."""
    first, clipped = flat(1, 16), flat(1, 16)
    first[..., :1] = 0.5
    trusts = [follow((first, sums(0, 16)), *[(clipped, sums(0, 16))] * k).trust[0, 0, 8] for k in range(4)]
    assert trusts[0][0] == 1 and not trusts[0][1:].any()
    for k in (1, 2, 3):
        assert trusts[k][0].item() == pytest.approx(0.97**k)
    assert (trusts[1][1:5] > 0.1).all() and not trusts[1][5:].any()
    assert (trusts[3][1:12] > 0).all() and not trusts[3][13:].any()
    assert all((t[1:] <= 0.5).all() for t in trusts)


def test_a_pixel_with_one_channel_left_is_partly_trusted(follow):
    red = torch.tensor([1.0, 0.5, 1.0]).view(1, 3, 1, 1)
    assert follow((flat(red), sums(0))).trust == pytest.approx(0.3)
    assert not follow((flat(1), sums(0))).trust.any()
    assert not follow((flat(torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)), sums(0))).trust.any()  # black says nothing


def test_fill_keeps_trusted_values_exactly():
    generator = torch.Generator().manual_seed(0)
    values, weight = torch.randn((2, 3, 21, 17), generator=generator), torch.zeros(2, 1, 21, 17)
    weight[:, :, ::4, ::3] = 1
    trusted = (weight == 1).expand_as(values)
    result = fill(values, weight)
    assert torch.equal(result[trusted], values[trusted])
    assert not torch.isclose(result[~trusted], values[~trusted]).any()
    torch.testing.assert_close(fill(values + 9e3 * (1 - weight), weight), result)


@pytest.mark.parametrize("height, width", [(1, 1), (1, 9), (9, 1), (2, 2), (2, 3), (7, 5), (33, 130)])
def test_fill_of_a_constant_is_constant(height, width):
    weight = torch.zeros(1, 1, height, width)
    weight[..., ::40, ::40] = 0.2  # further from them than the pyramid reaches it would be white
    weight[..., 0, -1] = 1
    torch.testing.assert_close(
        fill(torch.full((1, 3, height, width), 2.5), weight), torch.full((1, 3, height, width), 2.5)
    )


@pytest.mark.parametrize("height, width", [(1, 1), (1, 9), (2, 3), (70, 129)])
def test_fill_of_nothing_is_no_nan(height, width):
    values = torch.randn(1, 3, height, width)
    assert fill(values, torch.zeros(1, 1, height, width)).isfinite().all()


@pytest.mark.parametrize("height, width", [(1, 1), (1, 9), (9, 2), (5, 7)])
def test_any_size_advances(height, width):
    ldr, voxel = torch.ones(2, 3, height, width), torch.ones(2, 5, height, width)
    state = initial_state(ldr)
    for _ in range(3):
        state, _ = advance(ldr, voxel, state)
    assert all(x.isfinite().all() for x in (*state.integrator, state.log_radiance, state.trust))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("place", [(4, 5), (0, 3), (8, 8)])
def test_a_lone_hot_pixel_is_cut(sign, place):
    row, column = place
    polarity_sum = torch.randint(-2, 3, (1, 1, 9, 9), generator=torch.Generator().manual_seed(0)).float()
    hot = polarity_sum.clone()
    hot[..., row, column] = 500 * sign
    cut = without_isolated(hot)
    assert cut[0, 0, row, column].abs() <= 4
    others = torch.ones(9, 9, dtype=bool)
    others[max(0, row - 1) : row + 2, column - 1 : column + 2] = False
    assert torch.equal(cut[..., others], without_isolated(polarity_sum)[..., others])


def test_lines_and_areas_are_left():
    polarity_sum = torch.zeros(2, 1, 12, 12)
    polarity_sum[0, :, 5] = 40  # an edge that passes
    polarity_sum[0, :, 8:11, 2:5] = -30
    polarity_sum[1, 0, range(12), range(12)] = 17
    assert torch.equal(without_isolated(polarity_sum), polarity_sum)


@pytest.mark.parametrize("gain", [4.0, torch.tensor([4.0, 0.5])])
def test_rescaling_keeps_the_radiance_in_units_of_another_white(gain):
    ldr = torch.rand((2, 3, 6, 5), generator=torch.Generator().manual_seed(0)).add(0.3).clamp_max(1)
    state, _ = advance(ldr, torch.ones(2, 5, 6, 5), initial_state(ldr))
    now = rescale(state, gain)
    factors = torch.as_tensor(gain).expand(2).view(2, 1, 1, 1)
    torch.testing.assert_close(now.log_radiance.exp(), factors * state.log_radiance.exp())
    torch.testing.assert_close(now.integrator.log_luminance.exp(), factors * state.integrator.log_luminance.exp())
    assert torch.equal(now.trust, state.trust)
    assert torch.equal(now.integrator.calibration, state.integrator.calibration)


def test_of_kind_integrated_the_events_alone_tell_the_luminance(follow):
    state = follow((flat(COLOUR), sums(0)), (flat(1), sums(8)), kind="integrated")
    expected = luminance(COLOUR).log() + 8 * PRIOR
    torch.testing.assert_close(state.log_radiance, flat(expected), rtol=0, atol=1e-4)
    assert torch.equal(state.trust, state.integrator.recency) and (state.trust == pytest.approx(0.9))


def test_of_kind_none_the_frame_is_all_there_is(follow):
    frame = flat(COLOUR)
    frame[..., 4:] = 1
    state = follow((flat(COLOUR), sums(0)), (frame, sums(8)), kind="none")
    torch.testing.assert_close(state.log_radiance, frame.log())
    assert not state.trust.any() and not state.integrator.log_luminance.any() and not state.integrator.recency.any()
