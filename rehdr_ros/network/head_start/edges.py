"""Between moving edges light is even: what differs there without an event is a ghost, and is levelled.

Events tell changes. A pixel that starts from a guess adds them to the guess, and where the guess didn't know
of an edge, its negative stays behind as the edge moves on. But an edge that moves fires events where it is,
and a ghost doesn't: where neither of two neighbours along the motion has just fired, they get alike, the less
the better each knows its own light. So a sign above white that was never exposed turns from an embossing into
ink and paper. How long an edge stays at a pixel, and which way it moves, tell the delays between neighbours'
last events. Edges along the motion fire none, nor do those that stand still: they stay.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from rehdr_ros.network.ramp import ramp

RECENT = 0.3  # s, in which events tell how fast edges move
PIXELS = 0.7, 1.0  # that an edge moves on after a pixel has fired, till it begins to be even there, and is
SWEEPS = 2  # of all pixels, a frame
LEAST_VARIANCE = 0.05  # nat^2, above which a pixel is levelled
OWN = 0.06  # nat^2, over the variance above that: the weight of its own light, that of a neighbour being 1
BLOCK, AROUND = 8, 5  # px; blocks in a row around a pixel, in which speeds are measured
MOVING = 0.02, 0.05  # share of neighbours that both fired of late, from which something moves, and surely
GOES_ON = 0.25, 0.5  # share of what has fired of late that does so now, over that of a steady motion
TOLD = 1.0, 2.0  # of a grid's bins, from which a delay is told by it at all, and well


def quiet_for(voxel: Tensor, before: Tensor, seconds: Tensor, most: float) -> Tensor:
    """s since the last event of every pixel, (N, 1, H, W), at the end of a frame's grid (N, bins, H, W)."""
    quiet, bins = before + seconds, voxel.shape[1]
    for number, counts in enumerate(voxel.split(1, 1)):
        quiet = torch.where(counts != 0, seconds * ((bins - 0.5 - number) / bins), quiet)
    return quiet.clamp_max(most)


def levelled(
    log: Tensor, variance: Tensor, quiet: Tensor, clipped: Tensor, seconds: Tensor, bins: int
) -> Tensor:
    """What is to be added to log luminance where it is clipped, nat, (N, 1, H, W).

    log: (N, 1, H, W), its mean over the channels; variance: (N, 1, H, W), nat^2; clipped: (N, 1, H, W) bool;
    seconds: (N, 1, 1, 1), since the last frame, in so many bins of the voxel grid.
    """
    delay, moving, *along = motion(quiet, seconds, bins)
    links = _links(clipped * ramp(quiet / delay.clamp_min(1e-6), *PIXELS), torch.mul)
    across, down = (x * part[:, :, : x.shape[2], : x.shape[3]] for x, part in zip(links, along, strict=True))
    own = OWN / (variance - LEAST_VARIANCE).clamp_min(1e-6)
    total = own + _sum_of_links(across, down, across, down)
    light = log
    for _ in range(SWEEPS):
        around = _sum_of_links(
            across * light[..., :, :-1], down * light[..., :-1, :],
            across * light[..., :, 1:], down * light[..., 1:, :],
        )  # fmt: skip
        light = (own * log + around) / total
    return moving * (light - log)


def motion(quiet: Tensor, seconds: Tensor, bins: int) -> tuple[Tensor, ...]:
    """In which time an edge moves on by a pixel, s, how surely something moves, and how far across and down
    the picture, 0..1; all (N, 1, H, W), the same in a block.

    An edge that moves on by a pixel leaves that delay between neighbours' last events. What moved, and now
    stands still, fires no more. Where all fire in the same bin, of fast motion or dense texture, nothing is
    told.
    """
    recent = quiet < RECENT
    both, late = _links(recent, torch.logical_and), _links(quiet, torch.sub)
    counts = [F.pad(x.float(), pad) for x, pad in zip(both, _PADS, strict=True)]
    delays = [n * F.pad(x.abs(), pad) for n, x, pad in zip(counts, late, _PADS, strict=True)]
    planes = torch.cat((*counts, *delays, (quiet < seconds).float(), recent.float()), 1)
    means = F.avg_pool2d(planes, BLOCK, ceil_mode=True)
    means = F.avg_pool2d(means, AROUND, 1, AROUND // 2, count_include_pad=False)
    across, down, late_across, late_down, fired, fires = means.split(1, 1)
    late = torch.cat((late_across / across.clamp_min(1e-6), late_down / down.clamp_min(1e-6)), 1)
    delay = late.square().sum(1, keepdim=True).sqrt()
    along = late.square() / late.square().amax(1, keepdim=True).clamp_min(1e-12)
    steady = seconds.clamp_max(RECENT) / RECENT
    moving = ramp(torch.minimum(across, down), *MOVING)
    moving = moving * ramp(fired / (steady * fires).clamp_min(1e-6), *GOES_ON)
    moving = moving * ramp(delay * bins / seconds.clamp_min(1e-6), *TOLD)
    blocks, (height, width) = torch.cat((delay, moving, along), 1), quiet.shape[-2:]
    pixels = F.interpolate(blocks, scale_factor=float(BLOCK), mode="nearest")[..., :height, :width]
    return pixels.split(1, 1)


_SIDES = (1, 0), (0, 0, 1, 0), (0, 1), (0, 0, 0, 1)  # left, above, right, below
_PADS = _SIDES[2:]


def _links(x: Tensor, of: Callable[[Tensor, Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Of each pixel and its right neighbour, (N, 1, H, W - 1), and the one below, (N, 1, H - 1, W)."""
    return of(x[..., :, 1:], x[..., :, :-1]), of(x[..., 1:, :], x[..., :-1, :])


def _sum_of_links(left: Tensor, above: Tensor, right: Tensor, below: Tensor) -> Tensor:
    """Of what comes from each neighbour, as of _links; (N, 1, H, W)."""
    return sum(F.pad(x, pad) for x, pad in zip((left, above, right, below), _SIDES, strict=True))
