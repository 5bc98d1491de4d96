"""From a results folder to plain data."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rehdr_ros.errors import InputError
from rehdr_ros.products import NAMED, written
from rehdr_ros.recordings.results.folder import frame_files, read_picture
from rehdr_ros.report.clip import Clip, clip
from rehdr_ros.report.opening import Opening, opening
from rehdr_ros.report.table import Table, read_table
from rehdr_ros.report.timeline import Timeline, timeline
from rehdr_ros.report.truth import read_truth

INSTANTS = 8
# With all views some 10 bytes of the page each, and never more than 15; the truth adds up to 9.
_PIXELS = 1_000_000
_HALF_MAX = 65504.0
_NEEDED = {"hdr", "tonemapped"}


@dataclass(frozen=True)
class Instant:
    """One frame, its pictures reduced to (h, w).

    number: in the folder, from 0; size: width, height of the recording. pictures: by product, hdr, tonemapped
    and others that the folder has, and kinds of the truth: RGB (h, w, 3) or a plane (h, w); float16 of
    OpenEXR, else uint8.
    linear: (exponent, scale) so that scale * (ldr / 255) ** exponent is in units of the radiance.
    """

    number: int
    size: tuple[int, int]
    pictures: dict[str, np.ndarray]
    linear: tuple[float, float]


@dataclass(frozen=True)
class Report:
    """name: of the folder; opening: what the page shows first; demo: what report.json holds; notes: what is
    missing or changed, in sentences; clip: of outputs between the frames, where there are such."""

    name: str
    instants: list[Instant]
    opening: Opening
    table: Table | None
    timeline: Timeline | None
    summary: dict[str, Any]
    demo: dict[str, Any]
    notes: list[str]
    clip: Clip | None = None


def gather(folder: str | Path, instants: int = INSTANTS) -> Report:
    """Everything that the page tells of a results folder, finished or interrupted.

    Raises InputError where the folder holds no frame, that is no hdr/NNNNNN.exr with its
    tonemapped/NNNNNN.png, and for less than one instant.
    """
    if instants < 1:
        raise InputError(f"a report needs at least 1 instant, not {instants}")
    folder = Path(folder)
    table = read_table(folder / "frames.csv")
    summary, demo = (_read_json(folder / name) for name in ("summary.json", "report.json"))
    notes = []
    numbers, kinds = _numbers(folder)
    if table is not None and (counted := [n for n in numbers if n < len(table)]):
        numbers = counted  # the others are an earlier run's, or came after the last row that was written
    chosen = _spread(numbers, instants)
    shown, damaged = [], []
    for number in chosen:
        try:
            shown.append(_instant(folder, number, kinds, _PIXELS // len(chosen)))
        except (OSError, ValueError):
            damaged.append(number)
    if not shown:
        needed = "hdr/NNNNNN.exr with tonemapped/NNNNNN.png"
        raise InputError(f"no frame in {folder} can be read: it needs {needed}")
    missing = [product.name for product in written(uncertainty=False) if product.name not in kinds]
    notes += [f"The folder has no {name}/: its pictures can't be shown." for name in missing]
    if table is None:
        notes.append("There is no frames.csv with rows: the timeline is left out.")
    if not summary and not demo:
        notes.append("There is no summary.json: the run has not ended, or was interrupted.")
    if damaged:
        notes.append(f"Left out, for a picture can't be read: frame {', '.join(map(str, damaged))}.")
    notes += list(_reductions(shown))
    course = None if table is None else timeline(table)
    between = clip(folder, numbers, table)
    first = opening([instant.pictures for instant in shown])
    return Report(folder.resolve().name, shown, first, table, course, summary, demo, notes, between)


def _numbers(folder: Path) -> tuple[list[int], set[str]]:
    """The frames that have all kinds of pictures that the folder has, and these kinds."""
    found = {kind: {int(path.stem) for path in frame_files(folder, kind)} for kind in NAMED}
    kinds = _NEEDED | {kind for kind in found if found[kind]}
    return sorted(set.intersection(*(found[kind] for kind in kinds))), kinds


def _spread(numbers: list[int], count: int) -> list[int]:
    """Up to `count` of them; the first frame, which has no events, is passed over where there are more."""
    count = min(count, len(numbers))
    chosen = np.linspace(len(numbers) / (count or 1) / 2, len(numbers) - 1, count).astype(int)
    return [numbers[k] for k in dict.fromkeys(chosen)]


def _instant(folder: Path, number: int, kinds: set[str], pixels: int) -> Instant:
    whole = {kind: read_picture(folder, product, number) for kind, product in NAMED.items() if kind in kinds}
    whole |= read_truth(folder, number)
    height, width = whole["hdr"].shape[:2]
    whole = {kind: _fit(_finite(picture), width, height, kind) for kind, picture in whole.items()}
    linear = _linearisation(whole["ldr"], whole["hdr"]) if "ldr" in whole else (1.0, 1.0)
    factor = min((pixels / (width * height)) ** 0.5, 1.0)
    small = (max(int(width * factor), 1), max(int(height * factor), 1))
    pictures = {kind: _half(_fit(picture, *small, kind)) for kind, picture in whole.items()}
    return Instant(number, (width, height), pictures, linear)


def _fit(image: np.ndarray, width: int, height: int, kind: str) -> np.ndarray:
    """Averaged down to the size; of levels, which have no mean, one is taken."""
    if image.shape[1::-1] == (width, height):
        return image
    plane = NAMED[kind].plane if kind in NAMED else None
    how = cv2.INTER_NEAREST if plane and plane.levels else cv2.INTER_AREA
    return cv2.resize(image, (width, height), interpolation=how)


def _finite(image: np.ndarray) -> np.ndarray:
    return image if image.dtype == np.uint8 else np.nan_to_num(image, posinf=_HALF_MAX)


def _half(image: np.ndarray) -> np.ndarray:
    """Floats as float16."""
    return image if image.dtype == np.uint8 else np.clip(image, 0, _HALF_MAX).astype(np.float16)


def _linearisation(ldr: np.ndarray, radiance: np.ndarray) -> tuple[float, float]:
    """The power that fits well-exposed pixels, whose radiance is the linearised frame's; 2.2 where few are.

    It brings the camera's response and the frame's exposure along, whatever they were.
    """
    well = (ldr.min(2) > 20) & (ldr.max(2) < 230) & (radiance.min(2) > 0)
    level, light = np.log(ldr[well] / 255.0).ravel(), np.log(radiance[well]).ravel()
    if len(level) < 100 or np.ptp(level) < 0.5:
        return 2.2, 1.0
    exponent, offset = np.polyfit(level, light, 1)
    return float(exponent), float(np.exp(offset))


def _reductions(instants: list[Instant]) -> Iterator[str]:
    sizes = {(instant.size, instant.pictures["hdr"].shape[1::-1]) for instant in instants}
    for (width, height), (w, h) in sorted(size for size in sizes if size[0] != size[1]):
        yield f"To keep this page small its pictures are reduced from {width}x{height} to {w}x{h} pixels."


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
