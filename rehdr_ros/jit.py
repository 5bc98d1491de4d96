"""How the numba kernels are compiled, and the one kind of array they are compiled for."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numba
import numpy as np


def cache_folder(package: Path) -> Path:
    """Where the compiled kernels of a package are kept: another place whenever one of them may have changed.

    numba keeps a kernel until its own file changes, though kernels and constants of the modules that the file
    imports are compiled into it.
    """
    modules = {}
    for path in sorted(package.rglob("*.py")):
        name = ".".join((package.name, *path.relative_to(package).with_suffix("").parts))
        modules[name] = path.read_text()
    kernels = {name: text for name, text in modules.items() if f"{package.name}.jit import" in text}
    compiled_in = kernels.keys() | {name for text in kernels.values() for name in _imports(text)}
    sources = "".join(text for name, text in modules.items() if name in compiled_in)
    return package / "__pycache__" / f"kernels-{hashlib.sha256(sources.encode()).hexdigest()[:16]}"


def _imports(text: str) -> Iterator[str]:
    """The modules that a source imports, or imports from."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{each.name}" for each in node.names)


_CACHE_FOLDER = str(cache_folder(Path(__file__).parent))


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
