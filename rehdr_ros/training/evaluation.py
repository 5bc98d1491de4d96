"""Reconstructions against the truth, beside the baselines that any result must beat."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rehdr_ros.errors import InputError
from rehdr_ros.network import Network
from rehdr_ros.products import NAMED
from rehdr_ros.reconstruction.response import Response
from rehdr_ros.recordings import BagRecording, RecordingError, read_exr
from rehdr_ros.recordings.results.folder import TABLE, read_rows
from rehdr_ros.simulation.bag import TRUTH_TOPIC
from rehdr_ros.simulation.sensors import RESPONSE
from rehdr_ros.training.baselines import BASELINES, HEAD_START, Baseline, untrained
from rehdr_ros.training.export import grid_of, in_colour, paired, with_exposures
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
    """The frames of one sequence, (H, W, 3) float32, by method, in the white of the truth.

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
            rows[name] = baseline(ldr, grids, sequence.gain.tolist())
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


def compare_folder(predicted: str | Path, truth_bag: str | Path, *of_frames) -> Comparison:
    """A folder of `rehdr reconstruct`, or one like it, as of compare_with_truth.

    Of frames.csv it takes the columns index and stamp_ns. Raises RecordingError without that file, InputError
    without these or for a frame that is not finite, and FileNotFoundError for one that is not there.
    """
    table_file = Path(predicted) / TABLE
    if not table_file.is_file():
        raise RecordingError(f"{table_file} does not exist; {predicted} is no folder of `rehdr reconstruct`")
    try:
        rows = [(int(row["stamp_ns"]), int(row["index"])) for row in read_rows(predicted)]
    except (KeyError, TypeError, ValueError):
        needed = "needs columns index and stamp_ns, whole numbers in every row"
        raise InputError(f"{table_file} {needed}") from None
    radiance = {}
    for stamp, index in rows:
        path = Path(predicted) / NAMED["hdr"].file(index)
        radiance[stamp] = read_exr(path)
        if not np.isfinite(radiance[stamp]).all():
            raise InputError(f"{path} has values that are not finite: mend it, or leave its row out")
    return compare_with_truth({"ours": radiance}, truth_bag, *of_frames)


def compare_with_truth(
    radiance: dict[str, dict[int, np.ndarray]],
    truth_bag: str | Path,
    response: float | str | Path = RESPONSE,
    white_level: int = 0,
) -> Comparison:
    """Several reconstructions (name -> stamp -> (H, W, 3)) and the baselines, with a bag's truth.

    All over the frames that the truth and every reconstruction have, paired by their stamps, in the white of
    the first frame of which the exposure is told. response, white_level: of the bag's frames, as of Response.
    Raises InputError where there are none, or of another size than the truth.
    """
    bag, to_linear = BagRecording(truth_bag), Response(response, white_level)
    truth = {f.stamp_ns: in_colour(f.image) for f in bag.frames(TRUTH_TOPIC)}
    ldr, grids, exposures = {}, {}, {}
    for job, exposure in with_exposures(paired(bag)):
        stamp = job.frame.stamp_ns
        linear = to_linear.linearise(in_colour(job.frame.image), torch.device("cpu")).pixels
        (ldr[stamp],) = encoded(images(linear[None])[0])
        grids[stamp], exposures[stamp] = grid_of(job, _BINS), exposure
    stamps = sorted(truth.keys() & ldr.keys() & set.intersection(*(set(r) for r in radiance.values())))
    if not stamps:
        raise InputError(f"{truth_bag} has no frame with truth that was also reconstructed")
    rows = {name: [frames[s] for s in stamps] for name, frames in radiance.items()}
    for name, frames in {**rows, "the camera": [ldr[s] for s in stamps]}.items():
        for stamp, frame in zip(stamps, frames, strict=True):
            _require_size(name, stamp, frame, truth[stamp])
    gains = [1.0, *(now / before for before, now in pairwise(exposures.values()))]
    for name, baseline in BASELINES.items():
        made = baseline(list(ldr.values()), list(grids.values()), gains)
        filled = dict(zip(ldr, made, strict=True))
        rows[name] = [filled[s] / np.float32(exposures[s]) for s in stamps]
    parts = ([of[s] for s in stamps] for of in (ldr, grids, truth))
    return Comparison(rows, *parts, skipped=0)


def _require_size(name: str, stamp_ns: int, frame: np.ndarray, truth: np.ndarray) -> None:
    if frame.shape != truth.shape:
        sizes = (f"{x.shape[1]}x{x.shape[0]}" for x in (frame, truth))
        raise InputError("{}: the frame at {} ns has {} pixels, its truth {}".format(name, stamp_ns, *sizes))


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
