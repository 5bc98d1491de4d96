"""Training losses, all on display-like values: linear radiance would be ruled by its few brightest pixels."""

import math

import torch
from torch import Tensor

from rehdr_ros.training.metrics import FLOOR, MU

_PEAK = 32.0  # LDR whites that mu-law maps to 1


def mu_law(x: Tensor) -> Tensor:
    """log(1 + 5000 x) / log(5001), the tone mapping of the paper's loss."""
    return torch.log1p(MU * x) / math.log1p(MU)


def radiance_loss(predicted: Tensor, truth: Tensor, clipped: Tensor) -> Tensor:
    """Mu-law L1 everywhere, plus the log error of clipped pixels (N, 1, H, W), each sequence weighing the same.

    predicted, truth: (N, 3, H, W) linear, 1.0 = LDR white.
    """
    everywhere = (mu_law(predicted / _PEAK) - mu_law(truth / _PEAK)).abs().mean()
    error = (predicted.clamp_min(FLOOR).log() - truth.clamp_min(FLOOR).log()) * clipped
    per_pixel = error.abs() + 0.5 * error**2
    # Frames with few clipped pixels get a share as if 2 % were.
    count = clipped.sum((1, 2, 3)).clamp_min(0.02 * clipped[0].numel()) * 3
    return 10 * everywhere + (per_pixel.sum((1, 2, 3)) / count).mean()
