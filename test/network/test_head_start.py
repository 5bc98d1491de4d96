import numpy as np
import pytest
import torch

from rehdr_ros.network.event_fit import (
    CALIBRATION_RANGE,
    PLAUSIBLE,
    as_modelled,
    initial_sums,
    read,
    recent_changes,
    update,
)
from rehdr_ros.network.head_start import edges
from rehdr_ros.network.head_start.guesses import BLOCK, GUESSED, LEAST, SHARE, UNKNOWN
from rehdr_ros.network.head_start.pyramid import LEVELS, PASSED_ON, fill
from rehdr_ros.network.head_start.reference import (
    DRIFT,
    EXPOSED,
    FLOOR,
    HALF_TRUSTED,
    ISOLATED,
    LEAST_PASSED_ON,
    LEAST_WEIGHT,
    LOG_LIMIT,
    NEVER,
    PARTLY,
    REFILLED,
    SPREAD,
    TELLING,
    advance,
    initial_state,
    rescale,
    without_isolated,
)
from rehdr_ros.simulation import EventCameraConfig, SimulationConfig
from rehdr_ros.training.simulated import simulated_sequence

WHITE = (250 / 255) ** 2.2
COLOUR = torch.tensor([0.5, 0.4, 0.3]).view(1, 3, 1, 1)
SECONDS = torch.full((1,), 0.05)
PRIOR = read(initial_sums(COLOUR))


def flat(colour, size=8):
    """A frame of one colour, a number or (1, 3, 1, 1)."""
    return torch.as_tensor(colour, dtype=torch.float32).expand(1, 3, size, size).clone()


def counts(value, size=8):
    """The same signed events in each pixel."""
    return torch.full((1, 1, size, size), float(value))


def with_thresholds(state, on, off):
    """The state with a fit that many events stand behind."""
    sums = torch.tensor([[1e5, 1e5, 0, on * 1e5, -off * 1e5, 1e5, 1e3, 1e5]])
    fit = read(sums)
    assert (fit.on.item(), fit.off.item()) == (pytest.approx(on), pytest.approx(off))
    return state._replace(fit=sums)


@pytest.fixture
def follow():
    """A function that advances through frames (1, 3, H, W) with events; returns the last state, evidence."""

    def through(*steps, state=None, seconds=SECONDS):
        state = initial_state(steps[0][0]) if state is None else state
        for frame, events in steps:
            state, evidence = advance(frame, events, state, seconds)
        return state, evidence

    return through


def halved(x, side=2):
    """Means of 2 x 2 pixels (C, H, W), of fewer at the end of an odd size."""
    rows, columns = (np.arange(0, n, side) for n in x.shape[1:])
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
    around[3] *= PASSED_ON
    return around + weight * (values - around)


def guess(variance):
    low, high = GUESSED
    return np.clip((variance - low) / (high - low), 0, 1) * (variance < UNKNOWN)


def handed_on(wrong, tells):
    """What is added to guesses, (H, W)."""
    weight = halved(tells[None], BLOCK)
    mean = halved((tells * wrong)[None], BLOCK) / np.maximum(weight, 1e-9)
    values = np.concatenate((mean, np.zeros((2, *mean.shape[1:])), np.ones_like(mean)))
    error, _, _, trust = filled(values, weight, LEVELS - 2)
    return stretched(stretched((SHARE * error * trust)[None], len(wrong), 1), wrong.shape[1], 2)[0]


def among_neighbours(x):
    """(H, W), each pixel little more than all its neighbours."""
    height, width = x.shape
    padded = np.pad(x, 1, constant_values=np.nan)
    moves = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    around = np.stack([padded[i : i + height, j : j + width] for i, j in moves])
    return np.minimum(x, np.nanmax(around, 0) + ISOLATED)


def share(x, borders):
    return np.clip((x - borders[0]) / (borders[1] - borders[0]), 0, 1)


