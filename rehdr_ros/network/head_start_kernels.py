"""`Rehdr.prepare` on a CPU: head_start.py and integrator.py in a few passes over the frame instead of a hundred."""

import math

import numpy as np
import torch
from torch import Tensor

from rehdr_ros.jit import kernel
from rehdr_ros.luminance import BT709
from rehdr_ros.network import head_start, integrator
from rehdr_ros.network.head_start import HeadStart
from rehdr_ros.network.integrator import IntegratorState
from rehdr_ros.network.rehdr import Prepared

_RED, _GREEN, _BLUE = (np.float32(share) for share in BT709)
_FLOOR, _LOG_LIMIT = np.float32(head_start._FLOOR), np.float32(head_start._LOG_LIMIT)
_LOW, _HIGH = (np.float32(level) for level in integrator._CALIBRATION_RANGE)
_LOG_LOW, _LOG_HIGH = (np.float32(math.log(level)) for level in integrator._CALIBRATION_RANGE)
_PRIOR, _MEMORY, _DECAY = integrator._PRIOR, integrator._MEMORY, np.float32(integrator.RECENCY_DECAY)
_PLAUSIBLE, _ISOLATED = np.float32(integrator._PLAUSIBLE), np.float32(head_start._ISOLATED)
_FADE, _PARTLY = np.float32(head_start._FADE), np.float32(head_start._PARTLY)
_PASSED_ON = np.float32(head_start._PASSED_ON)
_AROUND = 4  # px on each side, whose trust is passed on
_0, _1 = np.float32(0), np.float32(1)
_SHARE, _MOST = np.float32(0.3), np.float32(3)  # of logarithms, and of the grid, in what the network sees


def prepare(ldr: Tensor, voxel: Tensor, state: HeadStart, clipped_from: float) -> tuple[Prepared, HeadStart]:
    """As `Rehdr.prepare` with head_start="filled", for one frame: (1, 3, H, W) and (1, bins, H, W) float32 on the CPU.

    Equal to it but for rounding. H and W are at least 2.
    """
    log = ldr.contiguous().clamp_min(1e-4).log()
    y = integrator.luminance(ldr)
    log_y = y.clamp_min(head_start._FLOOR).log()
    image = torch.empty(1, 10, *ldr.shape[2:])
    encoded = torch.exp(log / 2.2)
    image[:, :3] = encoded
    shown = log.clamp_min_(math.log(head_start._FLOOR))
    scaled = torch.empty(voxel.shape)
    new = HeadStart(IntegratorState(*map(torch.empty_like, state.integrator)), *map(torch.empty_like, state[1:]))
    ldr, shown, y, log_y, voxel = map(_array, (ldr, shown, y[0], log_y[0], voxel))
    _advance(
        ldr, shown, y, log_y, voxel, _arrays(state), _arrays(new), scaled[0].numpy(), image[0].numpy(), clipped_from
    )
    return Prepared(image, encoded, scaled), new


def _array(x: Tensor) -> np.ndarray:
    return x[0].contiguous().numpy()


def _arrays(state: HeadStart) -> tuple[np.ndarray, ...]:
    """log_luminance, recency, trust (H, W), calibration (2,), log_radiance (3, H, W)."""
    log_luminance, recency, calibration = state.integrator
    return *map(_array, (log_luminance[0], recency[0], state.trust[0])), *map(_array, (calibration, state.log_radiance))


