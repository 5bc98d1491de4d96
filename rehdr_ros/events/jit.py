"""How the numba kernels of this room are compiled, and the one kind of array they are compiled for."""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np


def kernel(function: Callable) -> Callable:
    """Compile `function` without the GIL, on disk too where numba finds a cache directory it can write."""
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:
        return numba.njit(nogil=True)(function)


def sealed(array: np.ndarray) -> np.ndarray:
    """`array` as a C-contiguous, aligned, read-only view; a copy only where it has to be.

    numba compiles a kernel anew for every combination of layout, alignment and mutability, which would stall
    a stream for half a second each; inputs that are all of one kind are compiled for once.
    """
    if not (array.flags.c_contiguous and array.flags.aligned):
        array = array.copy()
    if array.flags.writeable:
        array = array.view()
        array.flags.writeable = False
    return array