def motion(quiet, seconds, bins):
    """As of edges.py, by pixel: delay, moving, across, down."""
    recent = quiet < edges.RECENT
    planes = np.zeros((6, *quiet.shape))
    planes[0, :, :-1], planes[1, :-1] = recent[:, 1:] & recent[:, :-1], recent[1:] & recent[:-1]
    planes[2, :, :-1] = planes[0, :, :-1] * abs(np.diff(quiet, axis=1))
    planes[3, :-1] = planes[1, :-1] * abs(np.diff(quiet, axis=0))
    planes[4:] = quiet < seconds, recent
    blocks, result = halved(planes, edges.BLOCK), np.empty((4, *quiet.shape))
    for i, j in np.ndindex(quiet.shape):
        rows, columns = (
            slice(max(n // edges.BLOCK - edges.AROUND // 2, 0), n // edges.BLOCK + edges.AROUND // 2 + 1)
            for n in (i, j)
        )
        across, down, *late, fired, fires = blocks[:, rows, columns].mean((1, 2))
        x, y = late[0] / max(across, 1e-6), late[1] / max(down, 1e-6)
        goes_on = fired / max(min(seconds / edges.RECENT, 1) * fires, 1e-6)
        moving = share(min(across, down), edges.MOVING) * share(goes_on, edges.GOES_ON)
        moving *= share(np.hypot(x, y) * bins / seconds, edges.TOLD)
        most = max(x * x, y * y, 1e-12)
        result[:, i, j] = np.hypot(x, y), moving, x * x / most, y * y / most
    return result


def levelled(log, variance, quiet, clipped, seconds, bins):
    delay, moving, *along = motion(quiet, seconds, bins)
    even, light = clipped * share(quiet / np.maximum(delay, 1e-6), edges.PIXELS), log
    height, width = log.shape
    for _ in range(edges.SWEEPS):
        new = light.copy()
        for i, j in np.argwhere(clipped):
            unsure = max(variance[i, j] - edges.LEAST_VARIANCE, 1e-6)
            values, weights = [log[i, j]], [edges.OWN / unsure]
            for axis, (down, right) in enumerate([(0, 1), (1, 0)]):
                for k, m, first in ((i + down, j + right, (i, j)), (i - down, j - right, None)):
                    if 0 <= k < height and 0 <= m < width:
                        values.append(light[k, m])
                        weights.append(even[i, j] * even[k, m] * along[axis][first or (k, m)])
            new[i, j] = np.average(values, weights=weights)
        light = new
    return moving * (light - log)


def test_it_is_what_the_statement_in_numpy_says():
    rng = np.random.default_rng(0)
    height, width = 13, 18
    ldr = np.minimum(rng.lognormal(-1.4, 0.4, (7, 3, height, width)), 1).astype(np.float32)
    ldr[1:, :, 3:9, 4:12] = 1
    ldr[:4, :, 9:12, 1:6] = ldr[:, :, 10:, 1:3] = 1
    ldr[1:, 0, 11, 15:] = 1
    ldr[:, :, 0, 0] = 0
    voxel = rng.integers(-1, 2, (7, 5, height, width)).astype(np.float32)
    voxel[1:, 2] += np.rint(np.diff(np.log(np.maximum(ldr, FLOOR)).mean(1), axis=0) / 0.3)
    voxel *= rng.random(voxel.shape) < 0.15  # edges far apart
    voxel[3:, :, 3:9, 4:12:4] += 2
    log_radiance = np.zeros((3, height, width))
    variance, age = np.full((height, width), UNKNOWN), np.full((height, width), NEVER)
    state = with_thresholds(initial_state(torch.from_numpy(ldr[:1])), 0.3, 0.25)
    quiet = np.full((height, width), NEVER)
    found, corrected, evened = [], 0, 0
    for frame, grid, seconds in zip(ldr, voxel, np.linspace(0.01, 0.3, 7), strict=True):
        on, off = (among_neighbours(np.maximum(x, 0).sum(0)) for x in (grid, -grid))
        shown = np.log(np.maximum(frame, FLOOR))
        exposed, known = (frame < WHITE).all(0), (frame < WHITE) & (frame > FLOOR)
        low, high = np.log(CALIBRATION_RANGE)
        both = np.stack((shown, log_radiance))
        usable = exposed & (age == 0) & (both.min((0, 1)) > low) & (both.max((0, 1)) < high)
        change = (shown - log_radiance).mean(0)
        planes = (torch.from_numpy(x)[None, None] for x in (change, on, off, usable))
        elapsed = torch.full((1, 1, 1, 1), seconds).double()
        recent = recent_changes(state.recent.double(), *planes, elapsed)
        sums = update(state.fit.double(), recent, elapsed)
        fit = read(sums)

        inputs = (torch.from_numpy(x[None]) for x in (frame, grid))
        state, evidence = advance(*inputs, state, torch.tensor([seconds]).float())
        torch.testing.assert_close(state.fit, sums.float(), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(state.recent, recent.float(), rtol=1e-4, atol=1e-5)
        found.append(usable.sum())

        moved = log_radiance + fit.on.item() * on - fit.off.item() * off
        carried = moved + ((shown - moved) * known).sum(0) / np.maximum(known.sum(0), 1)
        carried = np.minimum(np.maximum(carried, shown), LOG_LIMIT)
        wrong = (np.where(exposed, shown, carried) - moved).mean(0)
        tells = guess(variance) * (exposed | (wrong > LEAST))
        variance = np.minimum(variance + fit.noise.item() * (on + off) + DRIFT * seconds, UNKNOWN)
        variance = np.where(known.any(0), np.minimum(variance, PARTLY), variance)
        correction = guess(variance) * (1 - tells) * handed_on(wrong, tells) * as_modelled(fit).item()
        corrected += (abs(correction) > 0.1).sum()
        carried += correction
        carried = np.minimum(np.maximum(carried, shown), LOG_LIMIT)
        own = HALF_TRUSTED / (HALF_TRUSTED + variance)
        telling, modelled = np.maximum((own - TELLING) / (1 - TELLING), LEAST_WEIGHT), as_modelled(fit).item()
        weight = np.where(exposed, 0, own**4 + modelled * (telling - own**4))
        *around, passed_on = filled(np.concatenate((carried, own[None])), weight[None])
        told = HALF_TRUSTED / np.maximum(passed_on, LEAST_PASSED_ON) - HALF_TRUSTED + SPREAD
        after = np.minimum(variance, told)
        refilled = np.interp(modelled, (0, 1), REFILLED)
        keep = after / variance * np.exp(-seconds / refilled * (after / told) ** 4)
        mixed = around + keep * (carried - around)
        mixed = np.maximum(mixed, shown)
        quiet = np.minimum(quiet + seconds, NEVER)
        for number in range(5):
            quiet = np.where(grid[number] != 0, seconds * (4.5 - number) / 5, quiet)
        change = modelled * levelled(mixed.mean(0), after, quiet, ~exposed, seconds, 5)
        evened += (abs(change) > 0.02).sum()
        mixed = np.minimum(np.maximum(mixed + change, shown), LOG_LIMIT)
        log_radiance = np.where(exposed, shown, mixed)
        own = np.where(exposed, 1, own)
        trust = np.where(exposed, 1, HALF_TRUSTED / (HALF_TRUSTED + after))
        variance = np.where(exposed, EXPOSED, after)
        age = np.where(exposed, 0, np.minimum(age + seconds, NEVER))
        np.testing.assert_allclose(evidence.shown[0], shown, atol=1e-5)
        np.testing.assert_allclose(evidence.own[0, 0], own, atol=1e-5)
        np.testing.assert_allclose(evidence.trust[0, 0], trust, atol=1e-5)
        np.testing.assert_allclose(state.log_radiance[0], log_radiance, atol=2e-4)
        np.testing.assert_allclose(state.variance[0, 0], variance, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(state.age[0, 0], age, rtol=1e-5)
        np.testing.assert_allclose(state.quiet[0, 0], quiet, rtol=1e-5)
    assert 0.2 < exposed.mean() < 0.9 and log_radiance.max() > 0.5 and max(found) > 10
    assert corrected > 10 and evened > 10


def test_exposed_pixels_are_read_from_the_frame_and_fully_trusted(follow):
    ldr = 0.9 * torch.rand((1, 3, 9, 7), generator=torch.Generator().manual_seed(0))
    nothing = torch.zeros(1, 1, 9, 7)
    state, evidence = follow((torch.ones_like(ldr), nothing), (ldr, nothing + 7))
    torch.testing.assert_close(state.log_radiance, ldr.clamp_min(FLOOR).log())
    assert (state.variance == EXPOSED).all() and not state.age.any()
    assert (evidence.own == 1).all() and (evidence.trust == 1).all()


def test_events_carry_a_clipped_pixel_on_in_all_colours(follow):
    steps = (flat(COLOUR), counts(0)), (flat(1), counts(8)), (flat(1), counts(4))
    for n, events in ((2, 8), (3, 12)):
        state, _ = follow(*steps[:n])
        expected = flat(COLOUR).log() + events * PRIOR.on
        torch.testing.assert_close(state.log_radiance, expected, rtol=0, atol=1e-4)


def test_events_of_each_polarity_count_by_their_own_threshold(follow):
    """Eight up and three down in the same interval, in different bins."""
    state, _ = follow((flat(COLOUR), counts(0)))
    state = with_thresholds(state, 0.4, 0.2)
    state, _ = follow((flat(1), torch.cat((counts(8), counts(-3)), 1)), state=state)
    torch.testing.assert_close(state.log_radiance, flat(COLOUR).log() + 8 * 0.4 - 3 * 0.2, rtol=0, atol=1e-3)


def test_events_and_time_add_variance_to_what_a_clipped_pixel_knows(follow):
    seen, _ = follow((flat(COLOUR), counts(0)))
    for events in (0, 6):
        state, evidence = follow((flat(1), counts(events)), state=seen)
        expected = EXPOSED + events * evidence.fit.noise.item() + DRIFT * 0.05
        torch.testing.assert_close(state.variance, counts(expected), rtol=1e-3, atol=0)
        torch.testing.assert_close(evidence.own, counts(HALF_TRUSTED / (HALF_TRUSTED + expected)))


def test_a_clipped_pixel_is_never_darker_than_the_frame(follow):
    state, _ = follow((flat(COLOUR), counts(0)), (flat(1), counts(-9)))
    assert not state.log_radiance.any()


def test_channels_that_do_not_clip_correct_the_others(follow):
    """The frame brightens 1.8 times, and the events say 20 times too much or nothing: red alone clips."""
    brighter = flat(1.8 * torch.tensor([0.7, 0.4, 0.3]).view(1, 3, 1, 1))
    for events in (0, 12):
        state, _ = follow((brighter / 1.8, counts(0)), (brighter.clamp_max(1), counts(events)))
        torch.testing.assert_close(state.log_radiance, brighter.log(), rtol=0, atol=1e-4)


def test_a_lamp_takes_its_level_and_colour_from_the_rim_that_the_events_measured(follow):
    """Its inside was never exposed; the rim is exposed, then clipped by a rise that the events tell."""
    background, lamp, rim = flat(0.1, 24), *torch.zeros((2, 24, 24), dtype=bool)
    lamp[6:18, 6:18] = rim[6:18, 6:18] = True
    rim[8:16, 8:16] = False
    before, after, events = background.clone(), background.clone(), counts(0, 24)
    before[..., lamp] = 1.0
    before[..., rim] = COLOUR[0, :, 0]
    after[..., lamp] = 1.0
    events[..., rim] = 12
    state, _ = follow((before, counts(0, 24)), (after, events))
    expected = (COLOUR.log() + 12 * PRIOR.on)[0, :, 0]
    assert (expected > 1.7).all()
    torch.testing.assert_close(state.log_radiance[0][:, rim], expected.expand(3, 80), rtol=0, atol=0.03)
    torch.testing.assert_close(state.log_radiance[0][:, lamp], expected.expand(3, 144), rtol=0.07, atol=0)
    # And the background, trusted as it is, has no say in it: it is known not to clip.
    alone, _ = follow((before, counts(0, 24)))
    assert not alone.log_radiance[..., lamp & ~rim].any()


def test_trust_fades_and_spreads_among_clipped_pixels(follow):
    """The left column was exposed once; the rest of the row never."""
    first, clipped = flat(1, 16), flat(1, 16)
    first[..., :1] = 0.5
    steps = (first, counts(0, 16)), *[(clipped, counts(0, 16))] * 3
    trusts = [follow(*steps[: k + 1])[1].trust[0, 0, 8] for k in range(4)]
    assert trusts[0][0] == 1 and (trusts[0][1:] <= LEAST_PASSED_ON).all()
    for k in (1, 2, 3):
        variance = EXPOSED + k * DRIFT * 0.05
        assert trusts[k][0].item() == pytest.approx(HALF_TRUSTED / (HALF_TRUSTED + variance), rel=0.01)
    most = HALF_TRUSTED / (HALF_TRUSTED + SPREAD)  # of what a pixel has not seen itself
    assert (trusts[1][1:6] > 0.9 * most).all() and (trusts[1].diff() <= 0).all()
    assert all((t[1:] < most).all() for t in trusts)


@pytest.mark.parametrize("frames", [1, 4])
def test_a_lamp_s_inside_follows_its_rim(follow, frames):
    """By the second; at first it takes the rim's level of then."""
    first, clipped = flat(1, 16), flat(1, 16)
    first[..., :4] = 0.8
    still, seconds = counts(0, 16), torch.full((1,), REFILLED[0] / frames)
    before, _ = follow((first, still), (clipped, still))
    rising = torch.zeros(1, 1, 16, 16)
    rising[..., :4] = 8
    steps = (clipped, still), (clipped, rising), *[(clipped, still)] * frames
    after, _ = follow((first, still), *steps, seconds=seconds)
    rim, inside = (x.log_radiance[0, 0, 8] for x in (after, before))
    assert rim[0] > 1.5 and (inside[5:] < 0.1).all()
    assert (rim[5:] > 0.3 * rim[0]).all() and (rim[5:] < rim[0]).all()


def test_it_ages_by_seconds_not_frames(follow):
    steps = (flat(COLOUR), counts(0)), *[(flat(1), counts(0))] * 8
    fast, evidence = follow(*steps, seconds=torch.full((1,), 0.025))
    slow, once = follow(*steps[:3], seconds=torch.full((1,), 0.1))
    for a, b in zip((*fast, evidence.own, evidence.trust), (*slow, once.own, once.trust), strict=True):
        torch.testing.assert_close(a, b)
    assert fast.age.flatten()[0].item() == pytest.approx(0.2)
    assert follow(*steps, seconds=torch.full((1,), 2 * NEVER))[0].age.max() == NEVER


def test_a_pixel_with_one_channel_left_is_partly_trusted(follow):
    red, black = (torch.tensor([1.0, x, 1.0]).view(1, 3, 1, 1) for x in (0.5, 0.0))
    state, evidence = follow((flat(red), counts(0)))
    torch.testing.assert_close(state.variance, counts(PARTLY))
    torch.testing.assert_close(evidence.trust, counts(HALF_TRUSTED / (HALF_TRUSTED + PARTLY)))
    for frame in (flat(1), flat(black)):  # black says nothing
        state, _ = follow((frame, counts(0)))
        unknown = HALF_TRUSTED / LEAST_PASSED_ON - HALF_TRUSTED + SPREAD
        torch.testing.assert_close(state.variance, counts(unknown))


@pytest.mark.parametrize("on, off", [(0.25, 0.25), (0.2, 0.45)])
def test_both_thresholds_are_found_from_pixels_exposed_twice(follow, on, off):
    """A sensor that fires at random around the change, so that both polarities come."""
    rng = np.random.default_rng(1)
    level, state = rng.uniform(-2.0, -1.0, (40, 50)), None
    for _ in range(25):
        up, down = (rng.poisson(np.clip(1.5 + way * (level + 1.5), 0.2, 3)) for way in (-1, 1))
        change = on * up - off * down
        near = (level + change > -2.8) & (level + change < -0.3)
        change, up, down = (np.where(near, x, 0) for x in (change, up, down))
        level += change
        frame = torch.from_numpy(np.exp(level)).float().expand(1, 3, 40, 50)
        grid = torch.from_numpy(np.stack((up, -down))).float()[None]
        state, evidence = follow((frame, grid), state=state)
    assert evidence.fit.on.item() == pytest.approx(on, rel=0.05)
    assert evidence.fit.off.item() == pytest.approx(off, rel=0.05)


@pytest.mark.parametrize("contrast, within", [(0.1, 0.25), (0.25, 0.25), (0.45, 0.35)])
def test_the_thresholds_of_a_simulated_sensor_are_found(follow, contrast, within):
    events = EventCameraConfig(contrast=contrast, mismatch=0.04)
    values = {"width": 64, "height": 64, "seconds": 0.75, "seed": 1, "speed": 200, "renders": 200}
    config = SimulationConfig(**values, events=events)
    sequence, state = simulated_sequence(config, bins=5), None
    for frame, grid, seconds in zip(sequence.ldr, sequence.voxel, sequence.seconds, strict=True):
        state, evidence = follow((frame[None], grid[None]), state=state, seconds=seconds[None])
    assert evidence.fit.on.item() == pytest.approx(contrast, rel=within)
    assert evidence.fit.off.item() == pytest.approx(contrast, rel=within)
    assert evidence.fit.explained.item() > 0.6


def test_clipped_pixels_say_nothing_about_the_fit(follow):
    state, evidence = follow((flat(0.5), counts(0)), (flat(1), counts(30)))
    torch.testing.assert_close(state.fit, initial_sums(COLOUR))


def test_pixels_just_exposed_again_say_nothing_about_the_fit(follow):
    """Their level before is a guess: here one channel was clipped, the others well within the range."""
    red = torch.tensor([1.0, 0.3, 0.3]).view(1, 3, 1, 1)
    state, _ = follow((flat(0.4), counts(0)), (flat(red), counts(0)), (flat(0.8), counts(30)))
    torch.testing.assert_close(state.fit, initial_sums(COLOUR))


def test_a_hot_pixel_says_nothing_about_the_fit(follow):
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(-2, 3, (1, 1, 40, 40), generator=generator).float()
    frames, fits = (flat(0.3, 40), flat(0.3, 40) * (0.3 * noise).exp()), []
    for _ in range(2):
        fits.append(follow((frames[0], counts(0, 40)), (frames[1], noise))[1].fit)
        noise[..., 10, 10] = 1e6
    assert fits[0].on.item() == pytest.approx(0.3, rel=0.05)
    assert [x.item() for x in fits[1]] == pytest.approx([x.item() for x in fits[0]], rel=0.1)
    assert fits[1].on.item() == pytest.approx(fits[0].on.item(), rel=0.01)
    assert fits[1].off.item() == pytest.approx(fits[0].off.item(), rel=0.01)


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
    constant = torch.full((1, 3, height, width), 2.5)
    filled = fill(torch.cat((constant, constant / 2.5), 1), weight)
    torch.testing.assert_close(filled[:, :3], constant)
    assert (filled[:, 3] <= 1).all() and (filled[:, 3] >= PASSED_ON**LEVELS - 1e-6).all()


@pytest.mark.parametrize("height, width", [(1, 1), (1, 9), (2, 3), (70, 129)])
def test_fill_of_nothing_is_no_nan(height, width):
    values = torch.randn(1, 3, height, width)
    assert fill(values, torch.zeros(1, 1, height, width)).isfinite().all()


@pytest.mark.parametrize("height, width", [(1, 1), (1, 9), (9, 2), (5, 7)])
def test_any_size_advances(height, width):
    ldr, voxel = torch.ones(2, 3, height, width), torch.ones(2, 5, height, width)
    state = initial_state(ldr)
    for _ in range(3):
        state, evidence = advance(ldr, voxel, state, torch.tensor([0.05, 0.0]))
    assert all(x.isfinite().all() for x in (*state, evidence.trust))


@pytest.mark.parametrize("place", [(4, 5), (0, 3), (8, 8)])
def test_a_lone_hot_pixel_is_cut(place):
    row, column = place
    events = torch.randint(0, 3, (1, 1, 9, 9), generator=torch.Generator().manual_seed(0)).float()
    hot = events.clone()
    hot[..., row, column] = 500
    cut = without_isolated(hot)
    assert cut[0, 0, row, column] <= 2 + ISOLATED
    others = torch.ones(9, 9, dtype=bool)
    others[max(0, row - 1) : row + 2, column - 1 : column + 2] = False
    assert torch.equal(cut[..., others], without_isolated(events)[..., others])


@pytest.mark.parametrize("sign", [1, -1])
def test_a_hot_pixel_stays_near_its_neighbours_whatever_it_fires(follow, sign):
    hot = counts(0)
    hot[..., 4, 4] = 500 * sign
    state, _ = follow((flat(0.9), counts(0)), (flat(1), hot))
    quiet, _ = follow((flat(0.9), counts(0)), (flat(1), counts(0)))
    change = (state.log_radiance - quiet.log_radiance).abs()
    assert change.max() <= ISOLATED * max(PRIOR.on.item(), PRIOR.off.item())


def test_lines_and_areas_are_left():
    events = torch.zeros(2, 1, 12, 12)
    events[0, :, 5] = 40  # an edge that passes
    events[0, :, 8:11, 2:5] = 30
    events[1, 0, range(12), range(12)] = 17
    assert torch.equal(without_isolated(events), events)


def test_events_of_one_polarity_do_not_hide_those_of_the_other(follow):
    """As many up as down add up to nothing, and to the variance of both."""
    seen, _ = follow((flat(0.9), counts(0)))
    seen = with_thresholds(seen, 0.25, 0.25)
    state, evidence = follow((flat(1), torch.cat((counts(5), counts(-5)), 1)), state=seen)
    assert state.log_radiance.abs().max() < 1e-3
    torch.testing.assert_close(
        state.variance, counts(EXPOSED + 10 * evidence.fit.noise.item() + DRIFT * 0.05)
    )


def test_more_than_plausible_counts_move_a_pixel_but_not_the_fit(follow):
    many = PLAUSIBLE + 1
    state, _ = follow((flat(0.1), counts(0)), (flat(0.5), counts(many)))
    torch.testing.assert_close(state.fit, initial_sums(COLOUR))
    state, _ = follow((flat(0.1), counts(0)), (flat(1), counts(many)))
    expected = min(np.log(0.1) + many * PRIOR.on.item(), LOG_LIMIT)
    torch.testing.assert_close(state.log_radiance, flat(expected), rtol=0, atol=1e-3)


@pytest.mark.parametrize("gain", [4.0, torch.tensor([4.0, 0.5])])
def test_rescaling_keeps_the_radiance_in_units_of_another_white(gain):
    ldr = torch.rand((2, 3, 6, 5), generator=torch.Generator().manual_seed(0)).add(0.3).clamp_max(1)
    state, _ = advance(ldr, torch.ones(2, 5, 6, 5), initial_state(ldr), SECONDS.expand(2))
    now = rescale(state, gain)
    factors = torch.as_tensor(gain).expand(2).view(2, 1, 1, 1)
    torch.testing.assert_close(now.log_radiance.exp(), factors * state.log_radiance.exp())
    assert all(torch.equal(a, b) for a, b in zip(now[1:], state[1:], strict=True))


def test_a_known_change_of_exposure_keeps_the_radiance_and_the_fit(follow):
    """One scene at half and at full exposure: in units of white everything doubles, and no event comes."""
    scene = flat(0.2)
    scene[..., 4:] = 0.7
    state, _ = follow((scene, counts(0)))
    state, _ = follow(((2 * scene).clamp_max(1), counts(0)), state=rescale(state, 2.0))
    torch.testing.assert_close(state.log_radiance, (2 * scene).log(), rtol=0, atol=1e-4)
    torch.testing.assert_close(state.fit, initial_sums(COLOUR))


def test_the_given_state_is_left_as_it_is(follow):
    state, _ = follow((flat(0.5), counts(0)))
    before = [x.clone() for x in state]
    follow((flat(1), counts(5)), state=state)
    assert all(map(torch.equal, state, before))
