"""What lies around a pixel, coarser the less there is: push-pull over a pyramid (Gortler et al. 1996)."""

import torch
import torch.nn.functional as F
from torch import Tensor

LEVELS = 6
PASSED_ON = 0.9  # share of the trust around that each level passes on


def fill(values: Tensor, weight: Tensor, levels: int = LEVELS) -> Tensor:
    """Values (N, C, H, W) where weight (N, 1, H, W) is 1, else what lies around, coarser the less there is.

    The last channel is the trust in the others, of which each level passes on a share. Where no weight lies
    within 2**levels px: zero, which is white, and no trust.
    """
    if levels == 0 or min(values.shape[-2:]) < 2:
        return values
    total = F.avg_pool2d(weight, 2, ceil_mode=True)
    mean = F.avg_pool2d(weight * values, 2, ceil_mode=True) / total.clamp_min(1e-9)
    coarse = fill(mean, (4 * total).clamp_max(1), levels - 1)
    coarse = torch.cat((coarse[:, :-1], PASSED_ON * coarse[:, -1:]), 1)
    around = F.interpolate(coarse, size=values.shape[-2:], mode="bilinear", align_corners=False)
    return torch.lerp(around, values, weight)
