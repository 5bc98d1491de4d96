"""The estimate: what the head start has above the LDR, taken by a share and corrected.

What the share leaves is what is likely there without it (tones.py). A guess is wrong as a whole, and events
yet tell its detail, what it has above what lies around: of that there is a share of its own. The shares and
the correction, which is no larger than what is unknown, are the network's. Colour is the head start's: events
don't tell it, and what a network guesses of it is worse on scenes that it hasn't seen.

A training weighs an error by what the frame has of it, so that a wall just above white counts like a lamp;
for lamps the network then stays too dark. Where the events explain the frames a share of its own estimate is
added, the `expansion`; and far above white, where events carry what a pixel saw, the mean of that and the
head start's is taken, whose errors are others. A training's sensors are worse than most users', too, so that
`sigma` is too large where events are believed. By how much both are wrong, calibration.py measures.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from rehdr_ros.network.contract import Estimate
from rehdr_ros.network.event_fit import EventFit, as_modelled
from rehdr_ros.network.head_start.guesses import guessed
from rehdr_ros.network.head_start.reference import FLOOR, Evidence, HeadStart, clip_mask
from rehdr_ros.network.integrator import luminance
from rehdr_ros.network.ramp import ramp

OUTPUTS = 4  # channels: the correction, the share, the spread, the detail's share
# nat, of usual cameras; the latter over luminance: shot, read and quantisation noise
MEASURED_SIGMA = 0.01, 0.002

_PRIOR_VARIANCE = 10.0  # nat^2, of what lies above white; against it the head start's excess is shrunk
_BELIEVED = 0.4, 0.9  # R^2 of the events, from which it is believed at all, and wholly
_LEAST_BOUND, _VARIANCE_BOUND, _EXCESS_BOUND = 0.1, 0.7, 0.6  # of the correction, nat
_LOG_SIGMA = (math.log(0.01), math.log(4.0))  # nat
_CARRIED, _FILLED = 0.25, 0.1  # trust from which a pixel counts as such
_EXPANDED = 0.5, 2.0  # nat above the frame, from which an estimate is expanded, up to where by more and more
_FAR = 0.5, 1.5  # nat above the frame, from which what events carry has a share, and the whole of it
_UNSURE = 0.5, 1.5  # nat^2 of variance, from which it has less, and none
_CARRIED_SHARE = 0.5


class Calibration(NamedTuple):
    """As of RehdrConfig."""

    expansion: float = 0.0
    sigma: float = 1.0


def compose(
    features: Tensor,
    ldr: Tensor,
    state: HeadStart,
    evidence: Evidence,
    clipped_from: float | Tensor,
    calibration: Calibration | None,
) -> Estimate:
    """As of the package, each pixel by itself: nothing is smoothed."""
    calibration = calibration or Calibration()
    fit, shown, own, trust, likely, level = evidence
    correction, share, spread, detailed = features.float().split(1, 1)
    excess = state.log_radiance - shown
    believed = ramp(fit.explained, *_BELIEVED)
    usual = (believed * _PRIOR_VARIANCE / (_PRIOR_VARIANCE + state.variance)).clamp(0.02, 0.98)
    unknown = state.variance.clamp_max(1.0).sqrt()
    detail = guessed(state.variance) * (excess.mean(1, keepdim=True) - level)
    ground = excess - detail
    share, detailed = (torch.sigmoid(x + torch.logit(usual)) for x in (share, detailed))
    bound = _LEAST_BOUND + _VARIANCE_BOUND * unknown + _EXCESS_BOUND * ground.clamp_min(0)
    above = torch.lerp(likely, ground, share) + detailed * detail
    above = above + bound * torch.tanh(correction)
    if calibration.expansion:
        above = above + calibration.expansion * expandable(above.mean(1, keepdim=True), fit)
    above = torch.lerp(above, excess, surely_carried(excess, state.variance, fit))
    clipped = clip_mask(ldr, clipped_from)
    radiance = ldr + clipped * ((shown + above.clamp(0, 12)).exp() - ldr).clamp_min(0)
    spread = spread + believed * math.log(calibration.sigma)
    return Estimate(radiance, _sigma(spread, unknown, ldr, clipped), _cause(own, trust, clipped))


def expandable(above: Tensor, fit: EventFit) -> Tensor:
    """Of log radiance above the frame's, nat, what counts for the expansion."""
    low, high = _EXPANDED
    return as_modelled(fit) * (above.clamp(low, high) - low)


def surely_carried(excess: Tensor, variance: Tensor, fit: EventFit) -> Tensor:
    """The share, (N, 1, H, W), that the head start's excess has in the estimate."""
    far = ramp(excess.mean(1, keepdim=True), *_FAR)
    return _CARRIED_SHARE * as_modelled(fit) * far * (1 - ramp(variance, *_UNSURE))


def _sigma(spread: Tensor, unknown: Tensor, ldr: Tensor, clipped: Tensor) -> Tensor:
    predicted = (spread + (0.05 + 0.5 * unknown).log()).clamp(*_LOG_SIGMA).exp()
    least, over = MEASURED_SIGMA
    measured = least + over / (luminance(ldr) + FLOOR)
    return torch.where(clipped.amax(1, keepdim=True) > 0, predicted, measured)


def _cause(own: Tensor, trust: Tensor, clipped: Tensor) -> Tensor:
    cause = torch.where(own >= _CARRIED, 1.0, torch.where(trust >= _FILLED, 2.0, 3.0))
    return torch.where(clipped.amax(1, keepdim=True) > 0, cause, 0.0)
