"""Reconstructions against the truth, beside the baselines that any result must beat."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rehdr_ros.errors import InputError
from rehdr_ros.network import Network
from rehdr_ros.products import NAMED
from rehdr_ros.recordings import BagRecording, RecordingError, read_exr
from rehdr_ros.recordings.results.folder import TABLE, read_rows
from rehdr_ros.simulation.bag import TRUTH_TOPIC
from rehdr_ros.training.baselines import BASELINES, HEAD_START, Baseline, untrained
from rehdr_ros.training.export import grid_of, in_colour, paired
from rehdr_ros.training.metrics import mean_scores, score
from rehdr_ros.training.sequence import Sequence, collate
from rehdr_ros.training.unrolled import radiances
from rehdr_ros.training.validation import encoded, images

Scores = dict[str, dict[str, float]]
NOT_ITS_EVENTS = " without events", ", another recording's events", ", events 50 ms late"
WITHOUT_EVENTS, ANOTHERS_EVENTS, LATE_EVENTS = NOT_ITS_EVENTS

# Errors as shares of the LDR's.
SHARES = {"clipped_error_share": "clipped_log2_rmse", "structure_error_share": "structure_error_clipped"}
SKIPPED = 3  # frames at the start of a sequence, when nobody can know much
_BINS = 5  # of the filter's grids; it takes their sum


@dataclass(frozen=True)
class Comparison:
    """The frames of one sequence, (H, W, 3) float32, 1.0 = the LDR's white, by method.

    ldr: uint8. grids: (B, H, W). skipped: frames at its start that are not scored.
    """

    rows: dict[str, list[np.ndarray]]
    ldr: list[np.ndarray]
    grids: list[np.ndarray]
    truth: list[np.ndarray]
    skipped: int = SKIPPED

    def scores(self) -> Scores:
        """Of every method, with its errors in clipped pixels as shares of the LDR's."""
        ldr, truth = self.ldr[self.skipped :], self.truth[self.skipped :]
        return _with_shares({name: score(row[self.skipped :], ldr, truth) for name, row in self.rows.items()})


@torch.inference_mode()
def compare(
    sequence: Sequence,
    networks: Mapping[str, Network],
    baselines: Mapping[str, Baseline] = BASELINES,
    others: Mapping[str, Tensor] | None = None,
    skipped: int = SKIPPED,
) -> Comparison:
    """The baselines and the networks, with their events and with none, on one sequence.

    others: grids that the networks get in further rows instead of the sequence's, by the names' ends.
    """
    batch = collate([sequence])
    frames = images(batch.ldr)[0]
    ldr, grids = encoded(frames), list(sequence.voxel.numpy())
    rows = {}
    for name, baseline in baselines.items():
        if name == HEAD_START:  # as the networks have it, by the sequence's times
            rows[name] = images(radiances(untrained(len(grids[0])), batch))[0]
        else:
            rows[name] = baseline(ldr, grids)
    voxels = {"": sequence.voxel, WITHOUT_EVENTS: torch.zeros_like(sequence.voxel), **(others or {})}
    for name, network in networks.items():
        for suffix, voxel in voxels.items():
            inputs = replace(batch, voxel=voxel[None])
            rows[name + suffix] = images(radiances(network, inputs))[0]
    truth = list(images(batch.truth)[0])
    return Comparison({name: list(row) for name, row in rows.items()}, ldr, grids, truth, skipped)


def mean_of(scores: list[Scores]) -> Scores:
    """Means over sequences."""
    return {name: mean_scores([s[name] for s in scores]) for name in scores[0]}


def evaluate_folder(predicted: str | Path, truth_bag: str | Path) -> Scores:
    """Scores of the folder that `rehdr reconstruct` wrote and of the baselines, against the bag's truth.

    Frames are paired by their stamps. Raises RecordingError, ValueError or FileNotFoundError where something
    is missing.
    """
    predicted = Path(predicted)
    table_file = predicted / TABLE
    if not table_file.is_file():
        raise RecordingError(f"{table_file} does not exist; {predicted} is no folder of `rehdr reconstruct`")
    stamps = [int(row["stamp_ns"]) for row in read_rows(predicted)]
    radiance = {stamp: read_exr(predicted / NAMED["hdr"].file(i)) for i, stamp in enumerate(stamps)}
    return score_with_baselines({"ours": radiance}, truth_bag)


def score_with_baselines(radiance: dict[str, dict[int, np.ndarray]], truth_bag: str | Path) -> Scores:
    """Scores of several reconstructions (name -> stamp -> (H, W, 3)) and of the baselines.

    All over the frames that the truth and every reconstruction have. Raises ValueError where there are none.
    """
    bag = BagRecording(truth_bag)
    truth = {f.stamp_ns: f.image for f in bag.frames(TRUTH_TOPIC)}
    ldr, grids = {}, {}
    for job in paired(bag):
        ldr[job.frame.stamp_ns] = in_colour(job.frame.image)
        grids[job.frame.stamp_ns] = grid_of(job, _BINS)
    stamps = sorted(truth.keys() & ldr.keys() & set.intersection(*(set(r) for r in radiance.values())))
    if not stamps:
        raise InputError(f"{truth_bag} has no frame with truth that was also reconstructed")
    rows = {name: [frames[s] for s in stamps] for name, frames in radiance.items()}
    for name, baseline in BASELINES.items():
        filled = dict(zip(ldr, baseline(list(ldr.values()), list(grids.values())), strict=True))
        rows[name] = [filled[s] for s in stamps]
    frames = [ldr[s] for s in stamps]
    return _with_shares({name: score(row, frames, [truth[s] for s in stamps]) for name, row in rows.items()})


def _with_shares(scores: Scores) -> Scores:
    for values in scores.values():
        for share, measure in SHARES.items():
            error = scores["ldr"][measure]
            values[share] = values[measure] / error if error else float("nan")
    return scores


def json_text(report: dict) -> str:
    """Strict JSON: null for figures that don't exist (no clipped pixel) or have no bound (no error)."""

    def strict(value):
        if isinstance(value, dict):
            return {name: strict(v) for name, v in value.items()}
        if isinstance(value, list | tuple):
            return [strict(v) for v in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(strict(report), indent=2, allow_nan=False) + "\n"


def table(scores: Scores) -> str:
    """The scores as aligned text, a column a method; dB, SSIM, shares and correlation, else stops."""
    measures = list(next(iter(scores.values())))
    widths = [max(len(name), 8) + 2 for name in scores]
    lines = [f"{'':30}" + "".join(f"{name:>{w}}" for name, w in zip(scores, widths, strict=True))]
    for measure in measures:
        values = (f"{scores[name][measure]:{w}.3f}" for name, w in zip(scores, widths, strict=True))
        lines.append(f"{measure:30}" + "".join(values))
    return "\n".join(lines)


def table_by_sequence(sequences: dict[str, Scores], measure: str) -> str:
    """One measure as aligned text: a row a method, a column a sequence, and their mean."""
    columns = {"mean": mean_of(list(sequences.values())), **sequences}
    widths = [max(len(name), 6) + 2 for name in columns]
    lines = [f"{measure:40}" + "".join(f"{name:>{w}}" for name, w in zip(columns, widths, strict=True))]
    for method in next(iter(sequences.values())):
        values = zip(columns.values(), widths, strict=True)
        lines.append(f"{method:40}" + "".join(f"{scores[method][measure]:{w}.3f}" for scores, w in values))
    return "\n".join(lines)
