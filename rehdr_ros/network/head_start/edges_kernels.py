"""edges.py on a CPU, for clipped pixels alone; (H, W) float32 planes, and what kernels.py has."""

import numpy as np

from rehdr_ros.jit import kernel
from rehdr_ros.network.head_start import edges
from rehdr_ros.network.head_start.reference import LOG_LIMIT, NEVER
from rehdr_ros.network.head_start.scalars import larger, mean_of_three, ramp, smaller
from rehdr_ros.threads import in_bands

_RECENT, _SWEEPS = np.float32(edges.RECENT), edges.SWEEPS
_BLOCK, _AROUND = edges.BLOCK, edges.AROUND // 2
_LEAST_VARIANCE, _OWN = np.float32(edges.LEAST_VARIANCE), np.float32(edges.OWN)
(_LEFT, _EVEN), (_STILL, _MOVES), (_ENDS, _GOES_ON), (_UNTOLD, _TOLD) = (
    (np.float32(x), np.float32(y)) for x, y in (edges.PIXELS, edges.MOVING, edges.GOES_ON, edges.TOLD)
)
_LOG_LIMIT, _NEVER = np.float32(LOG_LIMIT), np.float32(NEVER)
_0, _1, _TINY = np.float32(0), np.float32(1), np.float32(1e-6)


