"""How the numba kernels are compiled, and the one kind of array they are compiled for."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np


def _cache_folder() -> str:
    """numba keeps a kernel until its own file changes, though others are compiled into it.

    These are the kernels and constants of the modules that a file with kernels imports.
    """
    package, modules = Path(__file__).parent, {}
    for path in sorted(package.rglob("*.py")):
        name = ".".join((package.name, *path.relative_to(package).with_suffix("").parts))
        modules[name] = path.read_text()
    kernels = {name: text for name, text in modules.items() if "rehdr_ros.jit import" in text}
    compiled_in = kernels.keys() | {name for text in kernels.values() for name in _imports(text)}
    sources = "".join(modules[name] for name in modules if name in compiled_in)
    return str(package / "__pycache__" / f"kernels-{hashlib.sha256(sources.encode()).hexdigest()[:16]}")


def _imports(text: str) -> list[str]:
    """The modules of the package that a source imports, or imports from."""
    found = []
    for module, names in re.findall(r"^from (rehdr_ros[\w.]*) import ([\w, ]+)", text, re.M):
        found += [module, *(f"{module}.{name.strip()}" for name in names.split(","))]
    return found


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
