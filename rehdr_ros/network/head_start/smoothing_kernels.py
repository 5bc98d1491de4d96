"""smoothing.py on a CPU, for clipped pixels alone."""

import numpy as np

from rehdr_ros.jit import kernel
from rehdr_ros.network.head_start import smoothing
from rehdr_ros.network.head_start.scalars import THIRD

_LEAST = np.float32(smoothing.LEAST)
_0, _1 = np.float32(0), np.float32(1)


@kernel
def changes(log, noise, pixels, out):
    """What neighbours change of log radiance, (3, K), in pixels (K,), indices in H * W; noise: (K,), nat^2.

    log: (3, H, W), of the radiance.
    """
    height, width = log.shape[1:]
    reds, greens, blues = log[0], log[1], log[2]
    for i in range(len(pixels)):
        y, x = pixels[i] // width, pixels[i] % width
        red, green, blue = reds[y, x], greens[y, x], blues[y, x]
        change_red, change_green, change_blue, total = _0, _0, _0, _1
        for down in range(3):
            row = min(max(y + down - 1, 0), height - 1)
            for right in range(3):
                if down == 1 and right == 1:
                    continue
                column = min(max(x + right - 1, 0), width - 1)
                to_red, to_green = reds[row, column] - red, greens[row, column] - green
                to_blue = blues[row, column] - blue
                difference = (to_red + to_green + to_blue) * THIRD
                expected = noise[i] + difference * difference
                weight = noise[i] / (expected if expected > _LEAST else _LEAST)
                weight *= weight
                change_red += weight * to_red
                change_green += weight * to_green
                change_blue += weight * to_blue
                total += weight
        out[0, i], out[1, i], out[2, i] = change_red / total, change_green / total, change_blue / total
