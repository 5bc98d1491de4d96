"""Which files a bag's folder consists of, and of what kind each is: told by their first bytes."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePath

import yaml

from rehdr_ros.recordings.bags import mcap_file, ros1_file, sqlite_file
from rehdr_ros.recordings.bags.file import BagFile
from rehdr_ros.recordings.bags.packed import ZSTD_MAGIC
from rehdr_ros.recordings.natural_order import natural_order

ZSTD = "zstd"
_PACKED = ".zstd"
_METADATA = "metadata.yaml"
_MAGICS: dict[bytes, Callable[[Path], BagFile] | str] = {
    mcap_file.MAGIC: mcap_file.McapFile,
    ros1_file.MAGIC: ros1_file.Ros1File,
    sqlite_file.MAGIC: sqlite_file.SqliteFile,
    ZSTD_MAGIC: ZSTD,
}


def kind_of(file: Path) -> Callable[[Path], BagFile] | str | None:
    """What opens it, ZSTD for a compressed file, None for what is no file of a bag."""
    if not file.is_file():
        return None
    with file.open("rb") as opened:
        head = opened.read(16)
    if not head and sqlite_file.has_log(file):
        return sqlite_file.SqliteFile
    return next((kind for magic, kind in _MAGICS.items() if head.startswith(magic)), None)


def files_of(folder: Path) -> tuple[list[Path], list[str]]:
    """The files of a bag in their order, and what to tell of them.

    Those that metadata.yaml lists, and those of the same numbering that it doesn't: a recorder writes it when
    it ends. Without one, all that are files of a bag. A compressed file and what was unpacked of it are one.
    """
    there = {file.name: file for file in sorted(folder.iterdir(), key=lambda f: natural_order(f.name))}
    listed, notes = [], []
    for name in _listed(folder / _METADATA):
        names = name, name.removesuffix(_PACKED), name + _PACKED
        found = next((there[each] for each in names if each in there), None)
        if found is None:
            notes.append(f"{folder / name} is missing: {_METADATA} lists it")
        else:
            listed.append(found)
    files, series = {_unpacked(file): file for file in listed}, {_series(file) for file in listed}
    for file in there.values():
        if kind_of(file) is None or _unpacked(file) in files:
            continue
        if not listed or _series(file) in series:
            files[_unpacked(file)] = file
        else:
            notes.append(f"{file} is left out: {_METADATA} doesn't list it")
    return list(files.values()), notes


def _listed(metadata: Path) -> list[str]:
    """The names in a metadata.yaml, none where it can't be read."""
    with suppress(Exception):  # it may be anything
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        loaded = yaml.load(metadata.read_text(errors="replace"), loader)
        names = loaded["rosbag2_bagfile_information"]["relative_file_paths"]
        return [PurePath(name).name for name in names]
    return []


def _unpacked(file: Path) -> str:
    return file.name.removesuffix(_PACKED)


def _series(file: Path) -> str:
    """The name without its number."""
    return re.sub(r"\d+(?=\.\w+$)", "", _unpacked(file))
