"""The network's head start in clipped pixels: events carry on what is known, and what is not is filled from around.

A pixel remembers its log radiance, colour included, and how far to trust it. While it is exposed the LDR frame tells
both; while it is clipped the event integration of integrator.py carries the radiance on, the channels that
don't clip correct it, and the less a pixel is trusted the more it takes from trusted clipped pixels around it, over a
pyramid (push-pull interpolation, Gortler et al. 1996). What was filled is carried on in turn: the inside of a lamp
that was never exposed gets its level from the rim that the events have measured.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from rehdr_ros.network import integrator
from rehdr_ros.network.integrator import CLIPPED, IntegratorState, integrate, log_gain

HEAD_STARTS = ("filled", "integrated", "none")

_FLOOR = 2.0**-10
_LOG_LIMIT = 10.0
_FADE = 0.97  # of the trust, a frame
_PARTLY = 0.3  # trust in a pixel that shows a channel which isn't clipped
_PASSED_ON = 0.5  # trust that a filled pixel gets of its neighbours'
_LEVELS = 6
_ISOLATED = 2.0  # events by which a pixel may surpass all its neighbours; hot pixels do by more


class HeadStart(NamedTuple):
    """integrator: its state. log_radiance: (N, 3, H, W), natural log, white = 0; trust: (N, 1, H, W), 0..1. float32."""

    integrator: IntegratorState
    log_radiance: Tensor
    trust: Tensor


def initial_state(ldr: Tensor) -> HeadStart:
    """State before the first frame (N, 3, H, W): nothing is known."""
    state = integrator.initial_state(ldr)
    return HeadStart(state, torch.zeros_like(ldr, dtype=torch.float32), torch.zeros_like(state.recency))


@torch.no_grad()
def advance(
    ldr: Tensor, voxel: Tensor, state: HeadStart, clipped_from: float = CLIPPED, kind: str = "filled"
) -> tuple[HeadStart, Tensor]:
    """One frame's step; inputs and the contrast threshold that it also returns as of `integrate`.

    kind: one of HEAD_STARTS, the others for comparison.
    """
    ldr = ldr.float()
    polarity_sum = without_isolated(voxel.float().sum(1, keepdim=True))
    events, threshold = integrate(ldr, polarity_sum, state.integrator, clipped_from)
    shown = ldr.clamp_min(_FLOOR).log()
    if kind == "none":
        nothing = torch.zeros_like(events.recency)
        return HeadStart(events._replace(log_luminance=nothing, recency=nothing), shown, nothing), threshold
    if kind == "integrated":
        return HeadStart(events, events.log_luminance.expand_as(ldr), events.recency), threshold
    clipped = ldr >= clipped_from
    exposed = ~clipped.any(1, keepdim=True)

    known = ~clipped & (ldr > _FLOOR)
    count = known.sum(1, keepdim=True)
    carried = state.log_radiance + threshold * polarity_sum
    carried = carried + ((shown - carried) * known).sum(1, keepdim=True) / count.clamp_min(1)
    carried = torch.maximum(carried, shown).clamp_max(_LOG_LIMIT)
    trust = _FADE * state.trust
    trust = torch.where(count > 0, trust.clamp_min(_PARTLY), trust)

    weight = torch.where(exposed, 0.0, trust**2)
    filled = torch.lerp(fill(carried, weight), carried, weight)
    log_radiance = torch.where(exposed, shown, torch.maximum(filled, shown))
    around = F.avg_pool2d(weight, 9, 1, 4, count_include_pad=False).sqrt()
    trust = torch.where(exposed, 1.0, torch.maximum(trust, _PASSED_ON * around))
    return HeadStart(events, log_radiance, trust), threshold


def rescale(state: HeadStart, gain: float | Tensor) -> HeadStart:
    """The same radiance in units of another exposure's white: gain = exposure now / exposure before, (N,) or one."""
    return HeadStart(
        integrator.rescale(state.integrator, gain), state.log_radiance + log_gain(gain, state.trust), state.trust
    )


def without_isolated(polarity_sum: Tensor) -> Tensor:
    """(N, 1, H, W): each pixel limited to its neighbours' range and a little more: hot pixels stand alone."""
    if polarity_sum[0].numel() == 1:
        return polarity_sum  # no neighbour
    limits = []
    for sign in (1, -1):
        x = F.pad(sign * polarity_sum, (1, 1, 1, 1), value=-torch.inf)
        rows = F.max_pool2d(x, (1, 3), 1)
        above, below = rows[:, :, :-2], rows[:, :, 2:]
        left, right = x[:, :, 1:-1, :-2], x[:, :, 1:-1, 2:]
        most = torch.maximum(torch.maximum(above, below), torch.maximum(left, right))
        limits.append(sign * (most + _ISOLATED))
    return torch.minimum(torch.maximum(polarity_sum, limits[1]), limits[0])


def fill(values: Tensor, weight: Tensor, levels: int = _LEVELS) -> Tensor:
    """Values (N, C, H, W) where weight (N, 1, H, W) is 1, elsewhere what lies around, coarser the less there is.

    Where no weight lies within 2**levels px: zero, which is white.
    """
    if levels == 0 or min(values.shape[-2:]) < 2:
        return values
    total = F.avg_pool2d(weight, 2, ceil_mode=True)
    mean = F.avg_pool2d(weight * values, 2, ceil_mode=True) / total.clamp_min(1e-9)
    coarse = fill(mean, (4 * total).clamp_max(1), levels - 1)
    around = F.interpolate(coarse, size=values.shape[-2:], mode="bilinear", align_corners=False)
    return torch.lerp(around, values, weight)
