"""Outputs between the frames as a clip: a stretch of successive ones, and the camera's frames beside them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from rehdr_ros.products import NAMED
from rehdr_ros.recordings.results.folder import read_picture
from rehdr_ros.report.table import Table

OUTPUTS = 48
_PIXELS = 80_000  # a picture


@dataclass(frozen=True)
class Clip:
    """Successive outputs. numbers: in the folder; seconds: since the first of them; ages: of their frames, s.

    pictures: tone mapped, uint8 RGB (h, w, 3); frames: those of the camera, alike, none where the folder has
    none; frame_of: of each output, which of them is the last that it had.
    """

    numbers: list[int]
    seconds: list[float]
    ages: list[float]
    pictures: list[np.ndarray]
    frames: list[np.ndarray]
    frame_of: list[int]


def clip(folder: Path, numbers: list[int], table: Table | None, most: int = OUTPUTS) -> Clip | None:
    """From the middle of the folder; None where its outputs are frames, or can't be read.

    numbers: of the outputs that have pictures.
    """
    if table is None or "frame_age" not in table.columns or len(numbers) < 2:
        return None
    begin = max((len(numbers) - most) // 2, 0)
    chosen = [n for n in numbers[begin : begin + most] if n < len(table)]
    ages = table.columns["frame_age"]
    starts = [k == 0 or ages[n] < ages[chosen[k - 1]] for k, n in enumerate(chosen)]  # on another frame
    try:
        pictures = [_small(read_picture(folder, NAMED["tonemapped"], n)) for n in chosen]
        firsts = [n for n, first in zip(chosen, starts, strict=True) if first]
        has_frames = (folder / NAMED["ldr"].file(chosen[0])).is_file()
        frames = [_small(read_picture(folder, NAMED["ldr"], n)) for n in firsts] if has_frames else []
    except (OSError, ValueError):
        return None
    seconds = table.seconds[chosen]
    frame_of = (np.cumsum(starts) - 1).tolist()
    return Clip(chosen, (seconds - seconds[0]).tolist(), ages[chosen].tolist(), pictures, frames, frame_of)


def _small(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    factor = min((_PIXELS / (width * height)) ** 0.5, 1.0)
    size = max(round(width * factor), 1), max(round(height * factor), 1)
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
