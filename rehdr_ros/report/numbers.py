"""The figures of summary.json and report.json as HTML tables."""

import math
from collections.abc import Iterable
from html import escape
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from rehdr_ros.report.gather import Report

_LOSSES = ("dropped_events", "lost_packets", "skipped_frames")
_PATHS = ("recording", "weights")  # a page that is passed on needn't tell where they lie
_METHODS = {
    "ours": "ours",
    "ours_without_events": "ours without events",
    "ldr": "the linearised LDR",
    "constant_fill": "clipped pixels at one constant",
}
_MEASURES = {
    "mu_psnr": ("mu-law PSNR", "dB"),
    "mu_psnr_clipped": ("in clipped pixels", "dB"),
    "mu_psnr_well_exposed": ("in well-exposed pixels", "dB"),
    "clipped_log2_rmse": ("error in clipped pixels", "stops"),
}


def headline(report: Report) -> str:
    """What the folder holds, in one line."""
    facts, table = report.demo | report.summary, report.table
    parts = [f"{_text(len(table if table is not None else report.instants))} frames"]
    if table is not None:
        parts.append(f"{table.seconds[-1]:.1f} s")
    if "events" in facts:
        parts.append(f"{_text(facts['events'])} events")
    if "weights" in facts:
        device = ", ".join(str(facts[key]) for key in ("device", "precision") if key in facts)
        parts.append(Path(str(facts["weights"])).name + (f" on {device}" if device else ""))
    return " · ".join(parts)


def number_tables(report: Report) -> str:
    """HTML: quality and latency of a demo, the run, losses, and the time of each stage."""
    return "".join([*_demo(report.demo), *_run(report.summary), _stages(report)])


def _demo(demo: dict[str, Any]) -> Iterable[str]:
    quality = demo.get("quality", {})
    if quality:
        rows = [
            [words, *((quality[method].get(measure), unit) for measure, (_, unit) in _MEASURES.items())]
            for method, words in _METHODS.items()
            if method in quality
        ]
        title = "Against the truth; of PSNR more is better, of error less"
        yield _table(title, ["", *(name for name, _ in _MEASURES.values())], rows)
    tags = demo.get("tags", {})
    if tags:
        rows = [[name, tags[name]["clipped"], tags[name]["exposed"]] for name in tags]
        columns = ["", "where the camera clips", "where it is exposed"]
        yield _table("AprilTags found, all frames; more is better", columns, rows)
    if demo:
        frames, latency = demo.get("frames", {}), demo.get("latency_ms", {})
        rows = [
            ["frames in", frames.get("in")],
            ["frames out", frames.get("out")],
            ["events", demo.get("events")],
            ["rate", demo.get("frames_per_second"), "frames/s"],
            ["latency, median", latency.get("median"), "ms"],
            ["latency, 99th percentile", latency.get("p99"), "ms"],
            ["live against offline, relative difference", demo.get("offline_difference")],
        ]
        yield _table("Live", [], [[name, tuple(value)] for name, *value in rows if value[0] is not None])


def _run(summary: dict[str, Any]) -> Iterable[str]:
    if not summary:
        return
    damage = summary.get("damaged")
    damage = damage if isinstance(damage, dict) else {}
    losses = [[_words(key), summary[key]] for key in _LOSSES if key in summary]
    losses += [[_words(key), value] for key, value in damage.items() if value and key not in _LOSSES]
    others = [
        [_words(key), Path(str(value)).name if key in _PATHS else value]
        for key, value in summary.items()
        if not (key in (*_LOSSES, "damaged") or key.endswith("_ms") or isinstance(value, (dict, list)))
    ]
    yield _table("Run", [], others)
    yield _table("Losses and damage", [], losses)


def _stages(report: Report) -> str:
    """Mean over all frames, as summary.json has it; the others from frames.csv."""
    means = {key.removesuffix("_ms"): value for key, value in report.summary.items() if key.endswith("_ms")}
    durations = report.table.durations if report.table is not None else {}
    rows = []
    for stage in dict.fromkeys([*means, *durations]):
        values = durations.get(stage, np.empty(0))
        values = values[np.isfinite(values)]
        mean = means.get(stage, values.mean() if len(values) else None)
        middle, slow = np.percentile(values, [50, 99]) if len(values) else (None, None)
        rows.append([_words(stage), mean, middle, slow])
    return _table("Time a frame, ms", ["", "mean", "median", "99th percentile"], rows)


def _table(title: str, columns: list[str], rows: list[list[Any]]) -> str:
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    body = "".join(
        f'<tr><th scope="row">{escape(str(name))}</th>{_cells(v, columns)}</tr>' for name, *v in rows
    )
    head = f"<thead><tr>{head}</tr></thead>" if head else ""
    kind = "scroll wide" if len(columns) > 4 else "scroll"
    head = f"<caption>{escape(title)}</caption>{head}"
    return f'<div class="{kind}"><table>{head}<tbody>{body}</tbody></table></div>'


def _cells(values: list[Any], columns: list[str]) -> str:
    """Values, or pairs of a value and its unit; with their columns' names, for a list on phones."""
    cells = []
    for value, label in zip_longest(values, columns[1:]):
        value, *unit = value if isinstance(value, tuple) else (value,)
        text = "\u00a0".join([_text(value), *(unit if value is not None else ())])
        named = f' data-label="{escape(label)}"' if label else ""
        cells.append(f"<td{' class=text' * isinstance(value, str)}{named}>{text}</td>")
    return "".join(cells)


def _words(key: str) -> str:
    return key.replace("_", " ")


def _text(value: Any) -> str:
    """Numbers with thin spaces between thousands, of floats three digits, at least; anything else escaped."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return escape(str(value))
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u2009")
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if abs(value) < 0.001:
        return f"{value:.1e}"
    decimals = max(2 - math.floor(math.log10(abs(value))), 0)
    return f"{value:,.{decimals}f}".replace(",", "\u2009")
