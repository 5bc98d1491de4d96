"""Simulated sequences in little room, in memory and in files, to be drawn many times."""

import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rehdr_ros import safetensors_file
from rehdr_ros.errors import InputError, writing
from rehdr_ros.simulation.batch import Batch
from rehdr_ros.simulation.sensors import RESPONSE
from rehdr_ros.training.sequence import Sequence

_LOG_STEPS = 2048  # of the truth's log2 an octave: an error of 2^-12 octaves at most
_LEAST_LOG, _MOST_LOG = -15.99, 15.99  # octaves: what 16 bit hold


@dataclass(frozen=True)
class Kept:
    """One sequence of T frames; C is 1 where all channels are equal, else 3.

    ldr: (T, C, H, W) the camera's values, of 0 to `levels`, uint8 where those are 255, else int16. truth:
    (T, C, H, W) int16, steps of 1/2048 octave. voxel: (T, B, H, W) float16. gain, seconds: (T,) float32.
    """

    ldr: Tensor
    levels: int
    truth: Tensor
    voxel: Tensor
    gain: Tensor
    seconds: Tensor

    def cut(self, frames: slice, rows: slice, columns: slice) -> Sequence:
        """A part as float32. The frames are exact; the truth is within 2^-12 octaves, the grids within 2^-11.

        The first grid is zero, as after a reset.
        """
        t, _, h, w = self.voxel[frames, :1, rows, columns].shape
        ldr, truth, voxel = (x[frames, :, rows, columns].float() for x in (self.ldr, self.truth, self.voxel))
        ldr, truth = (ldr / self.levels) ** RESPONSE, (truth / _LOG_STEPS).exp2()
        voxel[0] = 0
        ldr, truth = (x.expand(t, 3, h, w) for x in (ldr, truth))
        return Sequence(ldr, voxel, truth, self.gain[frames], self.seconds[frames])


def keep(batch: Batch) -> list[Kept]:
    """The sequences of a batch, on its device."""
    grey = [(x == x[:, :, :1]).flatten(1).all(1) for x in (batch.ldr, batch.truth)]
    drawn = zip(batch.levels.tolist(), (grey[0] & grey[1]).tolist(), strict=True)
    return [_keep(batch, n, int(levels), 1 if grey else 3) for n, (levels, grey) in enumerate(drawn)]


def write(path: Path, kept: Kept, recipe: str) -> None:
    """A safetensors file, at once or not at all: of the grids what isn't zero, and where that is, in bits."""
    grids = kept.voxel.cpu().numpy()
    there = grids != 0
    tensors = {name: getattr(kept, name) for name in ("ldr", "truth", "gain", "seconds")}
    tensors |= {"there": torch.from_numpy(np.packbits(there)), "events": torch.from_numpy(grids[there])}
    notes = {"recipe": recipe, "levels": str(kept.levels), "bins": str(grids.shape[1])}
    part = path.with_name(f"{path.name}.{os.getpid()}")
    with writing(part):
        safetensors_file.write(part, tensors, notes)
        part.replace(path)


def read(path: Path, recipe: str) -> Kept:
    """What `write` wrote, on the CPU. Raises InputError for another recipe or a damaged file."""
    try:
        tensors, notes = safetensors_file.read(path)
        if notes.get("recipe") != recipe:
            raise InputError("simulated by another configuration; take another folder or remove this one")
        t, _, h, w = tensors["ldr"].shape
        shape = (t, int(notes["bins"]), h, w)
        sizes = tensors["truth"].shape, len(tensors["gain"]), len(tensors["seconds"]), len(tensors["there"])
        if sizes != (tensors["ldr"].shape, t, t, -(-math.prod(shape) // 8)):
            raise InputError("parts that do not fit each other: remove it, and it is simulated anew")
        there = np.unpackbits(tensors["there"].numpy(), count=math.prod(shape)).view(bool)
        grids = np.zeros(len(there), np.float16)
        grids[there] = tensors["events"].numpy()
        parts = {name: tensors[name] for name in ("ldr", "truth", "gain", "seconds")}
        return Kept(levels=int(notes["levels"]), voxel=torch.from_numpy(grids.reshape(shape)), **parts)
    except (InputError, KeyError, ValueError) as error:
        raise InputError(f"{path}: {error}") from error


def _keep(batch: Batch, n: int, levels: int, channels: int) -> Kept:
    ldr, truth = batch.ldr[n, :, :channels], batch.truth[n, :, :channels]
    shown = (ldr ** (1 / RESPONSE) * levels).round()
    log = truth.clamp_min(torch.finfo(torch.float32).tiny).log2().clamp(_LEAST_LOG, _MOST_LOG)
    return Kept(
        shown.to(torch.uint8 if levels <= 255 else torch.int16),
        levels,
        (log * _LOG_STEPS).round().to(torch.int16),
        batch.voxel[n].half(),
        batch.gain[n],
        batch.seconds[n],
    )