def _advance(ldr, shown, y, log_y, voxel, old, new, scaled, image, clipped_from) -> None:
    clipped_from = np.float32(clipped_from)
    log_luminance, recency, trust, calibration, log_radiance = old
    brightest, polarity_sum, weight = (np.empty(y.shape, np.float32) for _ in range(3))
    clipped = _reduce(ldr, voxel, brightest, weight, clipped_from)
    _limit_isolated(weight, polarity_sum)
    threshold = _calibrate(brightest, y, log_y, polarity_sum, log_luminance, recency, calibration, new[3], clipped_from)
    _integrate(brightest, log_y, polarity_sum, log_luminance, recency, new[0], new[1], threshold, clipped_from)
    _scale(voxel, scaled, threshold)
    if clipped:
        carried = np.empty(ldr.shape, np.float32)
        _carry(ldr, shown, polarity_sum, log_radiance, carried, new[2], threshold, clipped_from)
        _weigh(ldr, brightest, trust, new[2], weight, clipped_from)
        coarse = fill(*_halve(carried, weight), head_start._LEVELS - 1)
        _settle(shown, brightest, carried, coarse, weight, _rows_around(weight), new[2], new[4], clipped_from)
    else:
        new[4][:], new[2][:] = shown, 1
    _show(brightest, new[0], new[1], new[2], new[4], image, clipped_from)


def fill(values: np.ndarray, weight: np.ndarray, levels: int) -> np.ndarray:
    """As of head_start.py: values (3, H, W), weight (H, W)."""
    if levels == 0 or min(weight.shape) < 2:
        return values
    return _enlarge(fill(*_halve(values, weight), levels - 1), values, weight)


@kernel
def _larger(a, b):
    return a if a > b else b


@kernel
def _smaller(a, b):
    return a if a < b else b


@kernel
def _reduce(ldr, voxel, brightest, total, clipped_from):
    """The brightest channel and the sum of the bins; whether anything is clipped."""
    clipped = False
    for y in range(total.shape[0]):
        out, red, green, blue = brightest[y], ldr[0, y], ldr[1, y], ldr[2, y]
        for x in range(len(out)):
            out[x] = _larger(_larger(red[x], green[x]), blue[x])
        for x in range(len(out)):
            clipped |= out[x] >= clipped_from
        out = total[y]
        out[:] = _0
        for plane in range(len(voxel)):
            row = voxel[plane, y]
            for x in range(len(out)):
                out[x] += row[x]
    return clipped


@kernel
def _limit_isolated(values, out):
    """Each within its eight neighbours' range and a little more. Beyond the border lies what is mirrored there."""
    height, width = values.shape
    high, low = np.empty(width, np.float32), np.empty(width, np.float32)
    for y in range(height):
        above, here, below = values[y - 1 if y else 1], values[y], values[y + 1 if y < height - 1 else y - 1]
        for x in range(width):
            high[x], low[x] = _larger(above[x], below[x]), _smaller(above[x], below[x])
        row = out[y]
        for x in range(1, width - 1):
            most = _larger(_larger(high[x - 1], high[x]), _larger(high[x + 1], _larger(here[x - 1], here[x + 1])))
            least = _smaller(_smaller(low[x - 1], low[x]), _smaller(low[x + 1], _smaller(here[x - 1], here[x + 1])))
            row[x] = _smaller(_larger(here[x], least - _ISOLATED), most + _ISOLATED)
        for x, beside in ((0, 1), (width - 1, width - 2)):
            most = _larger(_larger(high[x], high[beside]), here[beside])
            least = _smaller(_smaller(low[x], low[beside]), here[beside])
            row[x] = _smaller(_larger(here[x], least - _ISOLATED), most + _ISOLATED)


@kernel
def _calibrate(brightest, y, log_y, polarity_sum, log_luminance, recency, old, new, clipped_from):
    """The contrast threshold; `new` gets the sums behind it."""
    ds = ss = 0.0
    for row in range(y.shape[0]):
        for x in range(y.shape[1]):
            s, before = polarity_sum[row, x], log_luminance[row, x]
            usable = (brightest[row, x] < clipped_from) & (recency[row, x] == _1) & (abs(s) <= _PLAUSIBLE)
            usable &= (y[row, x] > _LOW) & (y[row, x] < _HIGH) & (before > _LOG_LOW) & (before < _LOG_HIGH)
            s = s if usable else _0
            ds += (log_y[row, x] - before) * s
            ss += s * s
    new[0] = _PRIOR[0] + (old[0] - _PRIOR[0]) * _MEMORY + ds
    new[1] = _PRIOR[1] + (old[1] - _PRIOR[1]) * _MEMORY + ss
    return min(max(new[0] / new[1], np.float32(0.03)), _1)


