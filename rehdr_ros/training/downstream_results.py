"""Means over scenes of what features and detectors get, and their tables."""

from collections.abc import Sequence

import numpy as np

from rehdr_ros.training.codes import ABOVE, BELOW, KINDS
from rehdr_ros.training.downstream import KLT, CodeRun, FeatureRun
from rehdr_ros.training.features import DETECTORS, PLACES
from rehdr_ros.training.markdown import markdown_table
from rehdr_ros.training.reclipped_features import TO_NEXT, TO_ORIGINAL, RealRun
from rehdr_ros.training.views import LDR

_STEADY = "whole picture, levels a frame", "a point, levels a frame", "ORB: poorest pair / mean"


def summary(feature_runs: Sequence[FeatureRun], code_runs: Sequence[CodeRun]) -> dict[str, object]:
    """matches: by detector, variant and place, found and correct ones a pair. track_length: by variant and
    place, frames, NaN where there are no tracks. steadiness: by variant. codes: by kind and variant, shares
    found, NaN where none is in view, and false_alarms in all."""
    variants = list(dict.fromkeys(run.variant for run in feature_runs))
    by_variant = {v: [run for run in feature_runs if run.variant == v] for v in variants}
    matches = {
        detector: {
            v: _by_place(np.concatenate([run.matches[detector] for run in runs]).mean(0))
            for v, runs in by_variant.items()
        }
        for detector in (*DETECTORS, KLT)
    }
    lengths = {v: np.sum([run.track_lengths for run in runs], 0) for v, runs in by_variant.items()}
    return {
        "scenes": len({run.scene for run in feature_runs}),
        "matches": matches,
        "track_length": {
            v: {place: _share(total, n) for place, (n, total) in zip(PLACES, rows.tolist(), strict=True)}
            for v, rows in lengths.items()
        },
        "steadiness": {v: _steadiness(runs) for v, runs in by_variant.items()},
        "codes": {kind: {v: _codes(code_runs, kind, v) for v in variants} for kind in KINDS},
    }


def table(report: dict[str, object]) -> str:
    """Of a summary, in Markdown."""
    parts = [f"{report['scenes']} scenes: correct matches a pair of frames (their share of the matches)"]
    parts += [_match_table(name, rows, PLACES) for name, rows in report["matches"].items()]
    lengths = {v: [f"{row[p]:.1f}" for p in PLACES] for v, row in report["track_length"].items()}
    parts.append(markdown_table("frames that a KLT track stays correct", PLACES, lengths))
    steady = {
        v: [f"{row['whole']:.2f}", f"{row['point']:.1f}", f"{row['poorest']:.2f}"]
        for v, row in report["steadiness"].items()
    }
    parts.append(markdown_table("steadiness", _STEADY, steady))
    for kind, rows in report["codes"].items():
        columns = f"{ABOVE}, of {_in_view(rows, ABOVE)}", f"{BELOW}, of {_in_view(rows, BELOW)}"
        cells = {v: _code_cells(row) for v, row in rows.items()}
        parts.append(markdown_table(f"{kind}s found", (*columns, "false alarms"), cells))
    return "\n\n".join(parts)


def real_summary(runs: Sequence[RealRun]) -> dict[str, dict]:
    """By recording and share, by TO_ORIGINAL and TO_NEXT, by detector, variant and place: found and correct
    ones a frame."""
    report: dict[str, dict] = {}
    for run in runs:
        of_recording = report.setdefault(f"{run.recording}, {100 * run.share:g} % clipped", {})
        for against, detectors in run.matches.items():
            for detector, rows in detectors.items():
                variants = of_recording.setdefault(against, {}).setdefault(detector, {})
                variants[run.variant] = _by_place(np.mean(rows, 0))
    return report


def real_table(report: dict[str, dict]) -> str:
    """Of a real_summary, in Markdown: correct matches everywhere and in clipped pixels."""
    parts = []
    for name, of_recording in report.items():
        parts.append(f"{name}: correct matches a frame (their share of the matches)")
        for detector in DETECTORS:
            merged = {
                variant: {
                    f"{against}, {place}": of_recording[against][detector][variant][place]
                    for against in (TO_ORIGINAL, TO_NEXT)
                    for place in PLACES[:2]
                }
                for variant in of_recording[TO_ORIGINAL][detector]
            }
            parts.append(_match_table(detector, merged, list(next(iter(merged.values())))))
    return "\n\n".join(parts)


def _match_table(heading: str, rows: dict[str, dict[str, dict]], columns: Sequence[str]) -> str:
    """By variant and column: found and correct; below, each over the LDR's correct ones."""
    cells = {v: [_match_cell(row[c]) for c in columns] for v, row in rows.items()}
    for variant, row in rows.items():
        if variant.startswith("HDR"):
            ratios = (_share(row[c]["correct"], rows[LDR][c]["correct"]) for c in columns)
            cells[f"{variant} / LDR"] = [f"{ratio:.2f}" for ratio in ratios]
    return markdown_table(heading, columns, cells)


def _by_place(means: np.ndarray) -> dict[str, dict[str, float]]:
    rows = zip(PLACES, means.tolist(), strict=True)
    return {place: {"found": found, "correct": correct} for place, (found, correct) in rows}


def _steadiness(runs: Sequence[FeatureRun]) -> dict[str, float]:
    whole, point = np.mean([run.steadiness for run in runs], 0).tolist()
    correct = [np.array(run.matches["ORB"])[:, 0, 1] for run in runs]
    poorest = np.mean([each.min() / max(each.mean(), 1e-9) for each in correct])
    return {"whole": whole, "point": point, "poorest": float(poorest)}


def _codes(runs: Sequence[CodeRun], kind: str, variant: str) -> dict[str, object]:
    runs = [run for run in runs if run.variant == variant]
    result: dict[str, object] = {"false_alarms": sum(run.false_alarms[kind] for run in runs)}
    for level in (ABOVE, BELOW):
        found, visible = (
            sum(getattr(run, name)[kind][level] for run in runs) for name in ("found", "visible")
        )
        result[level] = {"found": found, "visible": visible, "share": _share(found, visible)}
    return result


def _in_view(rows: dict[str, dict], level: str) -> int:
    return next(iter(rows.values()))[level]["visible"]


def _code_cells(row: dict[str, object]) -> list[str]:
    shares = (f"{row[level]['found']} ({row[level]['share']:.2f})" for level in (ABOVE, BELOW))
    return [*shares, f"{row['false_alarms']}"]


def _match_cell(row: dict[str, float]) -> str:
    return f"{row['correct']:.0f} ({row['correct'] / max(row['found'], 1e-9):.2f})"


def _share(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
