"""What the kernels of the head start share."""

import numpy as np

from rehdr_ros.jit import kernel

THIRD = np.float32(1 / 3)
_0, _1 = np.float32(0), np.float32(1)


@kernel
def larger(a, b):
    return a if a > b else b


@kernel
def smaller(a, b):
    return a if a < b else b


@kernel
def ramp(x, start, end):
    """As of network/ramp.py."""
    return smaller(larger((x - start) / (end - start), _0), _1)


@kernel
def mean_of_three(planes, y, x):
    return (planes[0, y, x] + planes[1, y, x] + planes[2, y, x]) * THIRD


@kernel
def between(i, coarse, fine):
    """Of pixel i of `fine` in `coarse`: the pixel before, the one after, and the share of the latter."""
    position = max((i + 0.5) * coarse / fine - 0.5, 0.0)
    before = int(position)
    return before, min(before + 1, coarse - 1), np.float32(position - before)


@kernel
def columns(coarse, fine):
    """`between` for all columns."""
    left, right, along = np.empty(fine, np.int32), np.empty(fine, np.int32), np.empty(fine, np.float32)
    for x in range(fine):
        left[x], right[x], along[x] = between(x, coarse, fine)
    return left, right, along


@kernel
def blended(coarse, rows, left, right, along):
    """Bilinear, of a plane. rows: as of `between`; left, right, along: the same of the column."""
    top, bottom, down = rows
    above = coarse[top, left] + along * (coarse[top, right] - coarse[top, left])
    below = coarse[bottom, left] + along * (coarse[bottom, right] - coarse[bottom, left])
    return above + down * (below - above)
