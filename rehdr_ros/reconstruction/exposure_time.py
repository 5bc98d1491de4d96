"""How long frames are exposed where nothing tells: the exposure by which events explain them best.

A frame is the mean over its exposure, so an event within it counts for the change between two frames by the
share of the exposure that has passed. Of many lengths the true one explains the change best, once an event
stands for a rise and not for a jump: else the longest ones gain by averaging over the jumps.
"""

from __future__ import annotations

import numpy as np

from rehdr_ros.events import Events, Registration
from rehdr_ros.jit import kernel
from rehdr_ros.reconstruction.response import Response
from rehdr_ros.reconstruction.sampled_pairs import (
    Sample,
    SampledPairs,
    centred_sums,
    change_of,
    chosen_pixels,
    peaks,
    shares_explained,
)
from rehdr_ros.reconstruction.synchronizer import Exposed

LONGEST = 0.128  # s
_STEP = 0.004  # s, between two lengths that are tried
_MEMORY = 3.0  # s, after which a pair of frames counts 1/e
_RAMP_NS = 20_000_000  # the longest rise of log radiance towards an event, else since the one before
_GROUPS = 8  # of pairs: how far the best length moves without each tells how sure it is
_FEWEST_PAIRS, _FEWEST_PIXELS = 4, 500
_LEAST_EXPLAINED = 0.3
_LESS_LEFT = 0.92  # of what an instant leaves unexplained, at most, for a length to be believed
_WIDEST = 0.1  # standard deviation over the length
_ANOTHER = 0.1  # share by which the best length differs before the one in use follows


class ExposureTime:
    """Learns while frames come; `seconds` is what to use: 0 until sure, then what was sure last."""

    def __init__(self) -> None:
        self.lengths = _STEP * np.arange(round(LONGEST / _STEP) + 1)
        self._lengths_ns = np.rint(self.lengths * 1e9).astype(np.int64)
        self.forget()

    def forget(self) -> None:
        """Start anew: another stream, response, or other pixels or clocks."""
        self.seconds = 0.0
        self._sums = np.zeros((_GROUPS, 7, len(self.lengths)))
        self._pairs = self._pixels = 0.0
        self._shortest = np.inf  # s, between two frames
        self._turn = 0
        self._samples = SampledPairs(-self._lengths_ns[-1], self._lengths_ns[-1])

    def interrupt(self) -> None:
        """The next frame doesn't follow the last one; what was learned holds."""
        self._samples.interrupt()

    def add(
        self,
        instant_ns: int,
        known_until: int,
        passed_share: float,
        image: np.ndarray,
        response: Response,
        events: Events,
        event_size: tuple[int, int],
        registration: Registration | None,
    ) -> None:
        """One more frame, and the events since the last call, up to known_until, in the order of time.

        instant_ns: at which passed_share of its exposure had passed, by the events' stamps. registration:
        None if event pixels are the frame's.
        """
        if self._samples.has_other_pixels(image.shape, event_size):
            self.forget()
        exposed = Exposed(instant_ns, instant_ns)
        interval = self._samples.add(exposed, image, response, events, event_size, registration)
        if interval is not None:
            self._shortest = min(self._shortest, interval)
        for pair in self._samples.complete(known_until):
            self._compare(*pair, passed_share)

    def _compare(self, first: Sample, second: Sample, passed_share: float) -> None:
        kept = float(np.exp(-(second.exposed.middle - first.exposed.middle) * 1e-9 / _MEMORY))
        self._sums *= kept
        self._pairs, self._pixels = self._pairs * kept, self._pixels * kept
        events = self._samples.events(first, second)
        if events is None:
            return
        usable, change = change_of(first, second)
        sums = np.zeros((7, len(self.lengths)))
        instants = first.exposed.middle, second.exposed.middle
        lengths = self._lengths_ns, passed_share
        pixels = _accumulate(*events, usable, change, *instants, *lengths, _RAMP_NS, self._turn, sums)
        if pixels > 1:
            self._sums[self._turn % _GROUPS] += sums
            self._pairs, self._pixels = self._pairs + 1, self._pixels + pixels
        self._turn += 1
        self._follow()

    @property
    def curve(self) -> np.ndarray:
        """Share of the change that the events explain by each of `lengths`, s."""
        return shares_explained(self._sums.sum(0)[None])[0][0]

    def _follow(self) -> None:
        if self._pairs < _FEWEST_PAIRS or self._pixels < _FEWEST_PIXELS:
            return
        total, filled = self._sums.sum(0), self._sums[:, 5, 0] > 0
        possible = slice(0, int(np.searchsorted(self.lengths, self._shortest, side="right")))
        curves = shares_explained(np.concatenate([total[None], total - self._sums[filled]]))[0][:, possible]
        if curves.shape[1] < 3:
            return
        curve, places = curves[0], peaks(np.ascontiguousarray(curves)) * _STEP
        groups = len(places) - 1
        best, deviation = places[0], np.sqrt((groups - 1) * places[1:].var())
        if curve.max() < _LEAST_EXPLAINED or not deviation <= _WIDEST * best:
            return
        left = 1 - np.interp(self.seconds or best, self.lengths[possible], curve)
        if left > (_LESS_LEFT if not self.seconds else 1.0) * (1 - curve[0]):
            self.seconds = 0.0
        elif abs(best - self.seconds) > _ANOTHER * best:
            self.seconds = float(best)


@kernel
def _accumulate(t, index, p, usable, change, instant0, instant1, lengths, passed_share, ramp_ns, turn, sums):
    """As of centred_sums, of a pair of frames for every length of their exposures; how many pixels count."""
    rows, place, pixels = chosen_pixels(index, usable, turn)
    counts = np.zeros((pixels, 2, len(lengths)), np.float32)
    begin = np.full(pixels, np.int64(-1) << 60)
    for i in range(len(t)):
        if rows[i] < 0:
            continue
        row = counts[rows[i], 0 if p[i] else 1]
        since, begin[rows[i]] = max(begin[rows[i]], t[i] - ramp_ns), t[i]
        for k in range(len(lengths)):
            length = float(max(lengths[k], 1))
            before = _share(since - instant0, t[i] - instant0, length, passed_share)
            after = _share(since - instant1, t[i] - instant1, length, passed_share)
            row[k] += np.float32(before - after)
    return centred_sums(counts, place, change, pixels, sums)


@kernel
def _share(start, end, length, passed_share):
    """Of an exposure around 0 that has passed, the mean over a rise from start to end."""
    u, v = start / length + passed_share, end / length + passed_share
    return (_integral(v) - _integral(u)) / (v - u) if v > u else min(max(v, 0.0), 1.0)


@kernel
def _integral(u):
    """Of the share that has passed, 0 to 1."""
    return 0.0 if u <= 0 else u * u / 2 if u < 1 else u - 0.5
