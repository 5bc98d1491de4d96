"""More sequences out of the same recording."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from rehdr_ros.training.sequence import Sequence


def augmented(sequence: Sequence, rng: np.random.Generator) -> Sequence:
    """One of the eight flips and quarter turns of the image plane, the same for every frame, grid and truth.

    Polarities, times and gains stay. A quarter turn exchanges height and width.
    """
    dims = [d for d in (-1, -2) if rng.random() < 0.5]
    turns = int(rng.integers(2))

    def turned(x: Tensor) -> Tensor:
        return torch.rot90(x.flip(dims), turns, (-2, -1))

    return replace(sequence, ldr=turned(sequence.ldr), voxel=turned(sequence.voxel), truth=turned(sequence.truth))
