"""The folder of a run, and what tells whether another run may go on in it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rehdr_ros.errors import InputError
from rehdr_ros.recordings.results.folder import TABLE


@contextmanager
def exclusive_folder(output: Path) -> Iterator[None]:
    """The folder for one run alone; made where it isn't there, and removed again where nothing was written.

    Raises InputError where it holds something else than results, or another run writes to it.
    """
    if output.exists() and not output.is_dir():
        raise InputError(f"{output} is a file; choose a folder with -o")
    if output.is_dir() and any(output.iterdir()) and not (output / TABLE).is_file():
        raise InputError(f"{output} holds something else than results; choose another folder with -o")
    is_new = not output.exists()
    output.mkdir(parents=True, exist_ok=True)
    folder = os.open(output, os.O_RDONLY)
    try:
        _lock(folder, output)
        yield
    finally:
        os.close(folder)
        if is_new and not any(output.iterdir()):
            output.rmdir()


def identity(value: object, output: Path) -> object:
    """A setting; of one that names a file or folder, what changes with that, but not with `output` in it."""
    if not isinstance(value, str) or not os.path.exists(value):
        return value
    path, output = Path(value).resolve(), output.resolve()
    within = (p for p in path.rglob("*") if p.is_file() and output not in p.parents)
    stats = [file.stat() for file in ([path] if path.is_file() else within)]
    newest = max((each.st_mtime_ns for each in stats), default=0)
    return f"{path}, {sum(each.st_size for each in stats)} bytes, changed at {newest} ns"


def _lock(folder: int, output: Path) -> None:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(f"another run writes to {output}") from None
    except OSError:
        return  # some network file systems know no locks
