"""The folder that an offline reconstruction leaves."""

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rehdr_ros.recordings.images import VideoWriter, write_exr, write_png


class ResultWriter:
    """Writes hdr/NNNNNN.exr, tonemapped/NNNNNN.png, video.mp4, frames.csv and summary.json. A context manager.

    fps: of the video; half: 16-bit EXR. Files of an earlier run in the folder are replaced, frame by frame.
    """

    def __init__(self, folder: str | Path, fps: float, half: bool = False) -> None:
        self._folder, self._half = Path(folder), half
        for name in ("hdr", "tonemapped"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        self._video = VideoWriter(self._folder / "video.mp4", fps)
        self._table = open(self._folder / "frames.csv", "w", newline="")  # noqa: SIM115 (closed in __exit__)
        self._rows: csv.DictWriter | None = None
        self._size: tuple[int, int] | None = None
        self.count = 0

    def __enter__(self) -> "ResultWriter":
        return self

    def __exit__(self, *exception: object) -> None:
        self._video.close()
        self._table.close()

    def write(self, radiance: np.ndarray, tonemapped: np.ndarray, row: dict[str, Any]) -> None:
        """One frame: (H, W, 3) float32 and uint8, and its row of frames.csv; all rows have the same keys."""
        name = f"{self.count:06d}"
        write_exr(self._folder / "hdr" / f"{name}.exr", radiance, self._half)
        write_png(self._folder / "tonemapped" / f"{name}.png", tonemapped)
        # A recording may change its resolution; a video can't.
        self._size = self._size or tonemapped.shape[1::-1]
        self._video.write(cv2.resize(tonemapped, self._size) if tonemapped.shape[1::-1] != self._size else tonemapped)
        if self._rows is None:
            self._rows = csv.DictWriter(self._table, list(row))
            self._rows.writeheader()
        self._rows.writerow(row)
        self.count += 1

    def summarise(self, summary: dict[str, Any]) -> None:
        """Write summary.json."""
        (self._folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
