"""Real frames clipped again: a well-exposed frame is its own truth.

All frames of a recording are scaled until the wanted share of its pixels exceeds white, then clipped and
encoded as an 8-bit camera would; the events stay as they are. What lies above white is mild, so it asks above
all: does it do harm?
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from rehdr_ros.errors import InputError
from rehdr_ros.network import Network
from rehdr_ros.network.integrator import CLIPPED, luminance
from rehdr_ros.simulation.sensors import RESPONSE
from rehdr_ros.training.baselines import BASELINES, constant_lift
from rehdr_ros.training.evaluation import ANOTHERS_EVENTS, LATE_EVENTS, Comparison, compare
from rehdr_ros.training.footage import Footage, Timing
from rehdr_ros.training.sequence import Sequence
from rehdr_ros.training.simulated import linearise

SKIPPED = 1  # frames at the start that are not scored: real recordings are short
CONSTANT_LIFT = "constant_lift"
_USUAL = Timing()
_LATE = 0.05  # s


def reclipped(footage: Footage, share: float, bins: int, timing: Timing = _USUAL) -> Sequence:
    """The recording with that share of all its pixels above white.

    The truth is NaN where the frame itself was saturated. Raises InputError for a share that is none, and for
    a recording of which all these pixels are saturated already in the scored frames, or fewer have any light.
    """
    if not 0 < share < 1:
        raise InputError(f"a share of {share} clipped pixels: must be between 0 and 1")
    white = _quantile(footage.linear.amax(1), 1 - share)
    if not white > 0:
        raise InputError(f"{footage.name}: less than {100 * share:g} % of its pixels have any light")
    scaled = footage.linear / white
    truth = torch.where(footage.saturated[:, None], torch.nan, scaled)
    if not (truth[SKIPPED:] > 1).any():
        brightest = f"the brightest {100 * share:g} % of its pixels"
        raise InputError(f"{footage.name}: {brightest} are saturated already")
    display = (255 * scaled.clamp(0, 1) ** (1 / RESPONSE)).round()
    grids, seconds = footage.grids(bins, timing), footage.seconds(timing)
    blind = torch.tensor(footage.dead_time)
    return Sequence(linearise(display), grids, truth, torch.ones(len(footage)), seconds, blind)


def lift(sequence: Sequence) -> float:
    """log2 of the factor that is best for clipped pixels of scored frames: least squares in log luminance."""
    ldr, truth = sequence.ldr[SKIPPED:], sequence.truth[SKIPPED:]
    counts = (ldr.amax(1, keepdim=True) >= CLIPPED) & ~truth.isnan().any(1, keepdim=True)
    return float((luminance(truth).log2() - luminance(ldr).log2())[counts].mean(dtype=torch.float64))


@dataclass(frozen=True)
class Reclipped:
    """Every recording at every share of clipped pixels, in the order of recordings.

    wrong_events: the networks also get the busiest other recording's events, and their own 50 ms late.
    Raises InputError for what `reclipped` and Footage refuse, and where another recording is needed and none
    is of the same size.
    """

    footages: list[Footage]
    shares: list[float]
    bins: int
    timing: Timing
    wrong_events: bool = False

    def __len__(self) -> int:
        return len(self.footages) * len(self.shares)

    def comparisons(self, networks: Mapping[str, Network]) -> Iterator[tuple[str, Comparison]]:
        """Of baselines and networks; among several recordings also of a lift that is best on the others."""
        # Made anew for the comparison: all sequences together would fill the memory.
        lifts = [np.mean([lift(self._sequence(f, share)) for share in self.shares]) for f in self.footages]
        for k, footage in enumerate(self.footages):
            baselines = dict(BASELINES)
            if len(lifts) > 1:
                factor = 2 ** np.mean(lifts[:k] + lifts[k + 1 :])
                baselines[CONSTANT_LIFT] = partial(constant_lift, factor=factor)
            others = self._wrong_events(k) if self.wrong_events else {}
            for share in self.shares:
                comparison = compare(self._sequence(footage, share), networks, baselines, others, SKIPPED)
                yield f"{footage.name} {100 * share:g}%", comparison

    def _sequence(self, footage: Footage, share: float) -> Sequence:
        return reclipped(footage, share, self.bins, self.timing)

    def _wrong_events(self, k: int) -> dict[str, torch.Tensor]:
        footage = self.footages[k]
        others = [other for other in self.footages if other is not footage and other.size == footage.size]
        if not others:
            need = "another recording's events need another recording of the same size"
            raise InputError(f"{footage.name}: {need}")
        busiest = max(others, key=lambda other: other.event_rate)
        wrong = {ANOTHERS_EVENTS: footage.with_events_of(busiest), LATE_EVENTS: footage.late(_LATE)}
        return {name: footage.grids(self.bins, self.timing) for name, footage in wrong.items()}


def _quantile(values: torch.Tensor, share: float) -> float:
    """torch.quantile takes no more than 2**24 values."""
    return float(values.flatten().kthvalue(1 + round(share * (values.numel() - 1))).values)
