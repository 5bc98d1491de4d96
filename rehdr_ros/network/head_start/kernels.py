"""`prepare` on a CPU: reference.py and event_fit.py in a few passes over the frame instead of a hundred.

Only clipped pixels are worked on one by one; what all pixels need is done row by row, in loops short enough
for the compiler to vectorise.
"""

import math

import numpy as np
import torch
from torch import Tensor

from rehdr_ros.jit import kernel, reduction
from rehdr_ros.network import event_fit
from rehdr_ros.network.contract import Stream
from rehdr_ros.network.event_fit import EventFit
from rehdr_ros.network.head_start import edges_kernels, guesses, pyramid, surroundings_kernels, tones
from rehdr_ros.network.head_start import reference as head_start
from rehdr_ros.network.head_start.reference import Evidence, HeadStart, Inputs, condition
from rehdr_ros.network.head_start.scalars import (
    THIRD,
    between,
    blended,
    columns,
    larger,
    mean_of_three,
    ramp,
    smaller,
)
from rehdr_ros.threads import in_bands

_FLOOR, _LOG_LIMIT = np.float32(head_start.FLOOR), np.float32(head_start.LOG_LIMIT)
_UNKNOWN, _NEVER = np.float32(guesses.UNKNOWN), np.float32(head_start.NEVER)
_HALF_TRUSTED, _PARTLY = np.float32(head_start.HALF_TRUSTED), np.float32(head_start.PARTLY)
_EXPOSED = np.float32(head_start.EXPOSED)
_PASSED_ON, _LEAST_PASSED_ON = np.float32(pyramid.PASSED_ON), np.float32(head_start.LEAST_PASSED_ON)
_SPREAD, _ISOLATED = np.float32(head_start.SPREAD), np.float32(head_start.ISOLATED)
_TELLING, _LEAST_WEIGHT = np.float32(head_start.TELLING), np.float32(head_start.LEAST_WEIGHT)
_SURE, _GUESSED = (np.float32(x) for x in guesses.GUESSED)
_BELOW_WHITE, _BLOCK = np.float32(guesses.LEAST), guesses.BLOCK
_PRIOR = np.array(event_fit.PRIOR)
_FEWEST = np.float32(event_fit.LEAST)
_LEAST, _MOST = event_fit.THRESHOLDS
_LEAST_NOISE, _MOST_NOISE = event_fit.NOISES
_SINGULAR = event_fit.SINGULAR
_LOW, _HIGH = (np.float32(math.log(level)) for level in event_fit.CALIBRATION_RANGE)
_PLAUSIBLE = np.float32(event_fit.PLAUSIBLE)
_OUTLIER, _FRAME_VARIANCE = np.float32(event_fit.OUTLIER), np.float32(event_fit.FRAME_VARIANCE)
_BELOW = np.float32(tones.BELOW)
_SHARE, _MOST_MOVED = np.float32(head_start.LOG_SHARE), np.float32(head_start.MOST_MOVED)
_DARKEST, _LOG_FLOOR = np.float32(head_start.DARKEST), np.float32(math.log(head_start.FLOOR))
_0, _1 = np.float32(0), np.float32(1)
_NONE = np.zeros((4, 1, 1), np.float32)


def prepare(
    ldr: Tensor, voxel: Tensor, state: HeadStart, stream: Stream, sparse: bool
) -> tuple[Inputs, HeadStart, Evidence]:
    """As of the package: (1, 3, H, W), (1, bins, H, W) float32 on the CPU, H, W > 1; stream.seconds (1,)."""
    ldr, voxel, seconds = ldr.float(), voxel.float(), stream.seconds
    image, shown = torch.empty(1, head_start.IMAGE_CHANNELS, *ldr.shape[2:]), torch.empty(ldr.shape)
    moved, fit = torch.empty(voxel.shape), torch.empty(4)
    level = torch.zeros(1, 1, *ldr.shape[2:])
    new = HeadStart(*(torch.empty(x.shape) for x in state))  # rows after rows, whatever the state's layout
    inputs, numbers = map(_array, (ldr, shown, voxel)), (np.float32(stream.clipped_from), seconds.item())
    outputs = _arrays(new), *(x[0].numpy() for x in (moved, image, level)), fit.numpy()
    if not _advance(*inputs, _arrays(state), *numbers, *outputs, sparse):
        image, moved = (torch.zeros(1, 1, 1, 1).expand(x.shape) for x in (image, moved))
        new = new._replace(log_radiance=shown)
    fit, interval = EventFit(*fit.view(4, 1, 1, 1, 1)), seconds.view(1, 1, 1, 1)
    evidence = Evidence(fit, shown, image[:, 6:7], image[:, 7:8], tones.excess(new.tones), level)
    inputs = image, image[:, :3], moved, condition(fit, interval, evidence.likely), interval
    return Inputs(*inputs), new, evidence


