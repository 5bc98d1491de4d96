"""How well a stream's events explain its frames: contrast thresholds, noise, the share of change explained.

In pixels exposed in two successive frames the change of log radiance d = C_on n_on - C_off n_off + noise is
known. Least squares, with outliers (blur, misalignment, stray events) weighted down, gives both contrast
thresholds, the variance that an event adds, and R^2. The old fades by the second: the fit follows the light.
"""

from typing import NamedTuple

import torch
from torch import Tensor

PRIOR = (50.0, 50.0, 0.0, 12.5, -12.5, 2.0, 0.6, 30.0)
"""The sums before the first frame: thresholds 0.25 (usual for Prophesee and DAVIS), R^2 0.7, 0.02 nat^2."""
MEMORY = 1.0  # s, after which a sum has faded to 1/e
PLAUSIBLE = 40.0  # events of one polarity that a pixel fires between two usable frames; hot ones fire more
CALIBRATION_RANGE = (0.05, 0.9)  # linear: neither quantisation noise nor clipping
THRESHOLDS = (0.03, 1.0)  # natural log units an event, at least and at most
NOISES = (1e-4, 1.0)  # nat^2 an event, at least and at most
SINGULAR = 1e-3  # share of aa * bb that the determinant is at least: events of one polarity alone, say
OUTLIER = 9.0  # squared residual over its expectation at which a pixel counts half
FRAME_VARIANCE = 0.01  # nat^2, of d where no event comes


class EventFit(NamedTuple):
    """The fit of N streams, all (N, 1, 1, 1) float32."""

    on: Tensor  # contrast threshold, natural log units
    off: Tensor  # the same
    noise: Tensor  # variance that an event adds, nat^2
    explained: Tensor  # R^2, 0..1


def initial_sums(like: Tensor) -> Tensor:
    """(N, 8) float32, for frames (N, ...)."""
    return torch.stack([like.new_full((like.shape[0],), value, dtype=torch.float32) for value in PRIOR], 1)


def read(sums: Tensor) -> EventFit:
    """(N, 8) -> the fit."""
    aa, bb, ab, ad, bd, dd, rr, n = (x.view(-1, 1, 1, 1) for x in sums.unbind(1))
    determinant = (aa * bb - ab * ab).clamp_min(SINGULAR * aa * bb)
    on = ((ad * bb - ab * bd) / determinant).clamp(*THRESHOLDS)
    off = ((ab * ad - aa * bd) / determinant).clamp(*THRESHOLDS)
    return EventFit(on, off, (rr / n).clamp(*NOISES), (1 - rr / dd).clamp(0.0, 1.0))


def update(sums: Tensor, change: Tensor, on: Tensor, off: Tensor, usable: Tensor, seconds: Tensor) -> Tensor:
    """The sums after one more frame.

    Since the frame before: change, (N, 1, H, W) of log radiance; on, off, (N, 1, H, W) events by polarity;
    seconds, (N, 1, 1, 1). usable: (N, 1, H, W) bool, pixels exposed in both frames. The residual is that of
    the fit before, which has not seen this frame.
    """
    fit = read(sums)
    events = on + off
    usable = usable & (events > 0) & (torch.maximum(on, off) <= PLAUSIBLE)
    residual = change - fit.on * on + fit.off * off
    expected = fit.noise * events + FRAME_VARIANCE
    weight = usable / (1 + residual**2 / (OUTLIER * expected))
    products = (on * on, off * off, on * off, on * change, off * change, change**2, residual**2, events)
    fade = (-seconds.view(-1) / MEMORY).exp()
    # The prior as numbers: a tensor made of them here could not be recorded in a CUDA graph.
    columns = zip(PRIOR, sums.unbind(1), products, strict=True)
    return torch.stack([p + (old - p) * fade + (weight * x).sum((1, 2, 3)) for p, old, x in columns], 1)
