"""What happened over the whole recording, in as many bins as a screen can show."""

import math
from dataclasses import dataclass

import numpy as np

from rehdr_ros.report.table import Table

BINS = 1000
_COUNTERS = {
    "lost_packets": "packets lost",
    "skipped_frames": "frames skipped",
    "dropped_events": "events dropped",
}


@dataclass(frozen=True)
class Series:
    """mean, min and max of each bin, float64; NaN where it has no value."""

    label: str
    mean: np.ndarray
    min: np.ndarray
    max: np.ndarray


@dataclass(frozen=True)
class Panel:
    title: str
    unit: str
    log: bool
    series: list[Series]


@dataclass(frozen=True)
class Mark:
    """What went wrong in a bin, in words; reset: the hidden state started anew."""

    bin: int
    reset: bool
    text: str


@dataclass(frozen=True)
class Timeline:
    """frames: their number; frames_per_bin; seconds: of each bin's first frame, since the start."""

    frames: int
    frames_per_bin: int
    seconds: np.ndarray
    panels: list[Panel]
    marks: list[Mark]


def timeline(table: Table, bins: int = BINS) -> Timeline:
    """Series of rates, times and clipping, marks for resets and losses. Peaks stay: a bin has min and max."""
    width = math.ceil(len(table) / bins)
    starts = np.arange(0, len(table), width)
    none = np.full(len(table), np.nan)
    intervals = np.where(table.intervals > 0, table.intervals, np.nan)
    columns = table.columns
    times = table.durations
    latency = {"latency": times.pop("latency")} if "latency" in times else {}
    clipped = {
        "LDR": 100 * columns.get("clipped_fraction", none),
        "tone-mapped HDR": 100 * columns.get("tonemapped_clipped_fraction", none),
    }
    plan = [
        ("Event rate", "events/s", False, {"events": columns.get("events", none) / intervals}),
        ("Frame rate", "frames/s", False, {"frames": 1 / intervals}),
        ("Time a frame", "ms", True, latency | times),
        ("Clipped pixels", "%", False, clipped),
    ]
    panels = []
    for title, unit, log, values in plan:
        known = {label.replace("_", " "): v for label, v in values.items() if np.isfinite(v).any()}
        series = [_series(label, v, starts) for label, v in known.items()]
        if series:
            panels.append(Panel(title, unit, log, series))
    return Timeline(len(table), width, table.seconds[starts], panels, _marks(table, width))


def _series(label: str, values: np.ndarray, starts: np.ndarray) -> Series:
    known = np.isfinite(values)
    count = np.add.reduceat(known.astype(float), starts)
    total = np.add.reduceat(np.where(known, values, 0.0), starts)
    mean = np.divide(total, count, out=np.full(len(starts), np.nan), where=count > 0)
    low = np.fmin.reduceat(np.where(known, values, np.nan), starts)
    high = np.fmax.reduceat(np.where(known, values, np.nan), starts)
    return Series(label, mean, low, high)


def _marks(table: Table, width: int) -> list[Mark]:
    resets: dict[int, list[str]] = {}
    losses: dict[int, list[str]] = {}
    for frame, reason in enumerate(table.resets):
        if reason:
            resets.setdefault(frame // width, []).append(reason)
    for name, words in _COUNTERS.items():
        counted = np.nan_to_num(table.columns.get(name, np.zeros(len(table))))
        new = np.maximum(np.diff(counted, prepend=0.0), 0.0)
        for b, number in enumerate(np.add.reduceat(new, np.arange(0, len(table), width))):
            if number:
                losses.setdefault(b, []).append(f"{number:.0f} {words}")
    marks = [Mark(b, True, "state reset: " + ", ".join(dict.fromkeys(why))) for b, why in resets.items()]
    marks += [Mark(b, False, ", ".join(words)) for b, words in losses.items()]
    return sorted(marks, key=lambda mark: mark.bin)