@kernel
def _integrate(brightest, log_y, polarity_sum, old, old_recency, new, new_recency, threshold, clipped_from):
    for y in range(new.shape[0]):
        for x in range(new.shape[1]):
            exposed, shown = brightest[y, x] < clipped_from, log_y[y, x]
            carried = _smaller(_larger(old[y, x] + threshold * polarity_sum[y, x], shown), _LOG_LIMIT)
            new[y, x] = shown if exposed else carried
            new_recency[y, x] = _1 if exposed else old_recency[y, x] * _DECAY


@kernel
def _scale(voxel, scaled, threshold):
    for plane in range(len(voxel)):
        for y in range(voxel.shape[1]):
            values, out = voxel[plane, y], scaled[plane, y]
            for x in range(len(out)):
                out[x] = _smaller(_larger(values[x] * threshold, -_MOST), _MOST)


@kernel
def _carry(ldr, shown, polarity_sum, old, carried, correction, threshold, clipped_from):
    """The log radiance, moved by the events and corrected by the channels that are known."""
    for y in range(carried.shape[1]):
        total, out = correction[y], np.zeros(carried.shape[2], np.float32)
        total[:] = _0
        for c in range(3):
            values, lines, before, moved = ldr[c, y], shown[c, y], old[c, y], carried[c, y]
            for x in range(len(out)):
                moved[x] = before[x] + threshold * polarity_sum[y, x]
            for x in range(len(out)):
                known = (values[x] < clipped_from) & (values[x] > _FLOOR)
                total[x] += lines[x] - moved[x] if known else _0
                out[x] += _1 if known else _0
        for x in range(len(out)):
            total[x] /= _larger(out[x], _1)
        for c in range(3):
            lines, moved = shown[c, y], carried[c, y]
            for x in range(len(out)):
                moved[x] = _smaller(_larger(moved[x] + total[x], lines[x]), _LOG_LIMIT)


@kernel
def _weigh(ldr, brightest, old, trust, weight, clipped_from):
    for y in range(weight.shape[0]):
        red, green, blue = ldr[0, y], ldr[1, y], ldr[2, y]
        for x in range(weight.shape[1]):
            known = (red[x] < clipped_from) & (red[x] > _FLOOR)
            known |= (green[x] < clipped_from) & (green[x] > _FLOOR)
            known |= (blue[x] < clipped_from) & (blue[x] > _FLOOR)
            value = _FADE * old[y, x]
            value = _larger(value, _PARTLY) if known else value
            trust[y, x] = value
            weight[y, x] = _0 if brightest[y, x] < clipped_from else value * value


@kernel
def _halve(values, weight):
    """Half the size, rounded up: weighted means, and their weight."""
    height, width = weight.shape
    shape = (height + 1) // 2, (width + 1) // 2
    means, weights = np.empty((3, *shape), np.float32), np.empty(shape, np.float32)
    for y in range(shape[0]):
        top, bottom = 2 * y, min(2 * y + 1, height - 1)
        for x in range(shape[1]):
            left, right = 2 * x, min(2 * x + 1, width - 1)
            a, b = weight[top, left], weight[top, right]
            c, d = weight[bottom, left], weight[bottom, right]
            total = a + b + c + d
            weights[y, x] = min(total, _1)
            divisor = max(total, np.float32(4e-9))
            for i in range(3):
                above = a * values[i, top, left] + b * values[i, top, right]
                below = c * values[i, bottom, left] + d * values[i, bottom, right]
                means[i, y, x] = (above + below) / divisor
    return means, weights


