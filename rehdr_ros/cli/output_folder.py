"""The folder of a run, and what tells whether another run may go on in it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rehdr_ros.errors import InputError
from rehdr_ros.recordings.results.folder import holds_results, replaced


@contextmanager
def exclusive_folder(output: Path, patience: float = 0.0, several: bool = False) -> Iterator[None]:
    """The folder for one run alone; made where it isn't there, and removed again where nothing was written.

    patience: s to wait where another run writes to it. several: it is for folders of results.
    Raises InputError where it holds something else than results, or another run goes on writing to it.
    """
    if output.exists() and not output.is_dir():
        raise InputError(f"{output} is a file; choose a folder with -o")
    if several:
        _require_folders(output)
    elif not _is_of_results(output):
        raise InputError(f"{output} holds something else than results; choose another folder with -o")
    is_new = not output.exists()
    output.mkdir(parents=True, exist_ok=True)
    folder = os.open(output, os.O_RDONLY)
    try:
        _lock(folder, output, time.monotonic() + patience)
        yield
    finally:
        os.close(folder)
        if is_new and not any(output.iterdir()):
            output.rmdir()


def require_kept(settings: Iterable[object], output: Path) -> None:
    """Raise InputError where one names a file or folder that a run into `output` would remove."""
    places = [place.resolve() for place in replaced(output)]
    for path in filter(_names_a_path, settings):
        if any(Path(path).resolve().is_relative_to(place) for place in places):
            raise InputError(f"{path} would be replaced by the results; choose another folder with -o")


def identity(value: object, output: Path) -> object:
    """A setting; of one that names a file or folder, what changes with that, but not with `output` in it."""
    if not _names_a_path(value):
        return value
    path, output = Path(value).resolve(), output.resolve()
    within = (p for p in path.rglob("*") if p.is_file() and output not in p.parents)
    stats = [file.stat() for file in ([path] if path.is_file() else within)]
    newest = max((each.st_mtime_ns for each in stats), default=0)
    return f"{path}, {sum(each.st_size for each in stats)} bytes, changed at {newest} ns"


def _names_a_path(value: object) -> bool:
    return isinstance(value, str) and os.path.exists(value)


def _require_folders(output: Path) -> None:
    if holds_results(output):
        raise InputError(f"{output} holds the results of one recording; choose another folder with -o")
    others = [p for p in output.glob("*") if not (p.is_dir() and _is_of_results(p))]
    if others:
        what = f"{others[0].name}, which is no folder of results"
        raise InputError(f"{output} holds {what}; choose another folder with -o")


def _is_of_results(path: Path) -> bool:
    return holds_results(path) or not (path.is_dir() and any(path.iterdir()))


def _lock(folder: int, output: Path, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise InputError(f"another run writes to {output}") from None
            time.sleep(0.2)
        except OSError:
            return  # some network file systems know no locks
        else:
            return
