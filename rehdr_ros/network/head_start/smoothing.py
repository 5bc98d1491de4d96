"""Neighbours that differ by no more than a pixel's noise tell what it shows without.

What events carry has errors of each pixel's own: thresholds that differ, what it missed while it was blind. A
bilateral filter (Tomasi and Manduchi 1998) of 3x3 pixels, whose range is the pixel's own deviation, takes
them out and leaves edges. It needs variances that hold: those of sensors that do what their model says.
"""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor

from rehdr_ros.network.event_fit import EventFit, as_modelled
from rehdr_ros.network.head_start.reference import FLOOR, clip_mask

NEIGHBOURS = tuple(
    place for place in itertools.product((-1, 0, 1), repeat=2) if place != (0, 0)
)  # down, right
LEAST = 1e-9  # nat^2


def smoothed(
    radiance: Tensor, ldr: Tensor, variance: Tensor, fit: EventFit, clipped_from: float | Tensor
) -> Tensor:
    """The radiance (N, 3, H, W) with less noise where the LDR clips; variance: (N, 1, H, W), nat^2."""
    noise = as_modelled(fit) * variance
    log = radiance.clamp_min(FLOOR).log()
    grey, around = log.mean(1, keepdim=True), F.pad(log, (1, 1, 1, 1), mode="replicate")
    height, width = log.shape[2:]
    change, total = torch.zeros_like(log), torch.ones_like(grey)
    for down, right in NEIGHBOURS:
        there = around[:, :, 1 + down : 1 + down + height, 1 + right : 1 + right + width]
        difference = there.mean(1, keepdim=True) - grey
        weight = (noise / (noise + difference**2).clamp_min(LEAST)) ** 2
        change, total = change + weight * (there - log), total + weight
    return changed(radiance, change / total, ldr, clipped_from)


def changed(radiance: Tensor, change: Tensor, ldr: Tensor, clipped_from: float | Tensor) -> Tensor:
    """The radiance by that change of its logarithm where the LDR clips; (N, 3, H, W) each."""
    smooth = torch.maximum(radiance * change.exp(), ldr)
    return torch.lerp(radiance, smooth, clip_mask(ldr, clipped_from))
