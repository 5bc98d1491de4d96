"""Events between frames, had they come earlier or later: from voxel grids, without the events."""

import torch
from torch import Tensor


def shifted_sums(grids: Tensor, seconds: Tensor, latency: float) -> Tensor:
    """Sums over the events from `latency` s after the frame before to `latency` s after the frame.

    grids: (T, B, H, W), at least 2 bins and 4 frames; seconds: (T,) since the frame before. Returns (T - 3,
    H, W), of frames 2 to T - 2: with intervals on both sides, of which no more than all can be taken. An
    event in a bin came somewhere in the two gaps beside it, as likely as `voxel_grid` weighs it.
    """
    bins, late = grids.shape[1], latency >= 0
    share = (latency / seconds[1:]).clamp(-1, 1)
    place = (share if late else 1 + share) * (bins - 1)
    before = torch.stack([_share_before(place, b, bins - 1) for b in range(bins)], 1)[..., None, None]
    first, second = ((part * grids[1:]).sum(1) for part in (before, 1 - before))
    return second[1:-1] + first[2:] if late else first[1:-1] + second[:-2]


def _share_before(place: Tensor, b: int, last: int) -> Tensor:
    """Of the triangle around bin b, from 0 to `last`, the area up to a place, over all of it."""
    up = (place - b + 1).clamp(0, 1) ** 2 if b else 0
    down = 1 - (1 - (place - b).clamp(0, 1)) ** 2 if b < last else 0
    return (up + down) / ((b > 0) + (b < last))
