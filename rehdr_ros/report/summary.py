"""What the page says before it shows anything: a sentence, and what it comes to."""

from html import escape

from rehdr_ros.report.gather import Report

_USUAL = (
    "What the camera gave beside what the network made of it and the events: where the camera's picture is "
    "white or black, the result should show what is there."
)


def lead(report: Report) -> str:
    """HTML: one sentence that says what the page shows, and what would be better."""
    return escape(str(report.demo.get("about", _USUAL)))


def findings(report: Report) -> str:
    """HTML: the figures of a demo that matter most; empty for other folders."""
    found = []
    tags, quality = report.demo.get("tags", {}), report.demo.get("quality", {})
    if tags:
        counts = {name: tags[name]["clipped"] for name in ("camera", "ours", "truth")}
        found.append(("AprilTags found where the camera clips, all frames", "more is better", counts))
    errors = {name: quality.get(key, {}).get("clipped_log2_rmse") for name, key in _ERRORS.items()}
    if all(isinstance(error, float) for error in errors.values()):
        stops = {name: f"{error:.1f} stops" for name, error in errors.items()}
        found.append(("Error of the light where the camera clips", "less is better", stops))
    items = (
        f"<dt>{title} <span class=quiet>({better})</span></dt><dd>{_values(values)}</dd>"
        for title, better, values in found
    )
    return f"<dl class=findings>{''.join(f'<div>{item}</div>' for item in items)}</dl>" if found else ""


_ERRORS = {"camera": "ldr", "ours": "ours"}


def _values(values: dict[str, object]) -> str:
    return "".join(f"<span>{name} <b>{escape(str(value))}</b></span>" for name, value in values.items())
