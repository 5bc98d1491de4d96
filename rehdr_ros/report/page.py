"""From plain data to one HTML page that needs nothing else."""

import base64
import json
import math
import zlib
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import cv2
import numpy as np

from rehdr_ros.products import NAMED, Product
from rehdr_ros.report.clip import Clip
from rehdr_ros.report.gather import Instant, Report
from rehdr_ros.report.numbers import headline, number_tables
from rehdr_ros.report.summary import findings, lead
from rehdr_ros.report.timeline import Series, Timeline

_ASSETS = Path(__file__).parent / "assets"
_SCRIPTS = (
    "page.js",
    "triple.js",
    "compare.js",
    "planes.js",
    "exposure.js",
    "events.js",
    "clip.js",
    "timeline.js",
)
_LOSSLESS, _CLIP_QUALITY = 101, 80  # of WebP, which is lossless above 100
_WHITE = {
    "ldr_white": "1.0 is the level at which the first frame after a reset saturates (radiance: ldr_white).",
    "relative": "Values are relative: the network puts them in 0..1, without a fixed scale "
    "(radiance: relative).",
}


def html_page(report: Report) -> str:
    """The page: pictures, float data, style and scripts inline; it requests nothing."""
    template = Template((_ASSETS / "page.html").read_text(encoding="utf-8"))
    told = report.demo | report.summary
    return template.substitute(
        title=escape(f"HDR report: {report.name}"),
        name=escape(report.name),
        headline=escape(headline(report)),
        lead=lead(report),
        findings=findings(report),
        white=escape(_WHITE.get(told.get("radiance"), "The folder does not tell what radiance 1.0 means.")),
        notes="".join(f"<li>{escape(note)}</li>" for note in report.notes),
        numbers=number_tables(report),
        style=(_ASSETS / "page.css").read_text(encoding="utf-8"),
        # Within <script> only "</" and "<!--" would end or change what is read.
        data=json.dumps(_data(report), allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"),
        script="\n".join((_ASSETS / name).read_text(encoding="utf-8") for name in _SCRIPTS),
    )


def _data(report: Report) -> dict[str, Any]:
    return {
        "frames": [_frame(instant, report) for instant in report.instants],
        "opening": report.opening._asdict(),
        "planes": [_plane(product) for product in _shown(report) if product.plane],
        "timeline": report.timeline and _timeline(report.timeline),
        "clip": report.clip and _clip(report.clip),
    }


def _clip(clip: Clip) -> dict[str, Any]:
    numbers = {name: _list(np.array(getattr(clip, name))) for name in ("seconds", "ages")}
    pictures = {
        name: [_data_url(x, _CLIP_QUALITY) for x in getattr(clip, name)] for name in ("pictures", "frames")
    }
    return {"numbers": clip.numbers, "frame_of": clip.frame_of, **numbers, **pictures}


def _shown(report: Report) -> list[Product]:
    return [product for name, product in NAMED.items() if name in report.instants[0].pictures]


def _plane(product: Product) -> dict[str, Any]:
    return {"name": product.name, "half": product.suffix == ".exr", **product.plane._asdict()}


def _frame(instant: Instant, report: Report) -> dict[str, Any]:
    height, width = instant.pictures["hdr"].shape[:2]
    table, number = report.table, instant.number
    names = ("events", "clipped_fraction", "tonemapped_clipped_fraction")
    facts = {"seconds": None, **dict.fromkeys(names)}
    if table is not None and number < len(table):
        facts["seconds"] = _known(table.seconds[number])
        facts |= {name: _known(table.columns[name][number]) for name in names if name in table.columns}
    return {
        "number": number,
        "facts": facts,
        "size": instant.size,
        "width": width,
        "height": height,
        "pictures": {name: _code(name, picture) for name, picture in instant.pictures.items()},
        "linear": instant.linear,
    }


def _code(name: str, picture: np.ndarray) -> str:
    if picture.dtype == np.float16 or picture.ndim == 2:
        return _packed(picture)
    return _data_url(_events_alone(picture) if name == "events" else picture)


def _packed(values: np.ndarray) -> str:
    """float16, little-endian, or uint8."""
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    return base64.b64encode(zlib.compress(data)).decode()


def _events_alone(picture: np.ndarray) -> np.ndarray:
    """uint8 RGB, red and blue over white or grey -> RGBA, without what has no colour: it was below them."""
    below = picture.min(2, keepdims=True).astype(np.float32)
    alpha = picture.max(2, keepdims=True) - below
    colour = (picture - below) * 255 / np.maximum(alpha, 1)
    return np.rint(np.concatenate([colour, alpha], axis=2)).astype(np.uint8)


def _data_url(image: np.ndarray, quality: int = _LOSSLESS) -> str:
    """RGB or RGBA."""
    code = cv2.COLOR_RGBA2BGRA if image.shape[2] == 4 else cv2.COLOR_RGB2BGR
    how = [cv2.IMWRITE_WEBP_QUALITY, quality]
    _, webp = cv2.imencode(".webp", cv2.cvtColor(image, code), how)
    return "data:image/webp;base64," + base64.b64encode(webp).decode()


def _timeline(timeline: Timeline) -> dict[str, Any]:
    return {
        "frames": timeline.frames,
        "per_bin": timeline.frames_per_bin,
        "seconds": _list(timeline.seconds),
        "panels": [
            {"title": p.title, "unit": p.unit, "log": p.log, "series": [_series(s) for s in p.series]}
            for p in timeline.panels
        ],
        "marks": [vars(mark) for mark in timeline.marks],
    }


def _series(series: Series) -> dict[str, Any]:
    return {"label": series.label, **{name: _list(getattr(series, name)) for name in ("mean", "min", "max")}}


def _list(values: np.ndarray) -> list[float | None]:
    return [_known(value) for value in values]


def _known(value: float) -> float | None:
    """For JSON, with 5 digits, which no screen can show."""
    return float(f"{value:.5g}") if math.isfinite(value) else None
