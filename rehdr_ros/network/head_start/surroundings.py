"""The level that a clipped pixel stands out from: what lies around, in the mean over clipped pixels."""

import torch.nn.functional as F
from torch import Tensor

BLOCK, AROUND = 4, 7  # px; blocks in a row around a pixel


def local_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Over what the mask, 1 or 0, has of about 28x28 px around; both (N, 1, H, W). 0 where it has nothing."""
    sums, counts = (F.avg_pool2d(y, BLOCK, ceil_mode=True) for y in (x * mask, mask))
    sums, counts = (F.avg_pool2d(y, AROUND, 1, AROUND // 2) for y in (sums, counts))
    mean = sums / counts.clamp_min(1e-6)
    return F.interpolate(mean, size=x.shape[-2:], mode="bilinear", align_corners=False)
