"""The tone mapping operators on the CPU: one pass over the frame."""

from __future__ import annotations

import numpy as np

from rehdr_ros.jit import kernel
from rehdr_ros.luminance import BT709
from rehdr_ros.reconstruction.clipping import CLIPPED_LEVEL
from rehdr_ros.reconstruction.levels import level

_BLOCK = 1 << 11  # pixels whose gains are found before the look-ups: divisions go by the vector, those don't
_RED, _GREEN, _BLUE = BT709


@kernel
def scale(radiance, gain, levels, out):
    """radiance: float32 (N, 3), times gain, -> out: uint8 (N, 3). Returns how many pixels clip."""
    clipped, gains = 0, np.full(min(_BLOCK, len(radiance)), gain, np.float32)
    for start in range(0, len(radiance), _BLOCK):
        clipped += look_up(radiance[start : start + _BLOCK], gains, levels, out[start : start + _BLOCK])
    return clipped


@kernel
def reinhard(radiance, key, peak, levels, out):
    """As `scale`, with the gain of Reinhard's global operator, by the luminance of each pixel."""
    clipped, gains = 0, np.empty(min(_BLOCK, len(radiance)), np.float32)
    one, white = np.float32(1), peak * peak
    for start in range(0, len(radiance), _BLOCK):
        part = radiance[start : start + _BLOCK]
        for i in range(len(part)):
            scaled = key * (_RED * part[i, 0] + _GREEN * part[i, 1] + _BLUE * part[i, 2])
            gains[i] = key * (one + scaled / white) / (one + scaled)
        clipped += look_up(part, gains, levels, out[start : start + _BLOCK])
    return clipped


@kernel
def look_up(radiance, gains, levels, out):
    """As `scale`, with a gain of its own for each pixel: float32 (N,)."""
    clipped = 0
    for i in range(len(radiance)):
        red = level(radiance[i, 0] * gains[i], levels)
        green = level(radiance[i, 1] * gains[i], levels)
        blue = level(radiance[i, 2] * gains[i], levels)
        out[i, 0], out[i, 1], out[i, 2] = red, green, blue
        clipped += max(red, green, blue) >= CLIPPED_LEVEL
    return clipped
