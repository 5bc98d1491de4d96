"""More sequences out of the same recording."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from rehdr_ros.network.integrator import CLIPPED
from rehdr_ros.simulation.sensors import RESPONSE
from rehdr_ros.training.sequence import Sequence

_EXPOSURE = 0.7  # natural log units, up and down


def augmented(sequence: Sequence, rng: np.random.Generator) -> Sequence:
    """One of the eight flips and quarter turns of the image plane, the same for every frame, grid and truth.

    Polarities, times and gains stay. A quarter turn exchanges height and width.
    """
    dims = [d for d in (-1, -2) if rng.random() < 0.5]
    turns = int(rng.integers(2))

    def turned(x: Tensor) -> Tensor:
        return torch.rot90(x.flip(dims), turns, (-2, -1))

    ldr, voxel, truth = map(turned, (sequence.ldr, sequence.voxel, sequence.truth))
    return replace(sequence, ldr=ldr, voxel=voxel, truth=truth)


def exposed_anew(sequence: Sequence, rng: np.random.Generator) -> Sequence:
    """A batch (N, T, ...) as seen by a camera of another exposure, a half to twice, each sequence its own.

    What was clipped and is no longer comes from the truth; all is quantised to 8 bit.
    """
    n = len(sequence.ldr)
    gain = np.exp(rng.uniform(-_EXPOSURE, _EXPOSURE, n)).astype(np.float32)
    gain = torch.from_numpy(gain).to(sequence.ldr.device, non_blocking=True).view(-1, 1, 1, 1, 1)
    ldr = torch.where(sequence.ldr >= CLIPPED, sequence.truth, sequence.ldr) * gain
    ldr = ((ldr.clamp(0, 1) ** (1 / RESPONSE) * 255).round() / 255) ** RESPONSE
    return replace(sequence, ldr=ldr, truth=sequence.truth * gain)
