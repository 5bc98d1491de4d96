"""Medians over the drives out of a tunnel, and their table."""

from collections.abc import Sequence

import numpy as np

from rehdr_ros.training.markdown import markdown_table
from rehdr_ros.training.tunnel import TunnelRun
from rehdr_ros.training.views import LDR

_COLUMNS = "first frame with the tag", "frames earlier than the LDR", "found in", "false alarms"


def summary(runs: Sequence[TunnelRun]) -> dict[str, object]:
    """variants: by name the medians of first and of earlier (frames before the LDR's first), the share of the
    drives in which the tag is found, false_alarms in all. exposure_range and drift, stops: medians."""
    variants = {}
    for name in runs[0].first:
        first = np.array([run.first[name] for run in runs])
        variants[name] = {
            "first": float(np.median(first)),
            "earlier": float(np.median([run.first[LDR] - run.first[name] for run in runs])),
            "found": float(np.mean([run.first[name] < run.frames for run in runs])),
            "false_alarms": sum(run.false_alarms[name] for run in runs),
        }
    drift = {name: float(np.median([run.drift[name] for run in runs])) for name in runs[0].drift}
    exposure_range = float(np.median([run.exposure_range for run in runs]))
    return {"drives": len(runs), "variants": variants, "exposure_range": exposure_range, "drift": drift}


def table(report: dict[str, object]) -> str:
    """Of a summary, in Markdown."""
    rows = {}
    for variant, scores in report["variants"].items():
        cells = f"{scores['first']:g}", f"{scores['earlier']:g}", f"{scores['found']:.2f}"
        rows[variant] = *cells, f"{scores['false_alarms']}"
    drift = ", ".join(f"{name}: {stops:.2f}" for name, stops in report["drift"].items())
    heading = f"{report['drives']} drives out of a tunnel, medians"
    change = f"the exposure changes by {report['exposure_range']:.1f} stops, the radiance's scale by {drift}"
    return f"{heading}\n\n{markdown_table('', _COLUMNS, rows)}\n\n{change}"
