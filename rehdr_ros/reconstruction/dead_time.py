"""What pixels miss while they are blind: how long that is, and events with it.

A pixel that has fired sees nothing for its dead time, and what the light has become by then is its new
reference: no event tells what changed meanwhile. So of n events in a time T a share n dead / T is missing,
as for any counter that isn't paralysed (Knoll, "Radiation Detection and Measurement", chapter 4).
"""

import numpy as np
import torch
from torch import Tensor

from rehdr_ros.events import Events
from rehdr_ros.jit import kernel, sealed
from rehdr_ros.network.event_fit import EventFit, as_modelled

_SAMPLE = 20_000  # events of a frame that are looked at
_SOONEST = 0.001  # share of the events that come sooner after their pixel's last than usual: noise
_BLIND = 0.75  # of the time to the soonest of the others, which takes its rise, too
_LONGEST_NS = 2_000_000
_MOST_MISSED = 0.5  # share


class DeadTime:
    """How long a pixel is blind after an event, by how soon pixels fire again."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Another stream."""
        self._gaps = np.zeros(8 * 64, np.int64)

    def add(self, events: Events, width: int, height: int) -> None:
        """Events in the order of time, some of which are outside, perhaps."""
        events = events[:_SAMPLE]
        number = events.y.astype(np.int32) * np.int32(width) + events.x
        inside = (events.x < width) & (events.y < height)
        _count_gaps(sealed(events.t), np.where(inside, number, np.int32(-1)), width * height, self._gaps)

    @property
    def ns(self) -> int:
        """0 where nothing is known yet."""
        passed = np.cumsum(self._gaps)
        if not passed[-1]:
            return 0
        soonest = 2 ** (np.searchsorted(passed, _SOONEST * passed[-1]) / 8)
        return min(int(_BLIND * soonest), _LONGEST_NS)


def corrected(grid: Tensor, seconds: Tensor, dead: Tensor, fit: EventFit | None) -> Tensor:
    """Signed events (N, bins, H, W) with those that pixels missed.

    A pixel's events take the time of as many bins as they would fill evenly, (sum n)^2 / sum n^2. seconds,
    dead: (N,), s, of the grid's interval and as of DeadTime. fit: of the events to the frames before. Where
    they explain less of what changes, or nobody tells (None), the sensor may be of another kind, and they
    stay as they are.
    """
    if fit is None or not (believed := as_modelled(fit)).any():
        return grid
    bin_seconds = seconds.view(-1, 1, 1, 1) / max(grid.shape[1] - 1, 1)
    blind = believed.to(grid.device) * dead.view(-1, 1, 1, 1) / bin_seconds.clamp_min(1e-6)
    if grid.device.type == "cpu" and not grid.requires_grad:
        made = torch.empty_like(grid, memory_format=torch.contiguous_format)
        _correct(grid.contiguous().numpy(), blind.flatten().numpy(), np.float32(_MOST_MISSED), made.numpy())
        return made
    total, squares = grid.abs().sum(1, keepdim=True), (grid * grid).sum(1, keepdim=True)
    missed = blind * squares / total.clamp_min(1e-6)
    return grid / (1 - missed.clamp_max(_MOST_MISSED))


@kernel
def _correct(grids, blind, most, out):
    """As the last lines of `corrected`, row by row."""
    count, bins, height, width = grids.shape
    total, squares = np.empty(width, np.float32), np.empty(width, np.float32)
    least, one = np.float32(1e-6), np.float32(1)
    for k in range(count):
        for y in range(height):
            total[:], squares[:] = least, 0
            for b in range(bins):
                row = grids[k, b, y]
                for x in range(width):
                    total[x] += abs(row[x])
                    squares[x] += row[x] * row[x]
            for x in range(width):
                missed = blind[k] * squares[x] / total[x]
                total[x] = one / (one - (missed if missed < most else most))
            for b in range(bins):
                row, made = grids[k, b, y], out[k, b, y]
                for x in range(width):
                    made[x] = row[x] * total[x]


@kernel
def _count_gaps(t, pixels, count, gaps):
    """Add to gaps[8 log2(ns)], int64, how long after its pixel's last each event came; pixel -1: none."""
    before = np.zeros(count, np.int64)
    for i in range(len(t)):
        if pixels[i] >= 0:
            gap, seen = t[i] - before[pixels[i]], before[pixels[i]] != 0
            before[pixels[i]] = t[i]
            if seen and gap > 0:
                gaps[int(8 * np.log2(gap))] += 1
