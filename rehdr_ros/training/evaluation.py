"""Reconstructions against the truth, beside the baselines that any result must beat."""

import csv
import json
import math
from pathlib import Path

import numpy as np

from rehdr_ros.errors import InputError
from rehdr_ros.recordings import BagRecording, RecordingError, read_exr
from rehdr_ros.simulation.bag import TRUTH_TOPIC
from rehdr_ros.simulation.sensors import RESPONSE
from rehdr_ros.training.metrics import fill_constant, score

Scores = dict[str, dict[str, float]]


def evaluate_folder(predicted: str | Path, truth_bag: str | Path) -> Scores:
    """Scores of the folder that `rehdr reconstruct` wrote and of the baselines, against the bag's truth.

    Frames are paired by their stamps. Raises RecordingError, ValueError or FileNotFoundError where something
    is missing.
    """
    predicted = Path(predicted)
    table_file = predicted / "frames.csv"
    if not table_file.is_file():
        raise RecordingError(f"{table_file} does not exist; {predicted} is no folder of `rehdr reconstruct`")
    with open(table_file, newline="") as file:
        stamps = [int(row["stamp_ns"]) for row in csv.DictReader(file)]
    radiance = {stamp: read_exr(predicted / "hdr" / f"{i:06d}.exr") for i, stamp in enumerate(stamps)}
    return score_with_baselines({"ours": radiance}, truth_bag)


def score_with_baselines(radiance: dict[str, dict[int, np.ndarray]], truth_bag: str | Path) -> Scores:
    """Scores of several reconstructions (name -> stamp -> (H, W, 3)), of the linearised LDR and of the constant fill.

    All over the frames that the truth and every reconstruction have. Raises ValueError where there are none.
    """
    bag = BagRecording(truth_bag)
    truth = {f.stamp_ns: f.image for f in bag.frames(TRUTH_TOPIC)}
    ldr = {f.stamp_ns: f.image for f in bag.frames()}
    stamps = sorted(truth.keys() & ldr.keys() & set.intersection(*(set(r) for r in radiance.values())))
    if not stamps:
        raise InputError(f"{truth_bag} has no frame with truth that was also reconstructed")
    frames = [_in_colour(ldr[s]) for s in stamps]
    linear = [(f.astype(np.float32) / 255) ** RESPONSE for f in frames]
    rows = {name: [images[s] for s in stamps] for name, images in radiance.items()}
    rows["ldr"] = linear
    rows["constant_fill"] = [fill_constant(f, x) for f, x in zip(frames, linear, strict=True)]
    return {name: score(images, frames, [truth[s] for s in stamps]) for name, images in rows.items()}


def json_text(report: dict) -> str:
    """Strict JSON: null for figures that don't exist (no clipped pixel) or have no bound (no error)."""

    def strict(value):
        if isinstance(value, dict):
            return {name: strict(v) for name, v in value.items()}
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(strict(report), indent=2, allow_nan=False) + "\n"


def table(scores: Scores) -> str:
    """The scores as aligned text: dB, and stops for the clipped log2 error."""
    measures = list(next(iter(scores.values())))
    lines = [f"{'':22}" + "".join(f"{m:>22}" for m in measures)]
    for name, values in scores.items():
        lines.append(f"{name:22}" + "".join(f"{values[m]:22.3f}" for m in measures))
    return "\n".join(lines)


def _in_colour(image: np.ndarray) -> np.ndarray:
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, 2)
