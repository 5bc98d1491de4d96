"""The tone mapping operators on the CPU: one pass over the frame."""

from __future__ import annotations

import numpy as np

from rehdr_ros.jit import kernel, sealed
from rehdr_ros.luminance import BT709
from rehdr_ros.reconstruction.clipping import CLIPPED_LEVEL
from rehdr_ros.reconstruction.levels import bits_of, level

_BLOCK = 1 << 11  # pixels that go through one step after the other: all but the look-ups go by the vector
_RED, _GREEN, _BLUE = BT709


@kernel
def scale(radiance, gain, levels, out):
    """radiance: float32 (3, N), times gain, -> out: uint8 (N, 3). Returns how many pixels clip."""
    clipped, gains = 0, np.full(_BLOCK, gain, np.float32)
    for start in range(0, len(out), _BLOCK):
        clipped += _look_up(radiance, start, gains, levels, out)
    return clipped


@kernel
def local(radiance, gains, levels, out):
    """As `scale`, with a gain of its own for each pixel: float32 (N,)."""
    clipped = 0
    for start in range(0, len(out), _BLOCK):
        clipped += _look_up(radiance, start, gains[start : start + _BLOCK], levels, out)
    return clipped


@kernel
def reinhard(radiance, key, peak, levels, out):
    """As `scale`, with the gain of Reinhard's global operator, by the luminance of each pixel."""
    clipped, gains = 0, np.empty(_BLOCK, np.float32)
    one, white = np.float32(1), peak * peak
    for start in range(0, len(out), _BLOCK):
        end = start + _BLOCK
        red, green, blue = radiance[0][start:end], radiance[1][start:end], radiance[2][start:end]
        for i in range(len(red)):
            scaled = key * (_RED * red[i] + _GREEN * green[i] + _BLUE * blue[i])
            gains[i] = key * (one + scaled / white) / (one + scaled)
        clipped += _look_up(radiance, start, gains, levels, out)
    return clipped


def interleaved(planes: np.ndarray) -> np.ndarray:
    """float32 (3, H, W) -> (H, W, 3)."""
    out = np.empty((*planes.shape[1:], 3), np.float32)
    _interleave(sealed(planes).reshape(3, -1), out.reshape(-1))
    return out


@kernel
def _interleave(planes, out):
    red, green, blue = planes[0], planes[1], planes[2]
    for i in range(len(red)):
        at = np.uint64(3 * i)
        out[at], out[at + np.uint64(1)], out[at + np.uint64(2)] = red[i], green[i], blue[i]


@kernel
def _look_up(radiance, start, gains, levels, out):
    """The block from `start` on."""
    end = min(start + _BLOCK, len(out))
    bits, found = np.empty(end - start, np.int32), np.empty((3, end - start), np.uint8)
    for channel in range(3):
        plane, row = radiance[channel][start:end], found[channel]
        for i in range(len(bits)):
            bits[i] = bits_of(plane[i] * gains[i])
        for i in range(len(bits)):
            row[i] = level(bits[i], levels)
    red, green, blue, block = found[0], found[1], found[2], out[start:end].reshape(-1)
    clipped = np.uint16(0)
    for i in range(len(red)):
        at = np.uint64(3 * i)
        block[at], block[at + np.uint64(1)], block[at + np.uint64(2)] = red[i], green[i], blue[i]
    for i in range(len(red)):
        clipped += np.uint16(max(red[i], green[i], blue[i]) >= np.uint8(CLIPPED_LEVEL))
    return np.int64(clipped)
