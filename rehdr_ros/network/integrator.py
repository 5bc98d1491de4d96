"""Event integration: a per-pixel estimate of the radiance in clipped pixels.

A gated complementary filter: while a pixel is exposed its log luminance is read from the LDR frame; while it
is clipped the polarity sum times the contrast threshold carries it on. The threshold is not given: it is the
least-squares slope between the log luminance change and the polarity sum of pixels exposed in two frames.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from rehdr_ros.luminance import BT709

CLIPPED = (250 / 255) ** 2.2  # linear value from which a channel counts as clipped, for a response of 2.2
RECENCY_DECAY = 0.9  # a frame

_THRESHOLD_PRIOR = 0.25  # natural log units: between the settings usual for Prophesee and DAVIS sensors
_PRIOR_WEIGHT = 50.0  # squared polarity sums that the prior is worth
_PRIOR = (_THRESHOLD_PRIOR * _PRIOR_WEIGHT, _PRIOR_WEIGHT)
_MEMORY = 0.9  # share of the calibration kept from frame to frame
_CALIBRATION_RANGE = (0.02, 0.9)  # linear luminance: neither quantisation noise nor clipping
_PLAUSIBLE = 40  # events of one polarity that a pixel fires between two usable frames; hot ones fire more
_FLOOR = 2.0**-10
_LOG_LIMIT = 10.0
_BT709 = tuple(map(float, BT709))


class IntegratorState(NamedTuple):
    """log_luminance, recency: (N, 1, H, W); calibration: (N, 2) = (sum of d*s, sum of s*s). All float32."""

    log_luminance: Tensor
    recency: Tensor
    calibration: Tensor


def luminance(rgb: Tensor) -> Tensor:
    """(N, 3, H, W) linear RGB -> (N, 1, H, W) BT.709 luminance."""
    red, green, blue = _BT709
    return red * rgb[:, :1] + green * rgb[:, 1:2] + blue * rgb[:, 2:]


def initial_state(ldr: Tensor) -> IntegratorState:
    """State before the first frame: nothing was ever exposed."""
    n, _, height, width = ldr.shape
    zeros = ldr.new_zeros((n, 1, height, width), dtype=torch.float32)
    prior = ldr.new_tensor(_PRIOR, dtype=torch.float32)
    return IntegratorState(zeros, zeros.clone(), prior.expand(n, 2).clone())


@torch.no_grad()
def integrate(
    ldr: Tensor, voxel: Tensor, state: IntegratorState, clipped_from: float = CLIPPED
) -> tuple[IntegratorState, Tensor]:
    """One frame's step.

    ldr: (N, 3, H, W) linear, 1.0 = white. voxel: (N, B, H, W), signed event counts since the last frame.
    clipped_from: linear value from which a channel counts as clipped.
    Returns the new state and the contrast threshold (N, 1, 1, 1), natural log units an event.
    """
    ldr, polarity_sum = ldr.float(), voxel.float().sum(1, keepdim=True)
    y = luminance(ldr)
    log_y = y.clamp_min(_FLOOR).log()
    exposed = ldr.amax(1, keepdim=True) < clipped_from

    low, high = _CALIBRATION_RANGE
    usable = exposed & (state.recency == 1) & (y > low) & (y < high)
    usable &= (state.log_luminance > math.log(low)) & (state.log_luminance < math.log(high))
    s = torch.where(usable & (polarity_sum.abs() <= _PLAUSIBLE), polarity_sum, 0)
    d = log_y - state.log_luminance
    sums = (d * s).sum((1, 2, 3)), (s * s).sum((1, 2, 3))
    # The prior as numbers: a tensor made of them here could not be recorded in a CUDA graph.
    pairs = zip(_PRIOR, state.calibration.unbind(1), sums, strict=True)
    calibration = torch.stack([prior + (old - prior) * _MEMORY + new for prior, old, new in pairs], 1)
    threshold = (calibration[:, 0] / calibration[:, 1]).clamp(0.03, 1.0).view(-1, 1, 1, 1)

    # A clipped pixel is at least as bright as what the frame shows of it.
    carried = torch.maximum(state.log_luminance + threshold * polarity_sum, log_y).clamp_max(_LOG_LIMIT)
    log_luminance = torch.where(exposed, log_y, carried)
    recency = torch.where(exposed, 1.0, state.recency * RECENCY_DECAY)
    return IntegratorState(log_luminance, recency, calibration), threshold


def log_gain(gain: float | Tensor, like: Tensor) -> Tensor:
    """(1 or N, 1, 1, 1), natural log."""
    return torch.as_tensor(gain, dtype=like.dtype, device=like.device).log().view(-1, 1, 1, 1)
