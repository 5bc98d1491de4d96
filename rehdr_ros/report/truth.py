"""The truth beside a folder of results, where it is known: that of a simulation."""

from pathlib import Path

import numpy as np

from rehdr_ros.recordings import read_exr, write_exr, write_png
from rehdr_ros.recordings.images import read_png

RADIANCE, TONEMAPPED = "truth", "truth_tonemapped"
"""Its kinds of pictures, each a folder as those of the products."""


def write_truth(folder: str | Path, number: int, radiance: np.ndarray, tonemapped: np.ndarray) -> None:
    """Of one frame: (H, W, 3) float32, and uint8 as the result is tone mapped."""
    for kind in (RADIANCE, TONEMAPPED):
        (Path(folder) / kind).mkdir(exist_ok=True)
    write_exr(Path(folder) / RADIANCE / f"{number:06d}.exr", radiance, half=True)
    write_png(Path(folder) / TONEMAPPED / f"{number:06d}.png", tonemapped)


def read_truth(folder: str | Path, number: int) -> dict[str, np.ndarray]:
    """By kind; nothing where the folder doesn't have both."""
    radiance = Path(folder) / RADIANCE / f"{number:06d}.exr"
    tonemapped = Path(folder) / TONEMAPPED / f"{number:06d}.png"
    if not (radiance.is_file() and tonemapped.is_file()):
        return {}
    return {RADIANCE: read_exr(radiance), TONEMAPPED: read_png(tonemapped)}
