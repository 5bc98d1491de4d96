"""The folder that an offline reconstruction leaves."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from rehdr_ros.errors import InputError, writing
from rehdr_ros.products import PRODUCTS, Product
from rehdr_ros.recordings.images import read_exr, read_png, write_exr, write_png

TABLE, SUMMARY, SETTINGS = "frames.csv", "summary.json", "settings.json"
VIDEO, HDR_VIDEO, BAG = "video.mp4", "hdr.mp4", "bag"
_OTHERS = (SUMMARY, SETTINGS, VIDEO, HDR_VIDEO, BAG, "report.html", "metrics.json")
_COLUMNS = {"index", "stamp_ns", "clipped_fraction", "reset_reason"}  # of every version's frames.csv
_THREADS = 4  # that compress and write beside the next frames
_WAITING = 4  # frames at most that are not yet written
_NAME = re.compile(r"(\d{6,})\.(exr|png)")


class ResultWriter:
    """Writes the products of every frame, NAME/NNNNNN.exr or .png, and frames.csv. A context manager.

    half: 16-bit EXR. notes: attributes of each radiance's EXR. count: frames that are there already, of a run
    that now goes on; later ones are removed, and without any also all else that an earlier run has left.
    """

    def __init__(
        self, folder: str | Path, half: bool = False, notes: Mapping[str, str] | None = None, count: int = 0
    ) -> None:
        self._folder, self._half, self._notes = Path(folder), half, notes or {}
        self._folder.mkdir(parents=True, exist_ok=True)
        self.count = count
        _remove_frames(self._folder, count)
        self._columns = _keep_rows(self._folder / TABLE, count) if count else None
        if not count:
            for name in _OTHERS:
                remove(self._folder / name)
        self._table = open(self._folder / TABLE, "a" if count else "w", newline="")  # noqa: SIM115 (closed in __exit__)
        self._rows: csv.DictWriter | None = None
        self._pool = ThreadPoolExecutor(_THREADS, "rehdr results")
        self._waiting: deque[list[Future]] = deque()

    def __enter__(self) -> ResultWriter:
        return self

    def __exit__(self, kind: type | None, *exception: object) -> None:
        try:
            if kind is None:
                self.flush()
        finally:
            self._pool.shutdown()
            with self._writing_table():
                self._table.close()

    def write(self, pictures: Mapping[Product, np.ndarray], row: Mapping[str, Any]) -> None:
        """One frame: its pictures, float32 for EXR and uint8 for PNG, and its row of frames.csv.

        All rows have the same keys; `stamp_ns` is noted in the EXR too. Files are written in the background:
        the arrays must stay as they are, and what fails, with OSError for one, is raised by a later call.
        """
        stamp = {"stampNs": str(row["stamp_ns"])}
        self._waiting.append([self._submit(*picture, stamp) for picture in pictures.items()])
        self._write_row(row)
        while len(self._waiting) > _WAITING:
            self._finish_oldest()
        self.count += 1

    def flush(self) -> None:
        """Wait until everything is written, on the disk too."""
        while self._waiting:
            self._finish_oldest()
        with self._writing_table():
            self._table.flush()
        os.sync()

    def _finish_oldest(self) -> None:
        for task in self._waiting.popleft():
            task.result()

    def _submit(self, product: Product, image: np.ndarray, stamp: Mapping[str, str]) -> Future:
        path = self._folder / product.file(self.count)
        path.parent.mkdir(exist_ok=True)
        if product.suffix == ".png":
            return self._pool.submit(write_png, path, image)
        plane = product.plane
        notes = {"unit": ", ".join(filter(None, (plane.unit, plane.about)))} if plane else self._notes
        return self._pool.submit(write_exr, path, image, self._half, {**notes, **stamp})

    def _write_row(self, row: Mapping[str, Any]) -> None:
        if self._rows is None:
            self._rows = csv.DictWriter(self._table, list(row))
            if self._columns is None:
                self._rows.writeheader()
            elif self._columns != list(row):
                what = "has other columns, of another version: choose another folder"
                raise InputError(f"{self._folder / TABLE} {what}")
        with self._writing_table():
            self._rows.writerow(row)

    def _writing_table(self) -> AbstractContextManager[None]:
        return writing(self._folder / TABLE)


def holds_results(folder: str | Path) -> bool:
    """Whether there is a frames.csv of ours; an empty one is what a run leaves that was killed early."""
    try:
        with open(Path(folder) / TABLE, errors="replace") as file:
            header = file.readline()
    except OSError:
        return False
    return not header or set(header.strip().split(",")) >= _COLUMNS


def replaced(folder: str | Path) -> list[Path]:
    """The files and folders that another run there removes or writes anew."""
    return [Path(folder) / name for name in (TABLE, *_OTHERS, *(product.name for product in PRODUCTS))]


def read_rows(folder: str | Path) -> Iterator[dict[str, str]]:
    """The rows of frames.csv."""
    with open(Path(folder) / TABLE, newline="") as file:
        yield from csv.DictReader(file)


def read_picture(folder: str | Path, product: Product, index: int) -> np.ndarray:
    """What ResultWriter wrote. Raises FileNotFoundError, and InputError for another kind of file."""
    path = Path(folder) / product.file(index)
    image = read_exr(path) if product.suffix == ".exr" else read_png(path)
    return np.ascontiguousarray(image[..., 0]) if product.plane else image


def is_whole(folder: str | Path, count: int, products: Iterable[Product]) -> bool:
    """Whether the first `count` frames have their rows and files, which a power cut may have taken."""
    folder = Path(folder)
    try:
        rows = sum(1 for _ in read_rows(folder))
        sizes = [(folder / product.file(k)).stat().st_size for product in products for k in range(count)]
    except (OSError, csv.Error, UnicodeDecodeError):
        return False
    return rows >= count and all(sizes)


def write_summary(folder: str | Path, summary: Mapping[str, Any]) -> None:
    """Write summary.json."""
    path = Path(folder) / SUMMARY
    with writing(path):
        path.write_text(json.dumps(summary, indent=2) + "\n")


def frame_files(folder: str | Path, kind: str) -> list[Path]:
    """The numbered files of a product, by its name, in order."""
    found = [p for p in (Path(folder) / kind).glob("*") if _NAME.fullmatch(p.name)]
    return sorted(found, key=lambda path: int(path.stem))


def remove(path: Path) -> None:
    """A file, or a folder with all that is in it, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _keep_rows(path: Path, count: int) -> list[str]:
    """Take away what comes after that many rows; returns the names of the columns."""
    with open(path, "rb+") as file:
        columns = file.readline().decode().strip().split(",")
        for _ in range(count):
            file.readline()
        file.truncate()
    return columns


def _remove_frames(folder: Path, count: int) -> None:
    for product in PRODUCTS:
        for path in frame_files(folder, product.name):
            if int(path.stem) >= count:
                path.unlink()
        with suppress(OSError):  # for others have put something there
            (folder / product.name).rmdir()
