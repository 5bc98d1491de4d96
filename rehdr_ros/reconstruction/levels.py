"""Values in 0..1 -> the 256 levels of a display, by thresholds: no pixel is raised to a power."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rehdr_ros.jit import kernel, sealed

_SHIFT = 16  # what is left of a float32's bits: 128 bins an octave
_LOW = (1 << _SHIFT) - 1
_ONE = int(np.float32(1).view(np.int32)) >> _SHIFT


def make_levels(decode: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """For level = floor(255 encode(value) + 0.5), where `decode` is the inverse of `encode`, both of 0..1.

    int32, by the upper bits of a float32: the level of the least value of them, in the upper bits, and in the
    lower ones what a value's need to carry into them at the threshold of the next level, 0 without one.
    Raises ValueError where two levels begin too close to each other.
    """
    starts = decode((np.arange(1, 256) - 0.5) / 255).astype(np.float32)
    bins = (np.arange(_ONE + 1, dtype=np.int32) << _SHIFT).view(np.float32)
    first = np.searchsorted(starts, bins, "right")
    if (np.diff(first) > 1).any():
        raise ValueError("two levels begin in one bin")
    levels, bits = (first << _SHIFT).astype(np.int32), starts.view(np.int32)
    levels[bits >> _SHIFT] += -bits & _LOW
    return sealed(levels)


@kernel
def bits_of(value):
    """Those of a float32 in 0..1, int32: below 0 and of NaN those of 0, above 1 those of 1."""
    zero, one = np.float32(0), np.float32(1)
    positive = value if value > zero else zero
    return np.float32(positive if positive < one else one).view(np.int32)


@kernel
def level(bits, levels):
    """The level of a value with these bits."""
    return np.uint8(levels[np.uint64(bits >> _SHIFT)] + (bits & _LOW) >> _SHIFT)
