"""Real frames clipped again: a well-exposed frame is its own truth.

All frames of a recording are scaled until the wanted share of its pixels exceeds white, then clipped and encoded as an
8-bit camera would; the events stay as they are. What lies above white is mild, so it asks above all: does it do harm?
"""

import torch

from rehdr_ros.errors import InputError
from rehdr_ros.simulation.sensors import RESPONSE
from rehdr_ros.training.footage import Footage, Timing
from rehdr_ros.training.sequence import Sequence
from rehdr_ros.training.simulated import linearise


def reclipped(footage: Footage, share: float, bins: int, timing: Timing | None = None) -> Sequence:
    """The recording with that share of all its pixels above white.

    The truth is NaN where the frame itself was saturated. Raises InputError for a share that is none, and for a
    recording of which so many pixels are saturated already, or so few have any light.
    """
    if not 0 < share < 1:
        raise InputError(f"a share of {share} clipped pixels: must be between 0 and 1")
    white = _quantile(footage.linear.amax(1), 1 - share)
    if not white > 0:
        raise InputError(f"{footage.name}: less than {100 * share:g} % of its pixels have any light")
    scaled = footage.linear / white
    truth = torch.where(footage.saturated[:, None], torch.nan, scaled)
    if not (truth > 1).any():
        raise InputError(f"{footage.name}: {100 * share:g} % of its pixels are saturated already: choose more")
    display = (255 * scaled.clamp(0, 1) ** (1 / RESPONSE)).round()
    return Sequence(linearise(display), footage.grids(bins, timing or Timing()), truth, torch.ones(len(footage)))


def _quantile(values: torch.Tensor, share: float) -> float:
    """torch.quantile takes no more than 2**24 values."""
    return float(values.flatten().kthvalue(1 + round(share * (values.numel() - 1))).values)
