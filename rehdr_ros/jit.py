"""How the numba kernels are compiled, and the one kind of array they are compiled for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np


def _cache_folder() -> str:
    """numba keeps a kernel until its own file changes, though kernels of other files are compiled into it."""
    package = Path(__file__).parent
    texts = (path.read_bytes() for path in sorted(package.rglob("*.py")))
    sources = b"".join(text for text in texts if b"rehdr_ros.jit import" in text)
    return str(package / "__pycache__" / f"kernels-{hashlib.sha256(sources).hexdigest()[:16]}")


_CACHE_FOLDER = _cache_folder()


def kernel(function: Callable, **options) -> Callable:
    """Compile `function` without the GIL, on disk too where a cache can be written. options: numba's."""
    options = {"nogil": True, "error_model": "numpy", **options}
    users = numba.config.CACHE_DIR
    try:
        numba.config.CACHE_DIR = users or _CACHE_FOLDER
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:
        return numba.njit(**options)(function)
    finally:
        numba.config.CACHE_DIR = users


def reduction(function: Callable) -> Callable:
    """`kernel`, whose sums may be taken in any order, so that they are vectorised."""
    return kernel(function, fastmath={"reassoc"})


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
