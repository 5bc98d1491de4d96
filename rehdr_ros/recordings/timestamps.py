"""Text files that tell when the frames of a folder were taken."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rehdr_ros.recordings.errors import RecordingError

UNITS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1000, "ns": 1}

_UNIT_NAMES = {unit: unit for unit in UNITS} | {"sec": "s", "secs": "s", "seconds": "s", "usec": "us"}
_RATES = 2.0, 500.0  # frames/s; 250 times apart, so that no second unit fits
_NAMES = {"timestamp", "timestamps", "time", "times", "stamp", "t"}  # of a column of stamps
_FURTHEST_NS = 1 << 62


class Timestamps(NamedTuple):
    """stamps_ns: int64 (N,). names: of the files, exposures: s, each None where the file tells none.

    unit: of the file. For the user, else empty: note, where the unit was deduced, or gives an odd rate; cut,
    where the file ends within a line, which is left out.
    """

    stamps_ns: np.ndarray
    names: list[str] | None
    exposures: list[float] | None
    unit: str
    note: str
    cut: str = ""


def read_timestamps(path: str | Path, unit: str | None = None) -> Timestamps:
    """The frames' stamps, one line a frame: a number, a number and a file's name in either order, or a table.

    Columns are separated by commas, semicolons or white space; empty lines and those that begin with # don't
    count. A table has a first line of names, with or without # before it: a column whose name contains
    timestamp, time, stamp or t as a word holds the stamps (the start's, where one is), one whose name begins
    with exposure the exposure times; a column of words the files' names. A unit at the end of a name counts:
    timestamp_us, "time [ns]"; exposures without one have that of the stamps.

    unit: of the stamps, s, ms, us or ns. None: as a column's name says, else the one by which there are 2 to
    500 frames a second. Raises RecordingError where that doesn't tell it, for an unreadable file, a line that
    doesn't fit, and stamps that don't rise.
    """
    path = Path(path)
    if unit is not None and unit not in UNITS:
        raise RecordingError(f"timestamps are in s, ms, us or ns, not {unit!r}")
    header, rows, cut = _read_table(path)
    columns = _columns(path, header, rows)
    if cut and len(rows) > 1 and _is_part(rows, columns.stamp):
        rows = rows[:-1]
    else:
        cut = ""
    values = _numbers(path, rows, columns.stamp)
    unit, note = _named(path, values, unit or columns.unit) if unit or columns.unit else _deduce(path, values)
    stamps_ns = [int((value * UNITS[unit]).to_integral_value()) for _, value in values]
    _require_rising(path, values, stamps_ns)
    exposures = _exposures(path, rows, columns.exposure, columns.exposure_unit or unit)
    names = None if columns.name is None else [row[columns.name] for _, row in rows]
    return Timestamps(np.array(stamps_ns, np.int64), names, exposures, unit, note, cut)


class _Columns(NamedTuple):
    stamp: int
    unit: str | None = None
    name: int | None = None
    exposure: int | None = None
    exposure_unit: str | None = None


_Rows = list[tuple[int, list[str]]]  # the number of the line, and its columns


def _is_part(rows: _Rows, column: int) -> bool:
    """Whether the last line, which has no end, is but the beginning of one."""
    before, last = rows[-2][1], rows[-1][1]
    if len(last) != len(before):
        return True
    number = _number(last[column])
    return number is None or number <= (_number(before[column]) or 0)


def _read_table(path: Path) -> tuple[list[str] | None, _Rows, str]:
    """The names of the columns where there are some, the lines that count, and what to say of an open end."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        lines = text.splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RecordingError(f"{path} is not a readable text file: {error}") from error
    header, comments, rows = None, [], []
    for number, line in enumerate(lines, 1):
        columns = _split(line.strip().lstrip("# "))
        if not columns:
            continue
        if line.strip().startswith("#"):
            comments.append(columns)
        elif not rows and header is None and not any(_number(text) is not None for text in columns):
            header = columns
        else:
            rows.append((number, columns))
    if not rows:
        raise RecordingError(f"{path} has no timestamps")
    width = len(header or rows[0][1])
    cut = "" if text.endswith(("\n", "\r")) else f"{path} ends early: its last line is left out"
    for number, columns in rows[: -1 if cut and len(rows) > 1 else None]:
        if len(columns) != width:
            raise RecordingError(f"{path}, line {number}: {len(columns)} columns, not {width}")
    commented = (names for names in comments if len(names) == width and _stamp_column(names) is not None)
    return header or next(commented, None), rows, cut


def _split(text: str) -> list[str]:
    text = re.sub(r"\s+(?=[\[(])", "", text.strip(" \t,;"))  # time [ns] is one name
    parts = re.split(r"[,;]", text) if re.search(r"[,;]", text) else text.split()
    return [part.strip().strip("\"'") for part in parts] if text else []


def _number(text: str) -> Decimal | None:
    try:
        value = Decimal(text)  # exact: float64 holds no ns since 1970
    except InvalidOperation:
        return None
    return value if value.is_finite() and abs(value) < 1 << 64 else None


def _columns(path: Path, header: list[str] | None, rows: _Rows) -> _Columns:
    first = rows[0][1]
    words = [k for k, text in enumerate(first) if _number(text) is None]
    name = words[0] if words else None
    if header is None:
        numbers = [k for k in range(len(first)) if k not in words]
        if len(numbers) != 1 or len(words) > 1:
            advice = "one number a line, or a first line that names the columns: timestamp, exposure"
            where = f"{path}, line {rows[0][0]}"
            raise RecordingError(f"{where}: which column is the timestamp? {advice}")
        return _Columns(numbers[0], name=name)
    stamp = _stamp_column(header)
    if stamp is None:
        raise RecordingError(f"{path}: no column of {', '.join(header)} is named timestamp")
    exposure = next((k for k, text in enumerate(header) if _is_exposure(text)), None)
    unit = None if exposure is None else _unit_of(header[exposure])
    return _Columns(stamp, _unit_of(header[stamp]), name, exposure, unit)


def _stamp_column(header: list[str]) -> int | None:
    """That of the start where one is, else the first."""
    found = [k for k, name in enumerate(header) if _NAMES & set(_words(name)) and not _is_exposure(name)]
    return next((k for k in found if "start" in _words(header[k])), found[0] if found else None)


def _is_exposure(name: str) -> bool:
    words = _words(name)
    return words[0] == "exposure" and not _NAMES & {*words} - {"time"}


def _unit_of(name: str) -> str | None:
    return _UNIT_NAMES.get(_words(name)[-1])


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", name.lower()) or [""]


def _numbers(path: Path, rows: _Rows, column: int) -> list[tuple[int, Decimal]]:
    """The number of the line, and the number in it."""
    values = [(number, _number(columns[column])) for number, columns in rows]
    for (number, value), (_, columns) in zip(values, rows, strict=True):
        if value is None:
            raise RecordingError(f"{path}, line {number}: {columns[column]!r} is not a number")
    return values


def _exposures(path: Path, rows: _Rows, column: int | None, unit: str) -> list[float] | None:
    """In s."""
    if column is None:
        return None
    values = _numbers(path, rows, column)
    for number, value in values:
        if value <= 0:
            raise RecordingError(f"{path}, line {number}: an exposure of {value}")
    return [float(value * UNITS[unit]) * 1e-9 for _, value in values]


def _named(path: Path, values: list[tuple[int, Decimal]], unit: str) -> tuple[str, str]:
    """The unit, and a note where it is odd."""
    step = _step(values)
    if step <= 0 or _likely(step, unit):
        return unit, ""
    return unit, f"{path}: timestamps in {unit}: {_rate(step, unit):.4g} frames/s; is that the unit?"


def _deduce(path: Path, values: list[tuple[int, Decimal]]) -> tuple[str, str]:
    """The unit, and why."""
    step = _step(values)
    unit = next((unit for unit in UNITS if step > 0 and _likely(step, unit)), None)
    if unit is None:
        _require_rising(path, values, [value for _, value in values])
        what = f"frames {step} apart tell" if len(values) > 1 else "a single frame tells"
        raise RecordingError(f"{path}: {what} no unit: name the unit of the timestamps: s, ms, us or ns")
    return unit, f"{path}: timestamps in {unit}, by which there are {_rate(step, unit):.4g} frames/s"


def _step(values: list[tuple[int, Decimal]]) -> Decimal:
    """The usual one; 0 where there is none."""
    steps = sorted(after - before for (_, before), (_, after) in pairwise(values))
    return steps[len(steps) // 2] if steps else Decimal(0)


def _rate(step: Decimal, unit: str) -> float:
    return 1e9 / float(step * UNITS[unit])


def _likely(step: Decimal, unit: str) -> bool:
    return _RATES[0] <= _rate(step, unit) <= _RATES[1]


def _require_rising(path: Path, values: list[tuple[int, Decimal]], stamps: list) -> None:
    for (number, value), before, now in zip(values[1:], stamps, stamps[1:], strict=False):
        if now <= before:
            raise RecordingError(f"{path}, line {number}: {value} is not later than the timestamp before it")
    for (number, value), now in zip(values, stamps, strict=True):
        if not -_FURTHEST_NS < now < _FURTHEST_NS:
            raise RecordingError(f"{path}, line {number}: {value} is no time")
