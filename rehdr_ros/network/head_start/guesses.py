"""How wrong a guess was, told to pixels around that rest on the same guess.

A pixel that was never exposed has a level that was guessed or filled in, and so have those around it: the
whole of a lamp. Events carry it on, until the pixel is exposed, or lies below white by its events and yet
clips: then it shows by how much the guess was wrong (the innovation of a Kalman filter), and the others,
which were wrong in the same way, take a share of it, as far as the sensor does what its model says.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from rehdr_ros.network.head_start.pyramid import LEVELS, fill
from rehdr_ros.network.ramp import ramp

UNKNOWN = 100.0  # nat^2, of a pixel that nothing is known of
GUESSED = 0.5, 1.0  # nat^2, from which a level counts as a guess, and wholly
LEAST = 0.1  # nat, by which a pixel that goes on clipping is below white
BLOCK = 4  # px: what is wrong about a guess is smooth
SHARE = 1.5  # a frame; more than all, for what lies far away gets less


def guessed(variance: Tensor) -> Tensor:
    """How far a pixel's log luminance is a guess, 0..1; 0 before the first guess."""
    return ramp(variance, *GUESSED) * (variance < UNKNOWN)


def shared(wrong: Tensor, tells: Tensor) -> Tensor:
    """What is to be added to guesses, nat, (N, 1, H, W).

    wrong: (N, 1, H, W), nat, by how much guesses were too low; tells: (N, 1, H, W), 0..1, of which pixels.
    """
    weight = F.avg_pool2d(tells, BLOCK, ceil_mode=True)
    mean = F.avg_pool2d(tells * wrong, BLOCK, ceil_mode=True) / weight.clamp_min(1e-9)
    values = torch.cat((mean, torch.ones_like(mean)), 1)
    error, trust = fill(values, weight, LEVELS - 2).split(1, 1)
    return F.interpolate(SHARE * error * trust, size=wrong.shape[-2:], mode="bilinear", align_corners=False)
