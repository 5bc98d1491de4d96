"""Pixels that fire whatever they see."""

from __future__ import annotations

import numpy as np

from rehdr_ros.errors import InputError
from rehdr_ros.events.packet import Events
from rehdr_ros.jit import kernel, sealed

_PERIOD_NS = 1_000_000_000  # between two looks at the rates
_PAUSE_NS = 5 * _PERIOD_NS
_KEEP = 0.9  # of the counts, from look to look: a memory of about 10 s
_SETTLED = 2.0  # s of counting before the first look
_STRIDE = 7  # of so many events one counts, enough over seconds; no power of two, as rows and blocks have
_LOWEST_RATE = 10.0  # Hz, below which a pixel does no harm
_PEERS = 2  # pixels around that must not do the same: an edge or a lamp has more of them, a defect fewer
_RECOVERED = 0.5  # share of the threshold below which a hot pixel counts as sound again


class HotPixels:
    """Finds hot pixels by their rate over some 10 s.

    Hot: above 10 Hz, and `threshold` times the rate of the second most active pixel in the 5x5 around; sound
    again: below half of both. `mask`: bool (height, width), True for hot pixels; `version` counts its
    changes. `size`: width, height. Raises ValueError for a threshold of one or less.
    """

    def __init__(self, width: int, height: int, threshold: float = 5.0) -> None:
        if not threshold > 1:
            raise InputError(f"hot_pixel_threshold must be more than 1, not {threshold}")
        self.size, self._threshold = (width, height), threshold
        self._counts = np.zeros((height, width), np.float32)
        self._seconds, self._phase = 0.0, 0
        self._looked_ns: int | None = None
        self.mask, self.version = np.zeros((height, width), bool), 0

    def update(self, events: Events, t_ns: int) -> None:
        """Count the events since the last call; it is t_ns now by their clock."""
        if self._looked_ns is None or not 0 <= t_ns - self._looked_ns <= _PAUSE_NS:
            self._looked_ns = t_ns  # nobody knows how long these events were gathered
            return
        _count(sealed(events.x), sealed(events.y), self._phase, self._counts)
        self._phase = (self._phase - len(events)) % _STRIDE
        elapsed = t_ns - self._looked_ns
        if elapsed < _PERIOD_NS:
            return
        self._looked_ns = t_ns
        self._seconds += elapsed * 1e-9
        if self._seconds >= _SETTLED:
            rates = self._counts * np.float32(_STRIDE / self._seconds)
            mask = find_hot_pixels(rates, self._threshold, self.mask)
            if not np.array_equal(mask, self.mask):
                self.mask, self.version = mask, self.version + 1
        self._counts *= _KEEP
        self._seconds *= _KEEP


def find_hot_pixels(
    rates: np.ndarray, threshold: float = 5.0, before: np.ndarray | None = None
) -> np.ndarray:
    """Bool (height, width) from the pixels' rates in Hz. before: those that were hot, which are so longer."""
    before = np.zeros(rates.shape, bool) if before is None else before
    return _find(np.ascontiguousarray(rates, np.float32), before, float(threshold))


@kernel
def _count(x, y, phase, counts):
    height, width = counts.shape
    for i in range(phase, len(x), _STRIDE):
        if x[i] < width and y[i] < height:
            counts[y[i], x[i]] += np.float32(1)


@kernel
def _find(rates, hot, threshold):
    height, width = rates.shape
    found = np.zeros((height, width), np.bool_)
    for y in range(height):
        for x in range(width):
            rate = rates[y, x]
            if rate < _LOWEST_RATE * (_RECOVERED if hot[y, x] else 1.0):
                continue
            highest = np.zeros(_PEERS, np.float32)  # of the pixels around, the lowest first
            for row in range(max(0, y - 2), min(height, y + 3)):
                for column in range(max(0, x - 2), min(width, x + 3)):
                    other = rates[row, column]
                    if (row != y or column != x) and other > highest[0]:
                        highest[0] = other
                        highest.sort()
            found[y, x] = rate > threshold * highest[0] * (_RECOVERED if hot[y, x] else 1.0)
    return found