def _logarithm(ldr: np.ndarray, log: np.ndarray, shown: np.ndarray, first: int, end: int) -> None:
    """Of those rows, as the convolutions' LDR is made of, and as the head start takes it."""
    _limited(ldr, _DARKEST, log, first, end)
    np.log(log[:, first:end], out=log[:, first:end])  # in half of torch's time
    _limited(log, _LOG_FLOOR, shown, first, end)  # which is above DARKEST's


def _array(x: Tensor) -> np.ndarray:
    return x[0].contiguous().numpy()


def _arrays(state: HeadStart) -> tuple[np.ndarray, ...]:
    """log_radiance (3, H, W), variance, age and quiet (H, W), recent (3, H, W), fit (8,), tones (2,)."""
    log_radiance, *planes, recent, fit, counts = state
    return _array(log_radiance), *(_array(x[0]) for x in planes), *map(_array, (recent, fit, counts))


def _advance(ldr, shown, voxel, old, clipped_from, seconds, new, moved, image, level, fit, sparse) -> bool:
    """Writes what comes after `old`. Returns whether inputs and log radiance, else `shown`, are written."""
    # Planes of the image that are written last hold what only this function needs: less memory to go through.
    events, own, trust, weight, mask = image[3:5], *image[6:10]
    log_radiance, variance, age, quiet, recent, sums, counts = new
    height, width = own.shape
    clipped, told = np.empty(height, np.bool_), np.empty((height, 8))
    fades = math.exp(-seconds / event_fit.MEMORY), math.exp(-seconds / event_fit.BASELINE)
    known = old[0], old[2], old[4], old[5]
    outputs = clipped, events, weight, mask, recent, told

    def observe(first: int, end: int) -> tuple[int, int]:
        _logarithm(ldr, image[:3], shown, first, end)
        return _observe(ldr, shown, voxel, *known, fades[1], clipped_from, *outputs, first, end)

    now = np.sum(in_bands(observe, height, _BLOCK), 0) / (height * width)
    sums[:] = _PRIOR + (old[5] - _PRIOR) * fades[0] + (1 - fades[1]) * told.sum(0)
    counts[:] = now + (old[6] - now) * math.exp(-seconds / tones.MEMORY)
    fit[:] = _read(sums)
    clips = clipped.any()
    if sparse and not clips:
        edges_kernels.wait(voxel, old[3], np.float32(seconds), quiet, 0, height)
        variance[:], age[:] = _EXPOSED, _0
        return False
    modelled = np.float32(event_fit.as_modelled(EventFit(*torch.from_numpy(fit))))
    least, most = head_start.REFILLED
    refilled = np.float32(seconds / (least + (most - least) * modelled))
    drift, seconds = np.float32(head_start.DRIFT * seconds), np.float32(seconds)
    coarse, halves = _NONE, _halves(weight)
    wrong = np.zeros((2, *(-(-n // _BLOCK) for n in own.shape)), np.float32)
    outputs = log_radiance, weight, own, trust, wrong

    def carry(first: int, end: int) -> None:
        rows = first, end
        _scale(voxel, moved, fit[0], fit[1], *rows)
        edges_kernels.wait(voxel, old[3], seconds, quiet, *rows)
        _carry(ldr, shown, clipped, events, *old[:2], fit, modelled, drift, clipped_from, *outputs, *rows)
        if modelled:
            _exposed_tell(shown, events, *old[:2], fit, weight, wrong, *rows)
        else:
            halve(*rows)

    def correct(first: int, end: int) -> None:
        _correct(shared, clipped, weight, own, trust, shown, log_radiance, first, end)
        halve(first, end)

    def halve(first: int, end: int) -> None:
        _halve(log_radiance, own, weight, *halves, first // 2, (end + 1) // 2)

    def settle(first: int, end: int) -> None:
        known = shown, clipped, coarse, weight, own, old[2], seconds, refilled
        _settle(*known, log_radiance, trust, variance, age, first, end)

    def see(first: int, end: int) -> None:
        if clips:
            surroundings_kernels.level(means, clipped, weight, level[0], first, end)
        _see(log_radiance, age, image, first, end)

    in_bands(carry, height, _BLOCK)
    if modelled and clips:
        shared = modelled * _shared(*wrong, *own.shape)
        in_bands(correct, height, _BLOCK)
    if clips:
        coarse = fill(*halves, pyramid.LEVELS - 1)
    in_bands(settle, height, _BLOCK)
    if modelled and clips:
        known = clipped, weight, variance, quiet
        edges_kernels.level(shown, *known, seconds, len(voxel), modelled, log_radiance)
    if clips:
        means = surroundings_kernels.means(shown, clipped, weight, log_radiance)
    in_bands(see, height, _BLOCK)
    return True


def _see(log_radiance: np.ndarray, age: np.ndarray, image: np.ndarray, first: int, end: int) -> None:
    """Those rows as convolutions see them, and the LDR's, of which `image` has the logarithm."""
    rows = slice(first, end)
    encoded, shares, exposed = image[:3, rows], image[3:6, rows], image[8, rows]
    np.multiply(encoded, np.float32(1 / head_start.ENCODING), out=encoded)
    np.exp(encoded, out=encoded)
    np.multiply(log_radiance[:, rows], _SHARE, out=shares)
    np.negative(age[rows], out=exposed)
    np.exp(exposed, out=exposed)


def fill(values: np.ndarray, weight: np.ndarray, levels: int) -> np.ndarray:
    """As of pyramid.py: values (4, H, W), the trust last, weight (H, W)."""
    if levels == 0 or min(weight.shape) < 2:
        return values
    halves = _halves(weight)
    _halve(values[:3], values[3], weight, *halves, 0, len(halves[1]))
    return _enlarge(fill(*halves, levels - 1), values, weight)


def _halves(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of half the size, rounded up: values (4, ...) and weight, 0."""
    shape = tuple((n + 1) // 2 for n in weight.shape)
    return np.zeros((4, *shape), np.float32), np.zeros(shape, np.float32)


def _shared(wrong: np.ndarray, tells: np.ndarray, height: int, width: int) -> np.ndarray:
    """As of guesses.py, before it is enlarged: (H, W) of blocks, whose sums are given."""
    rows, columns = (np.diff(np.append(np.arange(0, n, _BLOCK), n)) for n in (height, width))
    values = np.zeros((4, *tells.shape), np.float32)
    values[0], values[3] = wrong / np.maximum(tells, np.float32(1e-9)), _1
    filled = fill(values, tells / np.outer(rows, columns).astype(np.float32), pyramid.LEVELS - 2)
    return np.float32(guesses.SHARE) * filled[0] * filled[3]


@kernel
def _limited(values, least, out, first, end):
    """Rows of (C, H, W), no less than that."""
    for c in range(len(values)):
        for y in range(first, end):
            source, target = values[c, y], out[c, y]
            for x in range(len(target)):
                target[x] = larger(source[x], least)


@kernel
def _observe(
    ldr, shown, voxel, before, age, past, old, fading, clipped_from, clipped, events, weight, mask, recent,
    told, first, end,
):  # fmt: skip
    """The events by polarity without isolated ones, what event_fit.py makes of them, and what is clipped.

    Of rows from `first` to before `end`. before: log radiance. past: recent of before. fading: of that.
    clipped: rows with any. weight: 1 where a channel is. mask: of the brightest one. told: of each row what
    it adds to the sums. Returns how many pixels clip, and how many nearly do.
    """
    bins, height, width = voxel.shape
    fading = np.float32(fading)
    on, off = np.full((3, width + 2), -_1), np.full((3, width + 2), -_1)  # a row and those around it
    brightest, per = np.empty(width, np.float32), _read(old)
    share = _1 / (_1 + fading)
    scale, nearly, clip, near = _1 / (_1 - clipped_from), _BELOW * clipped_from, 0, 0
    for y in range(max(first - 1, 0), first + 1):
        _count(voxel, y, on[y % 3], off[y % 3])
    for y in range(first, end):
        above, here, below = (y + 2) % 3, y % 3, (y + 1) % 3
        if y + 1 < height:
            _count(voxel, y + 1, on[below], off[below])
        else:
            on[below], off[below] = -_1, -_1
        _limit_isolated(on[above], on[here], on[below], events[0, y])
        _limit_isolated(off[above], off[here], off[below], events[1, y])
        red, green, blue = ldr[0, y], ldr[1, y], ldr[2, y]
        for x in range(width):
            brightest[x] = larger(larger(red[x], green[x]), blue[x])
        many, out = _above(brightest, clipped_from), weight[y]
        clipped[y], clip, near = many > 0, clip + many, near + _above(brightest, nearly)
        for x in range(width):
            out[x] = _1 if brightest[x] >= clipped_from else _0
        out = mask[y]
        for x in range(width):
            out[x] = smaller(larger((brightest[x] - clipped_from) * scale, _0), _1)
        _recall(shown, before, y, age[y], weight[y], events, past, fading, recent)
        told[y] = _evidence(recent[0, y], recent[1, y], recent[2, y], share, per)
    return clip, near - clip


@kernel
def _above(values, level):
    count = 0
    for x in range(len(values)):
        count += values[x] >= level
    return count


@kernel
def _count(voxel, y, on, off):
    """Events of a row by polarity, in a border of -1."""
    rising, falling = on[1:-1], off[1:-1]
    rising[:], falling[:] = _0, _0
    for plane in range(len(voxel)):
        row = voxel[plane, y]
        for x in range(len(row)):
            rising[x] += larger(row[x], _0)
            falling[x] += larger(-row[x], _0)


@kernel
def _limit_isolated(above, here, below, out):
    for x in range(len(out)):
        over = larger(larger(above[x], above[x + 1]), above[x + 2])
        under = larger(larger(below[x], below[x + 1]), below[x + 2])
        most = larger(larger(over, under), larger(here[x], here[x + 2]))
        out[x] = smaller(here[x + 1], most + _ISOLATED)


@kernel
def _read(sums):
    """As of event_fit.py."""
    aa, bb, ab, ad, bd, dd, rr, n = sums
    determinant = max(aa * bb - ab * ab, _SINGULAR * aa * bb)
    on = min(max((ad * bb - ab * bd) / determinant, _LEAST), _MOST)
    off = min(max((ab * ad - aa * bd) / determinant, _LEAST), _MOST)
    noise, explained = min(max(rr / n, _LEAST_NOISE), _MOST_NOISE), min(max(1 - rr / dd, 0.0), 1.0)
    return np.float32(on), np.float32(off), np.float32(noise), np.float32(explained)


@kernel
def _recall(shown, log_radiance, y, age, clipped, events, past, fade, recent):
    """Row y of what is recent, as of event_fit.py."""
    on, off = events[0, y], events[1, y]
    old_change, old_on, old_off = past[0, y], past[1, y], past[2, y]
    change, risen, fallen = recent[0, y], recent[1, y], recent[2, y]
    now_red, now_green, now_blue = shown[0, y], shown[1, y], shown[2, y]
    red, green, blue = log_radiance[0, y], log_radiance[1, y], log_radiance[2, y]
    for x in range(len(on)):
        low = smaller(smaller(now_red[x], now_green[x]), smaller(now_blue[x], red[x]))
        low = smaller(low, smaller(green[x], blue[x]))
        high = larger(larger(now_red[x], now_green[x]), larger(now_blue[x], red[x]))
        high = larger(high, larger(green[x], blue[x]))
        usable = (clipped[x] == _0) & (age[x] == _0) & (low > _LOW) & (high < _HIGH)
        d = ((now_red[x] - red[x]) + (now_green[x] - green[x]) + (now_blue[x] - blue[x])) * THIRD
        change[x] = old_change[x] * fade + d if usable else _0
        risen[x] = old_on[x] * fade + on[x] if usable else _0
        fallen[x] = old_off[x] * fade + off[x] if usable else _0


@reduction
def _evidence(change, on, off, share, fit):
    """What a row of recent changes adds to the sums of event_fit.py."""
    per_on, per_off, noise, _ = fit
    aa, bb, ab, ad, bd, dd, rr, n = _0, _0, _0, _0, _0, _0, _0, _0
    for x in range(len(on)):
        a, b, d = on[x], off[x], change[x]
        usable = (a + b > _FEWEST) & (larger(a, b) <= _PLAUSIBLE)
        residual = d - per_on * a + per_off * b
        count = (a + b) * share
        expected = _OUTLIER * (noise * count + _FRAME_VARIANCE)
        weight = expected / (expected + residual * residual) if usable else _0
        aa += weight * a * a
        bb += weight * b * b
        ab += weight * a * b
        ad += weight * a * d
        bd += weight * b * d
        dd += weight * d * d
        rr += weight * residual * residual
        n += weight * count
    return np.array((aa, bb, ab, ad, bd, dd, rr, n))


@kernel
def _scale(voxel, moved, per_on, per_off, first, end):
    for plane in range(len(voxel)):
        for y in range(first, end):
            row, out = voxel[plane, y], moved[plane, y]
            for x in range(len(row)):
                value = row[x]
                value *= per_on if value > _0 else per_off
                out[x] = smaller(larger(value, -_MOST_MOVED), _MOST_MOVED)


@kernel
def _guessed(variance):
    """As of guesses.py."""
    if variance >= _UNKNOWN:
        return _0
    return ramp(variance, _SURE, _GUESSED)


@kernel
def _carry(
    ldr, shown, clipped, events, old, old_variance, fit, modelled, drift, clipped_from, carried, weight, own,
    tells, wrong, first, end,
):  # fmt: skip
    """In clipped pixels the log radiance, moved by events and corrected by known channels, and its weight.

    Elsewhere what is shown, and no weight. tells: by how much a clipped pixel counts among those that show
    how wrong guesses were. wrong: sums over blocks of that error times this, and of this.
    """
    per_on, per_off, noise = fit[0], fit[1], fit[2]
    width = weight.shape[1]
    for y in range(first, end):
        for c in range(3):
            carried[c, y] = shown[c, y]
        own[y] = _1
        block = wrong[:, y // _BLOCK]
        if not clipped[y]:
            continue
        for x in range(width):
            if weight[y, x] == _0:
                continue
            on, off = events[0, y, x], events[1, y, x]
            moved = per_on * on - per_off * off
            change, missing, known = moved, _0, _0
            for c in range(3):
                if (ldr[c, y, x] < clipped_from) & (ldr[c, y, x] > _FLOOR):
                    missing += shown[c, y, x] - (old[c, y, x] + change)
                    known += _1
            before = old_variance[y, x]
            variance = smaller(before + noise * (on + off) + drift, _UNKNOWN)
            if known:
                change += missing / known
                variance = smaller(variance, _PARTLY)
            for c in range(3):
                carried[c, y, x] = smaller(larger(old[c, y, x] + change, shown[c, y, x]), _LOG_LIMIT)
            own[y, x] = _HALF_TRUSTED / (_HALF_TRUSTED + variance)
            share = own[y, x] ** 4
            telling = larger((own[y, x] - _TELLING) / (_1 - _TELLING), _LEAST_WEIGHT)
            weight[y, x] = share + modelled * (telling - share)
            tells[y, x] = _0
            if before > _SURE:
                error = mean_of_three(carried, y, x) - (mean_of_three(old, y, x) + moved)
                if error > _BELOW_WHITE:
                    tells[y, x] = _guessed(before)
                    block[0, x // _BLOCK] += tells[y, x] * error
                    block[1, x // _BLOCK] += tells[y, x]


@kernel
def _exposed_tell(shown, events, old, old_variance, fit, weight, wrong, first, end):
    """Add to `wrong`, as of _carry, what pixels show that are exposed now and whose level was a guess."""
    for y in range(first, end):
        if not _any_above(old_variance[y], weight[y], _SURE):
            continue
        for x in range(weight.shape[1]):
            if weight[y, x] == _0 and old_variance[y, x] > _SURE:
                moved = fit[0] * events[0, y, x] - fit[1] * events[1, y, x]
                error = mean_of_three(shown, y, x) - (mean_of_three(old, y, x) + moved)
                told = _guessed(old_variance[y, x])
                wrong[0, y // _BLOCK, x // _BLOCK] += told * error
                wrong[1, y // _BLOCK, x // _BLOCK] += told


@kernel
def _any_above(values, weight, level):
    """Whether any value without weight is above that."""
    count = 0
    for x in range(len(values)):
        count += (weight[x] == _0) & (values[x] > level)
    return count > 0


@kernel
def _correct(shared, clipped, weight, own, tells, shown, carried, first, end):
    """Guesses by what others of the same kind have shown."""
    height, width = weight.shape
    left, right, along = columns(shared.shape[1], width)
    for y in range(first, end):
        if not clipped[y]:
            continue
        rows = between(y, shared.shape[0], height)
        for x in range(width):
            if weight[y, x] == _0:
                continue
            takes = _guessed(_HALF_TRUSTED / own[y, x] - _HALF_TRUSTED) * (_1 - tells[y, x])
            if takes == _0:
                continue
            error = takes * blended(shared, rows, left[x], right[x], along[x])
            for c in range(3):
                carried[c, y, x] = smaller(larger(carried[c, y, x] + error, shown[c, y, x]), _LOG_LIMIT)


@kernel
def _halve(values, trust, weight, means, weights, first, end):
    """Rows of half the size: weighted means, (4, ...) with the trust, and their weight; 0 without any."""
    height, width = weight.shape
    for y in range(first, end):
        top, bottom = 2 * y, min(2 * y + 1, height - 1)
        for x in range(weights.shape[1]):
            left, right = 2 * x, min(2 * x + 1, width - 1)
            a, b = weight[top, left], weight[top, right]
            c, d = weight[bottom, left], weight[bottom, right]
            total = a + b + c + d
            if total == _0:
                continue
            weights[y, x] = min(total, _1)
            divisor = max(total, np.float32(4e-9))
            for i in range(3):
                above = a * values[i, top, left] + b * values[i, top, right]
                below = c * values[i, bottom, left] + d * values[i, bottom, right]
                means[i, y, x] = (above + below) / divisor
            above = a * trust[top, left] + b * trust[top, right]
            below = c * trust[bottom, left] + d * trust[bottom, right]
            means[3, y, x] = (above + below) / divisor


@kernel
def _row(coarse, y, height, out):
    """Row y of `coarse` at another height, (4, columns)."""
    top, bottom, down = between(y, coarse.shape[1], height)
    for c in range(4):
        above, below, line = coarse[c, top], coarse[c, bottom], out[c]
        for x in range(len(line)):
            line[x] = above[x] + down * (below[x] - above[x])


@kernel
def _enlarge(coarse, values, weight):
    """Bilinear, and the values where there is weight."""
    height, width = weight.shape
    result = np.empty((4, height, width), np.float32)
    left, right, along = columns(coarse.shape[2], width)
    lines = np.empty((4, coarse.shape[2]), np.float32)
    for y in range(height):
        _row(coarse, y, height, lines)
        share = weight[y]
        for c in range(4):
            line, mine, out = lines[c], values[c, y], result[c, y]
            for x in range(width):
                out[x] = line[left[x]] + along[x] * (line[right[x]] - line[left[x]])
            if c == 3:
                out *= _PASSED_ON
            for x in range(width):
                out[x] += share[x] * (mine[x] - out[x])
    return result


@kernel
def _settle(
    shown, clipped, coarse, weight, own, old_age, seconds, refilled, log_radiance, trust, variance, age,
    first, end,
):  # fmt: skip
    """What lies around fills in clipped pixels what is known worse; trust, variance and age after it."""
    height, width = weight.shape
    left, right, along = columns(coarse.shape[2], width)
    lines = np.empty((4, coarse.shape[2]), np.float32)
    for y in range(first, end):
        if not clipped[y]:
            trust[y], variance[y], age[y] = _1, _EXPOSED, _0
            continue
        _row(coarse, y, height, lines)
        for x in range(width):
            share = weight[y, x]
            if share == _0:
                trust[y, x], variance[y, x], age[y, x] = _1, _EXPOSED, _0
                continue
            start = lines[3, left[x]]
            passed_on = _PASSED_ON * (start + along[x] * (lines[3, right[x]] - start))
            passed_on += share * (own[y, x] - passed_on)
            before = _HALF_TRUSTED / own[y, x] - _HALF_TRUSTED
            told = _HALF_TRUSTED / larger(passed_on, _LEAST_PASSED_ON) - _HALF_TRUSTED + _SPREAD
            after = smaller(before, told)
            kept = after / before * np.exp(-refilled * (after / told) ** 4)
            for c in range(3):
                start, value = lines[c, left[x]], log_radiance[c, y, x]
                filled = start + along[x] * (lines[c, right[x]] - start)
                filled += share * (value - filled)
                log_radiance[c, y, x] = larger(filled + kept * (value - filled), shown[c, y, x])
            trust[y, x] = _HALF_TRUSTED / (_HALF_TRUSTED + after)
            variance[y, x], age[y, x] = after, smaller(old_age[y, x] + seconds, _NEVER)
