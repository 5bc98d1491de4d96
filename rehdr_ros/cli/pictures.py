"""What an evaluated sequence looks like: a picture, a video, and frames for other tools."""

from pathlib import Path

import numpy as np

from rehdr_ros.cli.comparison import display, grid_picture
from rehdr_ros.reconstruction.event_image import event_image
from rehdr_ros.recordings import write_exr, write_png
from rehdr_ros.recordings.results.video import VideoWriter
from rehdr_ros.training.evaluation import NOT_ITS_EVENTS, Comparison
from rehdr_ros.training.metrics import WHITE, log2_luminance, pixel_classes

_LEFT_OUT = ("constant_fill", "constant_lift", "grey_fill")
_FPS, _INSTANTS = 20, 3


def write_pictures(comparison: Comparison, folder: Path, name: str) -> None:
    """FOLDER/NAME.png: three instants; NAME.mp4: all of it; NAME/METHOD/NNNNNN.exr: radiance in cd/m2.

    That has one scale per sequence, as in the measures; NAME/truth: the truth, the LDR where there is none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = {m: r for m, r in comparison.rows.items() if m not in _LEFT_OUT and not m.endswith(NOT_ITS_EVENTS)}
    frames = zip(comparison.truth, comparison.rows["ldr"], strict=True)
    truth = [np.where(np.isnan(frame), ldr, frame) for frame, ldr in frames]
    columns = {"LDR": rows.pop("ldr"), "events": None, **rows, "truth": truth}
    exposure, grids = truth[len(truth) // 2], comparison.grids

    def line(k: int) -> list[np.ndarray]:
        return [event_image(grids[k]) if r is None else display(r[k], exposure) for r in columns.values()]

    chosen = np.linspace(comparison.skipped, len(truth) - 1, _INSTANTS).astype(int)
    write_png(folder / f"{name}.png", grid_picture([line(k) for k in chosen], list(columns)))
    with VideoWriter(folder / f"{name}.mp4", _FPS) as video:
        for k in range(len(truth)):
            video.write(grid_picture([line(k)], list(columns)))
    for method, frames in {**comparison.rows, "truth": truth}.items():
        _write_frames(frames, comparison, folder / name / method.replace(" ", "_"))


def _write_frames(frames: list[np.ndarray], comparison: Comparison, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    well = pixel_classes(np.stack(comparison.ldr))["well_exposed"]
    error = log2_luminance(np.stack(frames)) - log2_luminance(np.stack(comparison.truth))
    scale = WHITE / 2 ** (np.median(error[well]) if well.any() else 0.0)
    for k in range(comparison.skipped, len(frames)):
        write_exr(folder / f"{k - comparison.skipped:06d}.exr", (scale * frames[k]).astype(np.float32))
