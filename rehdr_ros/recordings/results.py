"""The folder that an offline reconstruction leaves."""

from __future__ import annotations

import csv
import json
import re
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from rehdr_ros.recordings.images import write_exr, write_png

_THREADS = 4  # that compress and write beside the next frames
_WAITING = 4  # frames at most that are not yet written
_NAME = re.compile(r"(\d{6,})\.(exr|png)")


class ResultWriter:
    """Writes hdr/NNNNNN.exr, KIND/NNNNNN.png of every kind of picture, and frames.csv. A context manager.

    half: 16-bit EXR. notes: attributes of every EXR. count: frames that are there already, of a run that now goes on;
    what else earlier runs have left is removed.
    """

    def __init__(
        self, folder: str | Path, half: bool = False, notes: Mapping[str, str] | None = None, count: int = 0
    ) -> None:
        self._folder, self._half, self._notes = Path(folder), half, notes or {}
        self._folder.mkdir(parents=True, exist_ok=True)
        self.count = count
        _remove_frames(self._folder, count)
        rows = list(islice(read_rows(self._folder), count)) if count else []
        self._table = open(self._folder / "frames.csv", "w", newline="")  # noqa: SIM115 (closed in __exit__)
        self._rows: csv.DictWriter | None = None
        for row in rows:
            self._write_row(row)
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
            self._table.close()

    def write(self, radiance: np.ndarray, pictures: Mapping[str, np.ndarray], row: Mapping[str, Any]) -> None:
        """One frame: float32 (H, W, 3), its pictures by kind, uint8 (H, W, 3), and its row of frames.csv.

        All rows have the same keys; `stamp_ns` is noted in the EXR too. Files are written in the background: the arrays
        must stay as they are, and what fails, with OSError for one, is raised by a later call.
        """
        name = f"{self.count:06d}"
        notes = {**self._notes, "stampNs": str(row["stamp_ns"])}
        tasks = [self._pool.submit(write_exr, self._place("hdr") / f"{name}.exr", radiance, self._half, notes)]
        for kind, picture in pictures.items():
            tasks.append(self._pool.submit(write_png, self._place(kind) / f"{name}.png", picture))
        self._waiting.append(tasks)
        self._write_row(row)
        while len(self._waiting) > _WAITING:
            self._finish_oldest()
        self.count += 1

    def flush(self) -> None:
        """Wait until everything is written."""
        while self._waiting:
            self._finish_oldest()
        self._table.flush()

    def _finish_oldest(self) -> None:
        for task in self._waiting.popleft():
            task.result()

    def _place(self, kind: str) -> Path:
        place = self._folder / kind
        place.mkdir(exist_ok=True)
        return place

    def _write_row(self, row: Mapping[str, Any]) -> None:
        if self._rows is None:
            self._rows = csv.DictWriter(self._table, list(row))
            self._rows.writeheader()
        self._rows.writerow(row)


def read_rows(folder: str | Path) -> Iterator[dict[str, str]]:
    """The rows of frames.csv."""
    with open(Path(folder) / "frames.csv", newline="") as file:
        yield from csv.DictReader(file)


def write_summary(folder: str | Path, summary: Mapping[str, Any]) -> None:
    """Write summary.json."""
    (Path(folder) / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")


def frame_files(folder: str | Path, kind: str) -> list[Path]:
    """The numbered files of a kind, `hdr` or one of the pictures, in order."""
    found = [p for p in (Path(folder) / kind).glob("*") if _NAME.fullmatch(p.name)]
    return sorted(found, key=lambda path: int(path.stem))


def _remove_frames(folder: Path, count: int) -> None:
    for kind in ("hdr", "tonemapped", "ldr", "events"):
        for path in frame_files(folder, kind):
            if int(path.stem) >= count:
                path.unlink()
