"""Values in 0..1 -> the 256 levels of a display, by thresholds: no pixel is raised to a power."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from rehdr_ros.jit import kernel, sealed

_SHIFT = 16  # what is left of a float32's bits: 128 bins an octave
_ONE = int(np.float32(1).view(np.int32)) >> _SHIFT


class Levels(NamedTuple):
    """Tables by which `level` finds a value's level."""

    first: np.ndarray  # uint8; by the upper bits of a float32 in 0..1, the level of the least value of them
    next: np.ndarray  # float32; by level, the value at which the next level begins


def make_levels(decode: Callable[[np.ndarray], np.ndarray]) -> Levels:
    """For level = floor(255 encode(value) + 0.5), where `decode` is the inverse of `encode`, both of 0..1.

    Raises ValueError where two levels begin too close to each other.
    """
    # After 255 nothing begins: no value, not even infinity, reaches NaN.
    starts = np.append(decode((np.arange(1, 256) - 0.5) / 255), np.nan).astype(np.float32)
    bins = (np.arange(_ONE + 1, dtype=np.int32) << _SHIFT).view(np.float32)
    first = np.searchsorted(starts, bins, "right")
    if (np.diff(first) > 1).any():
        raise ValueError("two levels begin in one bin")
    return Levels(sealed(first.astype(np.uint8)), sealed(starts))


@kernel
def level(value, levels):
    """The level of a float32: below 0 the lowest, above 1 the highest; of NaN either."""
    index = np.float32(value).view(np.int32) >> _SHIFT
    found = levels.first[np.uint64(min(max(index, 0), _ONE))]
    return np.uint8(found + np.uint8(value >= levels.next[found]))
