"""What a training or an evaluation gets of one recording, whatever its source."""

from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sequence:
    """T frames, all float32.

    ldr: (T, 3, H, W) linear RGB, 1.0 = white. voxel: (T, B, H, W) signed event counts since the frame before,
    zeros for the first. truth: (T, 3, H, W) linear RGB, 1.0 = the same frame's white. gain: (T,) exposure
    over that of the frame before, as far as told, else 1. seconds: (T,) since the frame before; first: any.
    dead_time: (), s that a pixel is blind after an event, as of DeadTime; 0 where nobody tells.
    """

    ldr: Tensor
    voxel: Tensor
    truth: Tensor
    gain: Tensor
    seconds: Tensor
    dead_time: Tensor | None = None

    def __post_init__(self) -> None:
        if self.dead_time is None:
            object.__setattr__(self, "dead_time", self.gain.new_zeros(self.gain.shape[:-1]))

    def __len__(self) -> int:
        return len(self.ldr)

    def map(self, change: Callable[[Tensor], Tensor]) -> "Sequence":
        """Every field through `change`."""
        return Sequence(*(change(getattr(self, field.name)) for field in fields(self)))


def collate(sequences: list[Sequence]) -> Sequence:
    """Stack to a batch: (N, T, ...)."""
    return Sequence(*(torch.stack([getattr(s, f.name) for s in sequences]) for f in fields(Sequence)))
