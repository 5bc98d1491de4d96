"""Medians and intervals of odometry's runs, and their table."""

from collections.abc import Sequence

import numpy as np

from rehdr_ros.training.markdown import markdown_table
from rehdr_ros.training.odometry import KINDS, LOST, NOTHING, Run
from rehdr_ros.training.views import LDR

_RESAMPLED, _BOUNDS = 2000, (2.5, 97.5)  # percentiles: a 95 % interval
_COLUMNS = "lost", "median error, % of the way", "error / LDR's, neither lost (95 %)", "lost / LDR's"


def summary(runs: Sequence[Run]) -> dict[str, dict[str, dict[str, object]]]:
    """By kind of drive, and for all clipped ones, by variant.

    lost: share of the runs with fewer than 0.8 of the poses; median_error: over all, those that are lost
    infinitely wrong; error_over_ldr: medians' ratio over the runs in which neither is lost, with the interval
    of drives drawn anew, since runs of one drive are alike. NaN where there are none.
    """
    report: dict[str, dict[str, dict[str, object]]] = {}
    clipped = [kind for kind in KINDS if kind != NOTHING]
    for kind, kinds in {**{kind: [kind] for kind in KINDS}, "all clipped": clipped}.items():
        of_kind = [run for run in runs if run.kind in kinds]
        by_variant = {
            variant: {(run.drive, run.seed): run for run in of_kind if run.variant == variant}
            for variant in dict.fromkeys(run.variant for run in of_kind)
        }
        if by_variant:
            ldr = by_variant[LDR]
            report[kind] = {variant: _scores(each, ldr) for variant, each in by_variant.items()}
    return report


def table(report: dict[str, dict[str, dict[str, object]]]) -> str:
    """Of a summary, a Markdown table for each kind."""
    parts = []
    for kind, variants in report.items():
        drives, runs = (next(iter(variants.values()))[name] for name in ("drives", "runs"))
        heading = f"{kind}: {drives} drives, {runs} runs; lost: fewer than {100 * LOST:.0f} % of the poses"
        rows = {}
        for variant, scores in variants.items():
            low, high = scores["interval"]
            error = 100 * scores["median_error"]
            rows[variant] = (
                f"{scores['lost']:.2f}",
                f"{error:.2f}" if np.isfinite(error) else "lost",
                f"{scores['error_over_ldr']:.2f} ({low:.2f} to {high:.2f})",
                f"{scores['lost_over_ldr']:.2f}",
            )
        parts.append(f"{heading}\n\n{markdown_table('', _COLUMNS, rows)}")
    return "\n\n".join(parts)


def _scores(runs: dict, ldr: dict) -> dict[str, object]:
    lost = {key: run.lost for key, run in runs.items()}
    errors = [np.inf if lost[key] else run.error for key, run in runs.items()]
    pairs = [
        (*key, run.error, ldr[key].error) for key, run in runs.items() if not lost[key] and not ldr[key].lost
    ]
    pairs = np.array(pairs).reshape(-1, 4)
    ldr_lost = np.mean([run.lost for run in ldr.values()])
    share = float(np.mean(list(lost.values())))
    return {
        "drives": len({drive for drive, _ in runs}),
        "runs": len(runs),
        "lost": share,
        "lost_over_ldr": float(share / ldr_lost) if ldr_lost else float("nan"),
        "median_error": float(np.median(errors)),
        "error_over_ldr": _ratio(pairs),
        "interval": _interval(pairs),
    }


def _ratio(pairs: np.ndarray) -> float:
    """pairs: (N, 4): drive, seed, error, the LDR's error."""
    if not len(pairs):
        return float("nan")
    ours, ldr = np.median(pairs[:, 2:], axis=0)
    return float(ours / ldr)


def _interval(pairs: np.ndarray) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    by_drive = [pairs[pairs[:, 0] == drive] for drive in np.unique(pairs[:, 0])]
    if not by_drive:
        return float("nan"), float("nan")
    drawn = rng.integers(len(by_drive), size=(_RESAMPLED, len(by_drive)))
    ratios = [_ratio(np.concatenate([by_drive[k] for k in row])) for row in drawn]
    low, high = np.percentile(ratios, _BOUNDS)
    return float(low), float(high)
