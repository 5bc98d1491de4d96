"""frames.csv, also where its run was interrupted."""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Table:
    """One row a frame. stamps: int64 ns; columns: name -> float64, NaN for no number; resets: reasons."""

    stamps: np.ndarray
    columns: dict[str, np.ndarray]
    resets: list[str]

    def __len__(self) -> int:
        return len(self.stamps)

    @property
    def seconds(self) -> np.ndarray:
        """Stream time since the first frame, float64; where stamps step back the time stands still."""
        return np.concatenate([[0.0], np.cumsum(np.maximum(self.intervals[1:], 0.0))])[: len(self)]

    @property
    def intervals(self) -> np.ndarray:
        """Since the frame before, s, float64; NaN for the first one."""
        return np.concatenate([[math.nan], 1e-9 * np.diff(self.stamps)])[: len(self)]

    @property
    def durations(self) -> dict[str, np.ndarray]:
        """Name of a stage, or latency -> ms."""
        timed = (name for name in self.columns if name.endswith("_ms"))
        return {name.removesuffix("_ms"): self.columns[name] for name in timed}


def read_table(path: Path) -> Table | None:
    """The rows up to the first incomplete one; None where there are none."""
    if not path.is_file():
        return None
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        reader = csv.DictReader(file)
        rows = []
        for row in _readable(reader):
            if None in row.values() or _number(row.get("stamp_ns", "")) is None:
                break
            rows.append(row)
    if not rows:
        return None
    names = [name for name in reader.fieldnames if name not in ("index", "stamp_ns", "reset_reason")]
    return Table(
        np.array([int(row["stamp_ns"]) for row in rows], np.int64),
        {name: np.array([_float(row[name]) for row in rows]) for name in names},
        [row.get("reset_reason", "") for row in rows],
    )


def _readable(reader: csv.DictReader) -> Iterator[dict[str, str]]:
    """Its rows up to what is no CSV, as a power cut may leave it."""
    try:
        yield from reader
    except csv.Error:
        return


def _number(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