def level(
    shown: np.ndarray,
    clipped: np.ndarray,
    weight: np.ndarray,
    variance: np.ndarray,
    quiet: np.ndarray,
    seconds: np.float32,
    bins: int,
    modelled: np.float32,
    log_radiance: np.ndarray,
) -> None:
    """Change log_radiance (3, H, W), which is at least `shown`. clipped: rows; weight: 0 elsewhere."""
    counts = np.zeros((*(-(-n // _BLOCK) for n in quiet.shape), 6), np.float32)
    in_bands(lambda first, end: _count(quiet, seconds, counts, first, end), len(quiet), _BLOCK)
    delay, moving, *along = _motion(counts, quiet.shape, seconds, np.float32(bins))
    links = _links(clipped, weight, quiet, delay, *along)
    _level(shown, clipped, variance, *links, modelled * moving, log_radiance)


@kernel
def wait(voxel, before, seconds, quiet, first, end):
    """As of edges.py: quiet (H, W), s, after the grid, of rows from `first` to before `end`."""
    bins, height, width = voxel.shape
    for y in range(first, end):
        out = quiet[y]
        for x in range(width):
            out[x] = smaller(before[y, x] + seconds, _NEVER)
        for number in range(bins):
            since = smaller(np.float32(seconds * ((bins - 0.5 - number) / bins)), _NEVER)
            row = voxel[number, y]
            for x in range(width):
                out[x] = since if row[x] != _0 else out[x]


@kernel
def _count(quiet, seconds, sums, first, end):
    """Rows from `first` to before `end`, blocks' sums (rows, columns, 6).

    Pairs of neighbours across and down that fired of late, their delays, pixels that did now, and of late.
    """
    height, width = quiet.shape
    columns = sums.shape[1]
    for y in range(first, end):
        under = min(y + 1, height - 1)
        for j in range(columns):
            across, down, late_across, late_down, fired, fires = _0, _0, _0, _0, _0, _0
            for x in range(j * _BLOCK, min((j + 1) * _BLOCK, width)):
                mine = quiet[y, x]
                if mine >= _RECENT:
                    continue
                fired += _1 if mine < seconds else _0
                fires += _1
                beside = quiet[y, min(x + 1, width - 1)]
                if (beside < _RECENT) & (x + 1 < width):
                    across += _1
                    late_across += abs(beside - mine)
                beneath = quiet[under, x]
                if (beneath < _RECENT) & (y + 1 < height):
                    down += _1
                    late_down += abs(beneath - mine)
            of = sums[y // _BLOCK, j]
            of[0], of[1], of[2] = of[0] + across, of[1] + down, of[2] + late_across
            of[3], of[4], of[5] = of[3] + late_down, of[4] + fired, of[5] + fires


@kernel
def _motion(sums, size, seconds, bins):
    """As of edges.py, of blocks: delay, moving, along in both directions. sums: of _count, which change."""
    height, width = size
    rows, columns = sums.shape[:2]
    for i in range(rows):
        for j in range(columns):
            tall, wide = min(height - i * _BLOCK, _BLOCK), min(width - j * _BLOCK, _BLOCK)
            sums[i, j] /= np.float32(tall * wide)
    blocks, mean = np.empty((4, rows, columns), np.float32), np.empty(6, np.float32)
    steady = smaller(seconds, _RECENT) / _RECENT
    for i in range(rows):
        for j in range(columns):
            top, left, count = max(i - _AROUND, 0), max(j - _AROUND, 0), 0
            mean[:] = _0
            for row in range(top, min(i + _AROUND + 1, rows)):
                for column in range(left, min(j + _AROUND + 1, columns)):
                    for k in range(6):
                        mean[k] += sums[row, column, k]
                    count += 1
            mean /= np.float32(count)
            across, down = mean[2] / larger(mean[0], _TINY), mean[3] / larger(mean[1], _TINY)
            most = larger(larger(across * across, down * down), _TINY * _TINY)
            delay = np.sqrt(across * across + down * down)
            blocks[0, i, j] = delay
            goes_on = ramp(mean[4] / larger(steady * mean[5], _TINY), _ENDS, _GOES_ON)
            told = ramp(delay * bins / larger(seconds, _TINY), _UNTOLD, _TOLD)
            blocks[1, i, j] = ramp(smaller(mean[0], mean[1]), _STILL, _MOVES) * goes_on * told
            blocks[2, i, j], blocks[3, i, j] = across * across / most, down * down / most
    return blocks


@kernel
def _links(clipped, weight, quiet, delay, across, down):
    """What links a pixel to its right neighbour, and to the one below; (H + 2, W + 2) each, with a border."""
    height, width = weight.shape
    even = np.zeros((height + 2, width + 2), np.float32)
    right, below = np.zeros_like(even), np.zeros_like(even)
    for y in range(height):
        if clipped[y]:
            out, delays = even[y + 1, 1:-1], delay[y // _BLOCK]
            for x in range(width):
                moved = quiet[y, x] / larger(delays[x // _BLOCK], _TINY)
                out[x] = ramp(moved, _LEFT, _EVEN) if weight[y, x] > _0 else _0
    for y in range(height):
        if clipped[y]:
            mine, under = even[y + 1, 1:], even[y + 2, 1:]
            sideways, upright = across[y // _BLOCK], down[y // _BLOCK]
            to_right, to_below = right[y + 1, 1:], below[y + 1, 1:]
            for x in range(width):
                to_right[x] = mine[x] * mine[x + 1] * sideways[x // _BLOCK]
                to_below[x] = mine[x] * under[x] * upright[x // _BLOCK]
    return right, below


@kernel
def _level(shown, clipped, variance, right, below, share, log_radiance):
    """By that share, of blocks."""
    height, width = variance.shape
    before = np.empty((height, width), np.float32)
    light, after = np.zeros_like(right), np.zeros_like(right)
    for y in range(height):
        if clipped[y]:
            row = light[y + 1, 1:-1]
            for x in range(width):
                before[y, x] = row[x] = mean_of_three(log_radiance, y, x)
    for _ in range(_SWEEPS):
        for y in range(height):
            if clipped[y]:
                around = light[y : y + 3], right[y + 1], below[y : y + 2]
                _sweep(before[y], variance[y], *around, after[y + 1, 1:-1])
        light, after = after, light
    for y in range(height):
        if not clipped[y]:
            continue
        row = light[y + 1, 1:-1]
        for x in range(width):
            change = row[x] - before[y, x]
            if change != _0:
                change *= share[y // _BLOCK, x // _BLOCK]
                for c in range(3):
                    value = larger(log_radiance[c, y, x] + change, shown[c, y, x])
                    log_radiance[c, y, x] = smaller(value, _LOG_LIMIT)


@kernel
def _sweep(before, variance, light, right, below, out):
    """A row of _level. light: of it and those around; below: of the row above and of it."""
    above, mine, under = light[0], light[1], light[2]
    up, down = below[0], below[1]
    for x in range(len(out)):
        own = _OWN / larger(variance[x] - _LEAST_VARIANCE, _TINY)
        total = own + right[x] + right[x + 1] + up[x + 1] + down[x + 1]
        around = (
            right[x] * mine[x]
            + right[x + 1] * mine[x + 2]
            + up[x + 1] * above[x + 1]
            + down[x + 1] * under[x + 1]
        )
        out[x] = (own * before[x] + around) / total
