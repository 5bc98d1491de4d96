"""How well a stream's events explain its frames: contrast thresholds, noise, the share of change explained.

In pixels that stay exposed the change of log radiance d = C_on n_on - C_off n_off + noise is known. Both
sides are sums over the last third of a second or so, fading: from frame to frame half an event more or less
and a few milliseconds of clock rule the residual, which don't add up, and make thresholds look smaller the
higher the frame rate. Least squares, with outliers (blur, misalignment, stray events) weighted down, gives
both contrast thresholds, the variance that an event adds, and R^2. The old fades by the second: the fit
follows the light.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from rehdr_ros.network.ramp import ramp

PRIOR = (50.0, 50.0, 0.0, 12.5, -12.5, 2.0, 0.6, 30.0)
"""The sums before the first frame: thresholds 0.25 (usual for Prophesee and DAVIS), R^2 0.7, 0.02 nat^2."""
MEMORY = 1.0  # s, after which a sum has faded to 1/e
BASELINE = 0.3  # s, after which a change and its events have
LEAST = 0.3  # events of a pixel, faded, from which it tells anything
PLAUSIBLE = 40.0  # events of one polarity, faded, that a pixel has; hot ones have more
CALIBRATION_RANGE = (0.05, 0.9)  # linear: neither quantisation noise nor clipping
THRESHOLDS = (0.03, 1.0)  # natural log units an event, at least and at most
NOISES = (1e-4, 1.0)  # nat^2 an event, at least and at most
SINGULAR = 1e-3  # share of aa * bb that the determinant is at least: events of one polarity alone, say
OUTLIER = 9.0  # squared residual over its expectation at which a pixel counts half
AS_MODELLED = 0.7, 0.9  # R^2 from which a sensor does what its model says, and wholly
FRAME_VARIANCE = 0.01  # nat^2, of d where no event comes


class EventFit(NamedTuple):
    """The fit of N streams, all (N, 1, 1, 1) float32."""

    on: Tensor  # contrast threshold, natural log units
    off: Tensor  # the same
    noise: Tensor  # variance that an event adds, nat^2
    explained: Tensor  # R^2, 0..1


def as_modelled(fit: EventFit) -> Tensor:
    """How far the sensor does what its model says, 0..1, (N, 1, 1, 1), by how well events explain frames."""
    return ramp(fit.explained, *AS_MODELLED)


def initial_sums(like: Tensor) -> Tensor:
    """(N, 8) float32, for frames (N, ...)."""
    return torch.stack([like.new_full((like.shape[0],), value, dtype=torch.float32) for value in PRIOR], 1)


def explained_sums(like: Tensor) -> Tensor:
    """The same of events that explain their frames wholly, to warm up what such a sensor needs."""
    sums = initial_sums(like)
    sums[:, 6] = 0.0
    return sums


def read(sums: Tensor) -> EventFit:
    """(N, 8) -> the fit."""
    aa, bb, ab, ad, bd, dd, rr, n = (x.view(-1, 1, 1, 1) for x in sums.unbind(1))
    determinant = (aa * bb - ab * ab).clamp_min(SINGULAR * aa * bb)
    on = ((ad * bb - ab * bd) / determinant).clamp(*THRESHOLDS)
    off = ((ab * ad - aa * bd) / determinant).clamp(*THRESHOLDS)
    return EventFit(on, off, (rr / n).clamp(*NOISES), (1 - rr / dd).clamp(0.0, 1.0))


def recent_changes(
    recent: Tensor, change: Tensor, on: Tensor, off: Tensor, usable: Tensor, seconds: Tensor
) -> Tensor:
    """(N, 3, H, W): the change of log radiance and the events by polarity of about BASELINE seconds.

    Since the frame before: change, on, off, (N, 1, H, W). usable: (N, 1, H, W) bool, pixels exposed in both
    frames; in others it begins anew. seconds: (N, 1, 1, 1).
    """
    fade = (-seconds / BASELINE).exp()
    return torch.where(usable, recent * fade + torch.cat((change, on, off), 1), 0.0)


def update(sums: Tensor, recent: Tensor, seconds: Tensor) -> Tensor:
    """The sums after one more frame.

    recent: (N, 3, H, W), of `recent_changes`; seconds, (N, 1, 1, 1), since the frame before. The residual is
    that of the fit before, which has not seen this frame.
    """
    fit, seconds = read(sums), seconds.view(-1, 1, 1, 1)
    fade, recently = (-seconds / MEMORY).exp(), (-seconds / BASELINE).exp()
    change, on, off = recent.split(1, 1)
    events = on + off
    usable = (events > LEAST) & (torch.maximum(on, off) <= PLAUSIBLE)
    residual = change - fit.on * on + fit.off * off
    count = events / (1 + recently)  # a variance fades by the square, a steady stream's so to this share
    weight = usable / (1 + residual**2 / (OUTLIER * (fit.noise * count + FRAME_VARIANCE)))
    products = (on * on, off * off, on * off, on * change, off * change, change**2, residual**2, count)
    fade, new = fade.view(-1), (1 - recently).view(-1)  # the rest of it was counted before
    # The prior as numbers: a tensor made of them here could not be recorded in a CUDA graph.
    columns = zip(PRIOR, sums.unbind(1), products, strict=True)
    totals = [p + (old - p) * fade + new * (weight * x).sum((1, 2, 3)) for p, old, x in columns]
    return torch.stack(totals, 1)
