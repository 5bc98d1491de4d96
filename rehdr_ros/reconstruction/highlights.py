"""The operator `highlights`: the frame's own display, and what is above its white brought into its range.

Each place has a curve of its own on the logarithm of the brightness, that leaves all below two stops under
white as it is. Above, the display's two stops are shared out by what there is around: the slope goes with the
square root of the local histogram, but is nowhere above 1, so that where nothing is above white nothing
changes. It rises everywhere, so that no halo comes of it. Of fine detail, what the curve takes is given back,
and a little more, less where the radiance is uncertain: inside of a lamp's rim that overshoots by up to half
a stop. Detail is what differs from the mean around, in which for what is below white nothing counts as
brighter than white: a sign beside a window keeps its margin. (Histogram adjustment of Ward et al. 1997, whose
slopes by a power of the histogram are those of Mai et al. 2011, on overlapping windows.)
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from rehdr_ros.jit import kernel, sealed
from rehdr_ros.luminance import BT709

_KNEE = -2.0  # stops, white = 0, below which nothing changes
_BIN, _BINS = 0.5, 20  # stops a bin of the histogram; the last one ends 8 stops above white
_TOP = _KNEE + _BIN * _BINS
_BELOW = round(-_KNEE / _BIN)  # bins that are below white
_EXPOSED = 0.8  # share of the pixels that is added to each bin below white
_FINE, _COARSE = 64, 4  # cells along the short side that are fine detail's surroundings; of them one window
_WHITE = -0.5, 0.5  # stops, up to and from where on a pixel counts as below, and above, white
_LIMIT = 0.6  # stops that detail approaches
_MORE, _DARKENED = 0.8, 0.5  # of the detail, added to that where white is shown so many stops darker
_UNSURE = 0.35  # nat of sigma that halves detail
_LEAST = 1e-9  # brightness that counts as black

_ONE = 0x3F800000  # bits of the float32 1.0
_OCTAVE = 1 << 23  # between two powers of two
_RED, _GREEN, _BLUE = BT709


def apply(planes: np.ndarray, size: tuple[int, int], sigma: np.ndarray | None, white: float) -> np.ndarray:
    """The frame as displayed, linear, its brightest channel 1 at most: float32 (3, H W), as planes, sealed.

    size: height, width. sigma: of log radiance, nat, float32 (H W), sealed. white: the radiance at which the
    camera clips.
    """
    height, width = size
    fine, scale, out = _cell_size(height, width), np.float32(1 / white), np.empty_like(planes)
    stops = np.empty(size, np.float32)
    _find_stops(planes, scale, stops.reshape(-1))
    rows, columns = -(-height // fine), -(-width // fine)
    means = np.zeros((rows, columns, 2), np.float32)
    shares = np.zeros((-(-rows // _COARSE), -(-columns // _COARSE), _BINS), np.float32)
    _count(stops, fine, means, shares)
    sigma = sealed(np.empty(0, np.float32)) if sigma is None else sigma
    _map(planes, scale, stops, sigma, fine, _blurred(means), _curves(_blurred(_blurred(shares))), out)
    return sealed(out)


def _cell_size(height: int, width: int) -> int:
    """px of the fine cells of a frame of this size."""
    return max(1, round(min(height, width) / _FINE))


@kernel
def _find_stops(planes, scale, stops):
    red, green, blue = planes[0], planes[1], planes[2]
    least, half = np.float32(_LEAST), np.float32(0.5)
    for i in range(len(stops)):
        y = _RED * red[i] + _GREEN * green[i] + _BLUE * blue[i]
        brightness = half * scale * (y + max(red[i], green[i], blue[i]))
        brightness = brightness if brightness > least else least
        above = np.float32(brightness).view(np.int32) - np.int32(_ONE)
        stops[i] = np.float32(above) * np.float32(1 / _OCTAVE)


@kernel
def _count(stops, fine, means, counts):
    """Means of the fine cells from the knee on, to white and to the top; the windows' shares by bin."""
    height, width = stops.shape
    window, knee, top = fine * _COARSE, np.float32(_KNEE), np.float32(_TOP)
    for i in range(height):
        row, line, sums = stops[i], counts[i // window], means[i // fine]
        for cell in range(len(sums)):
            to_white, total = np.float32(0), np.float32(0)
            for j in range(cell * fine, min((cell + 1) * fine, width)):
                value = min(max(row[j], knee), top)
                to_white += min(value, np.float32(0))
                total += value
            sums[cell, 0] += to_white
            sums[cell, 1] += total
        for cell in range(len(line)):
            found = line[cell]
            for j in range(cell * window, min((cell + 1) * window, width)):
                if row[j] > knee:
                    k = np.int64((min(row[j], top) - knee) * np.float32(1 / _BIN))
                    found[min(k, _BINS - 1)] += np.float32(1)
    for i in range(means.shape[0]):
        for j in range(means.shape[1]):
            means[i, j] /= min(fine, height - i * fine) * min(fine, width - j * fine)
    for i in range(counts.shape[0]):
        for j in range(counts.shape[1]):
            counts[i, j] /= min(window, height - i * window) * min(window, width - j * window)


@kernel
def _blurred(cells):
    """(h, w, n) by [1, 2, 1] / 4 along both axes."""
    height, width, _ = cells.shape
    half, quarter = np.float32(0.5), np.float32(0.25)
    across = np.empty_like(cells)
    for i in range(height):
        for j in range(width):
            left, right = cells[i, max(j - 1, 0)], cells[i, min(j + 1, width - 1)]
            across[i, j] = half * cells[i, j] + quarter * (left + right)
    out = np.empty_like(cells)
    for i in range(height):
        out[i] = half * across[i] + quarter * (across[max(i - 1, 0)] + across[min(i + 1, height - 1)])
    return out


@kernel
def _curves(shares):
    height, width, _ = shares.shape
    curves = np.empty((height, width, _BINS + 1), np.float32)
    slopes, half, one = np.empty(_BINS, np.float32), np.float32(0.5), np.float32(1)
    for i in range(height):
        for j in range(width):
            for k in range(_BINS):
                exposed = np.float32(_EXPOSED if k < _BELOW else 0)
                slopes[k] = half * np.sqrt(shares[i, j, k] + exposed)  # of which none is 1 yet
            left, settled = np.float32(_BELOW), 0
            while settled < _BINS:  # slopes above 1 leave the others more
                total = np.float32(0)
                for k in range(_BINS):
                    if slopes[k] < one:
                        total += slopes[k]
                factor, new = left / total, 0
                for k in range(_BINS):
                    if slopes[k] < one and factor * slopes[k] >= one:
                        slopes[k] = one
                        left -= one
                        new += 1
                if not new:
                    break
                settled += new
            value = np.float32(_KNEE)
            curves[i, j, 0] = value
            for k in range(_BINS):
                value += np.float32(_BIN) * (slopes[k] if slopes[k] >= one else factor * slopes[k])
                curves[i, j, k + 1] = value
    return curves


@kernel
def _map(planes, scale, stops, sigma, fine, means, curves, out):
    """stops: of the brightness, (H, W); means: of the fine cells; curves: the windows', stops by edge."""
    height, width = stops.shape
    (rows, columns, _), windows = means.shape, curves.shape[1]
    around, line = np.empty((columns, 2), np.float32), np.empty((windows, _BINS + 1), np.float32)
    below, whole = np.float32(_WHITE[0]), np.float32(1 / (_WHITE[1] - _WHITE[0]))
    near, shares = _steps(width, fine, columns)
    left, parts = _steps(width, fine * _COARSE, windows)
    above, falls = _steps(height, fine, rows)
    upper, lows = _steps(height, fine * _COARSE, curves.shape[0])
    gains, known = np.empty(width, np.float32), len(sigma) > 0
    one, knee, limit = np.float32(1), np.float32(_KNEE), np.float32(1 / _LIMIT)
    more, darkened = np.float32(_MORE), np.float32(1 / _DARKENED)
    top, unsure, per_bin = np.float32(_TOP), np.float32(1 / _UNSURE), np.float32(1 / _BIN)
    red, green, blue = planes[0], planes[1], planes[2]
    for i in range(height):
        first, second, share = means[above[i]], means[min(above[i] + 1, rows - 1)], falls[i]
        for j in range(columns):
            for c in range(2):
                around[j, c] = first[j, c] + share * (second[j, c] - first[j, c])
        start, end, share = curves[upper[i]], curves[min(upper[i] + 1, curves.shape[0] - 1)], lows[i]
        for j in range(windows):
            for k in range(_BINS + 1):
                line[j, k] = start[j, k] + share * (end[j, k] - start[j, k])
        row = stops[i]
        for j in range(width):
            if not row[j] > knee:
                gains[j] = scale
                continue
            value = min(row[j], top)
            at = (value - knee) * per_bin
            k = min(np.int64(at), _BINS - 1)
            a, b = line[left[j]], line[min(left[j] + 1, windows - 1)]
            low, high = a[k] + parts[j] * (b[k] - a[k]), a[k + 1] + parts[j] * (b[k + 1] - a[k + 1])
            is_above = min(max((value - below) * whole, np.float32(0)), one)
            m, n = around[near[j]], around[min(near[j] + 1, columns - 1)]
            to_white = m[0] + shares[j] * (n[0] - m[0])
            detail = value - (to_white + is_above * (m[1] + shares[j] * (n[1] - m[1]) - to_white))
            detail /= np.sqrt(one + (limit * detail) ** 2)
            if known:
                detail /= one + (unsure * sigma[i * width + j]) ** 2
            slope = (high - low) * per_bin
            white = a[_BELOW] + parts[j] * (b[_BELOW] - a[_BELOW])
            gain = one - slope + more * min(one, -darkened * white)
            shown = low + (at - np.float32(k)) * (high - low) + gain * detail
            gains[j] = scale * _power_of_two(shown) / _power_of_two(row[j])
        for j in range(width):
            at = i * width + j
            r, g, b = gains[j] * red[at], gains[j] * green[at], gains[j] * blue[at]
            most = max(r, g, b)
            if most > one:  # the brightness is kept, and as much of the colour as fits
                y = _RED * r + _GREEN * g + _BLUE * b
                y = min(y, one)
                share = (one - y) / max(most - y, np.float32(_LEAST))
                r, g, b = y + share * (r - y), y + share * (g - y), y + share * (b - y)
            out[0, at], out[1, at], out[2, at] = r, g, b


@kernel
def _power_of_two(stops):
    """The brightness whose `stops` these are."""
    return np.int32(np.int32(stops * np.float32(_OCTAVE)) + np.int32(_ONE)).view(np.float32)


@kernel
def _steps(length, cell, cells):
    """Of each pixel: the cell whose middle lies before it, and the share of the way to the next."""
    before, shares = np.empty(length, np.int64), np.empty(length, np.float32)
    for i in range(length):
        place = min(max((i + 0.5) / cell - 0.5, 0.0), cells - 1.0)
        before[i] = np.int64(place)
        shares[i] = place - before[i]
    return before, shares


def by_torch(radiance: Tensor, sigma: Tensor | None, white: float) -> Tensor:
    """What the kernels do, on any device: (H, W, 3), linear, from radiance (H, W, 3) and sigma (H, W)."""
    scaled = radiance / white
    y = _luminance(scaled)
    brightness = (0.5 * (y + scaled.amax(-1, keepdim=True))).clamp_min(_LEAST)[..., 0]
    stops = (brightness.view(torch.int32) - _ONE).float() / _OCTAVE
    height, width = stops.shape
    fine = _cell_size(height, width)
    value = stops.clamp(_KNEE, _TOP)
    means = torch.stack((value.clamp_max(0), value))
    means = _blurred_by_torch(avg_pool2d(means[None], fine, ceil_mode=True)[0])
    to_white, mean = _enlarged(means, height, width, fine)
    at = (value - _KNEE) / _BIN
    k = at.long().clamp_max(_BINS - 1)
    found = torch.stack([((k == each) & (stops > _KNEE)).float() for each in range(_BINS)])
    shares = avg_pool2d(found[None], fine * _COARSE, ceil_mode=True)[0]
    curves = _curves_by_torch(_blurred_by_torch(_blurred_by_torch(shares)))
    curves = _enlarged(curves, height, width, fine * _COARSE)
    low, high = curves.gather(0, k[None])[0], curves.gather(0, k[None] + 1)[0]
    below, above = _WHITE
    is_above = ((value - below) / (above - below)).clamp(0, 1)
    detail = value - torch.lerp(to_white, mean, is_above)
    detail = detail / (1 + (detail / _LIMIT) ** 2).sqrt()
    if sigma is not None:
        detail = detail / (1 + (sigma / _UNSURE) ** 2)
    gain = 1 - (high - low) / _BIN + _MORE * (-curves[_BELOW] / _DARKENED).clamp_max(1)
    shown = low + (at - k) * (high - low) + gain * detail
    shown = torch.where(stops > _KNEE, shown, stops)
    scaled = scaled * ((shown * _OCTAVE).int() + _ONE).view(torch.float32)[..., None] / brightness[..., None]
    y, most = _luminance(scaled).clamp_max(1), scaled.amax(-1, keepdim=True)
    desaturated = y + (1 - y) / (most - y).clamp_min(_LEAST) * (scaled - y)
    return torch.where(most > 1, desaturated, scaled)


def _curves_by_torch(shares: Tensor) -> Tensor:
    """(bins, h, w) -> (bins + 1, h, w)."""
    exposed = torch.tensor([_EXPOSED] * _BELOW + [0.0] * (_BINS - _BELOW), device=shares.device)
    slopes = 0.5 * (shares + exposed[:, None, None]).sqrt()
    settled = torch.zeros_like(slopes, dtype=torch.bool)
    for _ in range(_BELOW + 1):
        left = _BELOW - settled.sum(0)
        factor = left / slopes.masked_fill(settled, 0).sum(0)
        settled = settled | (factor * slopes >= 1)
    slopes = torch.where(settled, 1.0, factor * slopes)
    return _KNEE + _BIN * torch.cat((torch.zeros_like(slopes[:1]), slopes.cumsum(0)))


def _blurred_by_torch(planes: Tensor) -> Tensor:
    for axis in (1, 2):
        wide = pad(planes[None], (1, 1, 0, 0) if axis == 2 else (0, 0, 1, 1), "replicate")[0]
        length = planes.shape[axis]
        before, planes, after = (wide.narrow(axis, start, length) for start in range(3))
        planes = 0.5 * planes + 0.25 * (before + after)
    return planes


def _enlarged(planes: Tensor, height: int, width: int, cell: int) -> Tensor:
    """(n, h, w) -> (n, height, width), linear between the middles of cells of so many px."""
    for axis, length in ((1, height), (2, width)):
        cells = planes.shape[axis]
        place = (torch.arange(length, device=planes.device) + 0.5) / cell - 0.5
        place = place.clamp(0, cells - 1)
        before = place.long()
        share = (place - before).view((-1, 1) if axis == 1 else (-1,))
        start = planes.index_select(axis, before)
        planes = start + share * (planes.index_select(axis, (before + 1).clamp_max(cells - 1)) - start)
    return planes


def _luminance(radiance: Tensor) -> Tensor:
    red, green, blue = map(float, BT709)
    return red * radiance[..., :1] + green * radiance[..., 1:2] + blue * radiance[..., 2:]