@kernel
def _between(i, coarse, fine):
    """Of pixel i of `fine` in `coarse`: the pixel before, the one after, and the share of the latter."""
    position = max((i + 0.5) * coarse / fine - 0.5, 0.0)
    before = int(position)
    return before, min(before + 1, coarse - 1), np.float32(position - before)


@kernel
def _enlarge(coarse, values, weight):
    """Bilinear, and the values where there is weight."""
    result = np.empty_like(values)
    height, width = weight.shape
    for y in range(height):
        top, bottom, down = _between(y, coarse.shape[1], height)
        for x in range(width):
            left, right, along = _between(x, coarse.shape[2], width)
            for i in range(3):
                above = coarse[i, top, left] + along * (coarse[i, top, right] - coarse[i, top, left])
                below = coarse[i, bottom, left] + along * (coarse[i, bottom, right] - coarse[i, bottom, left])
                around = above + down * (below - above)
                result[i, y, x] = around + weight[y, x] * (values[i, y, x] - around)
    return result


@kernel
def _rows_around(weight):
    """Sums over _AROUND pixels to each side, along the rows."""
    sums = np.empty_like(weight)
    width = weight.shape[1]
    for y in range(weight.shape[0]):
        row, out = weight[y], sums[y]
        out[:] = row
        for offset in range(1, _AROUND + 1):
            for x in range(width - offset):
                out[x] += row[x + offset]
            for x in range(offset, width):
                out[x] += row[x - offset]
    return sums


@kernel
def _settle(shown, brightest, carried, coarse, weight, rows, trust, log_radiance, clipped_from):
    """The new log radiance and trust: of exposed pixels the frame's; in clipped ones what lies around fills in."""
    height, width = weight.shape
    for y in range(height):
        top, bottom, down = _between(y, coarse.shape[1], height)
        first, end = max(y - _AROUND, 0), min(y + _AROUND + 1, height)
        for i in range(3):
            log_radiance[i, y] = shown[i, y]
        for x in range(width):
            if brightest[y, x] < clipped_from:
                trust[y, x] = _1
                continue
            left, right, along = _between(x, coarse.shape[2], width)
            share = weight[y, x]
            for i in range(3):
                above = coarse[i, top, left] + along * (coarse[i, top, right] - coarse[i, top, left])
                below = coarse[i, bottom, left] + along * (coarse[i, bottom, right] - coarse[i, bottom, left])
                around = above + down * (below - above)
                value = carried[i, y, x]
                around += share * (value - around)
                around += share * (value - around)
                log_radiance[i, y, x] = max(around, shown[i, y, x])
            total = _0
            for row in range(first, end):
                total += rows[row, x]
            pixels = (end - first) * (min(x + _AROUND + 1, width) - max(x - _AROUND, 0))
            trust[y, x] = max(trust[y, x], _PASSED_ON * math.sqrt(total / np.float32(pixels)))


@kernel
def _show(brightest, log_luminance, recency, trust, log_radiance, image, clipped_from):
    """The last seven of the network's image channels."""
    scale = _1 / (_1 - clipped_from)
    for y in range(trust.shape[0]):
        red, green, blue, bare = log_radiance[0, y], log_radiance[1, y], log_radiance[2, y], log_luminance[y]
        for c in range(3):
            source, out = log_radiance[c, y], image[3 + c, y]
            for x in range(len(out)):
                out[x] = _SHARE * source[x]
        out = image[6, y]
        for x in range(len(out)):
            out[x] = _SHARE * (bare[x] - (_RED * red[x] + _GREEN * green[x] + _BLUE * blue[x]))
        image[7, y], image[8, y] = trust[y], recency[y]
        source, out = brightest[y], image[9, y]
        for x in range(len(out)):
            out[x] = _smaller(_larger((source[x] - clipped_from) * scale, _0), _1)
