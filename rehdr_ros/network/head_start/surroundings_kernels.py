"""surroundings.py on a CPU, for clipped pixels alone; (H, W) float32 planes, and what kernels.py has."""

import numpy as np

from rehdr_ros.jit import kernel
from rehdr_ros.network.head_start import surroundings
from rehdr_ros.network.head_start.scalars import between, blended, columns, larger, mean_of_three

_BLOCK, _AROUND = surroundings.BLOCK, surroundings.AROUND // 2
_0, _LEAST = np.float32(0), np.float32(1e-6)


@kernel
def level(means, clipped, weight, out, first, end):
    """As of Evidence, of rows from `first` to before `end`, where it is clipped: pixels with a weight."""
    height, width = weight.shape
    left, right, along = columns(means.shape[1], width)
    for y in range(first, end):
        if not clipped[y]:
            continue
        rows = between(y, means.shape[0], height)
        for x in range(width):
            if weight[y, x] > _0:
                out[y, x] = blended(means, rows, left[x], right[x], along[x])


@kernel
def means(shown, clipped, weight, log_radiance):
    """Of blocks, over those around. clipped: rows with clipped pixels, which have a weight."""
    height, width = weight.shape
    rows, across = -(-height // _BLOCK), -(-width // _BLOCK)
    sums, wide = np.zeros((rows, across, 2), np.float32), np.zeros((rows, across, 2), np.float32)
    for y in range(height):
        if clipped[y]:
            row = sums[y // _BLOCK]
            for x in range(width):
                if weight[y, x] > _0:
                    row[x // _BLOCK, 0] += mean_of_three(log_radiance, y, x) - mean_of_three(shown, y, x)
                    row[x // _BLOCK, 1] += np.float32(1)
    for i in range(rows):
        for j in range(across):
            sums[i, j] /= np.float32(min(height - i * _BLOCK, _BLOCK) * min(width - j * _BLOCK, _BLOCK))
    for i in range(rows):
        for j in range(across):
            for k in range(max(j - _AROUND, 0), min(j + _AROUND + 1, across)):
                wide[i, j, 0], wide[i, j, 1] = wide[i, j, 0] + sums[i, k, 0], wide[i, j, 1] + sums[i, k, 1]
    result = np.zeros((rows, across), np.float32)
    for i in range(rows):
        for j in range(across):
            total, count = _0, _0
            for k in range(max(i - _AROUND, 0), min(i + _AROUND + 1, rows)):
                total, count = total + wide[k, j, 0], count + wide[k, j, 1]
            result[i, j] = total / larger(count, _LEAST)
    return result
