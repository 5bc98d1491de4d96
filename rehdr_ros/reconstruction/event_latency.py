"""How late the events are: the offset at which they explain most of what the frames show to change.

Pixels fire some milliseconds late in dim light, and clocks differ. In pixels exposed in two successive frames
the change of log luminance is C_on n_on - C_off n_off; the counts depend on where the interval lies, and the
share that they explain has a sharp maximum there. It is followed at a few offsets, for a sample of pixels, by
sums that fade over seconds; a parabola through the highest ones tells the rest.
"""

from __future__ import annotations

from typing import NamedTuple

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
    squares_gained,
)
from rehdr_ros.reconstruction.synchronizer import Exposed

REACH = 0.06  # s, of the offsets on both sides
_STEP = 0.004  # s, between two of them

_MEMORY = 3.0  # s, after which a pair of frames counts 1/e
_GROUPS = 8  # of pairs: how far the maximum moves without each tells how sure it is

_FEWEST_PAIRS, _FEWEST_PIXELS = 4, 300
_LEAST_EXPLAINED = 0.1
_WIDEST = 0.001  # s, of the standard deviation
_RIVAL, _APART = 0.8, 3  # share of the maximum that another one may have; steps from which it is another
_FASTEST = 0.05  # s a second, by which the latency in use follows


class Measured(NamedTuple):
    """How late events come, and how well they explain the frames then."""

    latency: float  # s, how much later than the light events are stamped
    deviation: float  # s, the standard deviation of that
    explained: float  # share, 0..1, of the frames' change
    predicted: float  # the same by what earlier pairs of frames told, NaN before the third
    on: float  # contrast threshold, nat
    off: float  # the same
    noise: float  # variance that an event adds, nat^2
    pairs: float  # of frames that tell it, as far as they are remembered
    pixels: float  # in them
    doubts: tuple[str, ...]  # why not to trust it, in words


class EventLatency:
    """Measures while frames come; `latency`, s, is what to use: 0 until sure, then close behind the measured.

    reach: s, of the offsets on both sides; memory: s. curve: the share explained at each of `offsets`, s.
    """

    def __init__(self, reach: float = REACH, memory: float = _MEMORY) -> None:
        count = round(reach / _STEP)
        self.offsets = _STEP * np.arange(-count, count + 1)
        self._offsets_ns, self._memory = np.rint(self.offsets * 1e9).astype(np.int64), memory
        self.forget()

    def forget(self) -> None:
        """Start anew: other clocks, pixels or responses."""
        self.latency = 0.0
        self.measured: Measured | None = None
        self._sums = np.zeros((_GROUPS, 7, len(self.offsets)))
        self._pairs = self._pixels = 0.0
        self._predicted = np.zeros(2)  # squared change, of it explained
        self._turn = 0
        self._samples = SampledPairs(self._offsets_ns[0], self._offsets_ns[-1])

    def interrupt(self) -> None:
        """The next frame doesn't follow the last one; what was learned holds."""
        self._samples.interrupt()

    def add(
        self,
        exposed: Exposed,
        image: np.ndarray,
        response: Response,
        events: Events,
        event_size: tuple[int, int],
        registration: Registration | None,
    ) -> None:
        """One more frame, and the events since the last call, in the order of time.

        exposed: by the frames' stamps, without latency. registration: None if event pixels are the frame's.
        """
        if self._samples.has_other_pixels(image.shape, event_size):
            self.forget()
        interval = self._samples.add(exposed, image, response, events, event_size, registration)
        if interval is None:
            return
        for pair in self._samples.complete(exposed.end + round(self.latency * 1e9)):
            self._compare(*pair)
        self._follow(interval)

    def finish(self) -> None:
        """Count the pairs whose last events never came: the stream is at its end."""
        for pair in self._samples.complete():
            self._compare(*pair)

    @property
    def curve(self) -> np.ndarray:
        return shares_explained(self._sums.sum(0)[None])[0][0]

    def _compare(self, first: Sample, second: Sample) -> None:
        seconds = (second.exposed.middle - first.exposed.middle) * 1e-9
        self._fade(seconds)
        events = self._samples.events(first, second)
        if events is None:
            return
        usable, change = change_of(first, second)
        sums = np.zeros((7, len(self.offsets)))
        exposed = *first.exposed, *second.exposed
        pixels = _accumulate(*events, usable, change, *exposed, self._offsets_ns, self._turn, sums)
        if pixels > 1:
            self._predict(sums)
            self._sums[self._turn % _GROUPS] += sums
            self._pairs, self._pixels = self._pairs + 1, self._pixels + pixels
        self._turn += 1
        self.measured = self._measure()

    def _predict(self, sums: np.ndarray) -> None:
        """How well the pair is explained by the latency and the thresholds of those before."""
        if self._pairs and self._turn >= 2:
            place, on, off = self._best
            gained = squares_gained(sums, on, off)
            self._predicted += sums[5, 0], np.interp(place, np.arange(len(gained)), gained)

    def _fade(self, seconds: float) -> None:
        kept = float(np.exp(-seconds / self._memory))
        self._sums *= kept
        self._predicted *= kept
        self._pairs, self._pixels = self._pairs * kept, self._pixels * kept

    def _measure(self) -> Measured:
        total = self._sums.sum(0)
        filled = self._sums[:, 5, 0] > 0
        curves = shares_explained(np.concatenate([total[None], total - self._sums[filled]]))
        explained, on, off = (curve[0] for curve in curves)
        place = float(peaks(explained[None])[0])
        self._best = place, on, off
        latency = float(np.interp(place, np.arange(len(self.offsets)), self.offsets))
        without = peaks(curves[0][1:]) * _STEP
        groups = len(without)
        deviation = float(np.sqrt((groups - 1) * without.var())) if groups > 1 else np.inf
        best = int(round(place))
        squares, gained = self._predicted
        predicted = float(gained / squares) if squares else np.nan
        doubts = tuple(self._doubts(explained, best, deviation))
        share, on, off = (float(curve[best]) for curve in (explained, on, off))
        noise = float((1 - share) * total[5, best] / max(total[6, best], 1))
        seen = self._pairs, self._pixels
        return Measured(latency, deviation, share, predicted, on, off, noise, *seen, doubts)

    def _doubts(self, explained: np.ndarray, best: int, deviation: float):
        if self._pairs < _FEWEST_PAIRS or self._pixels < _FEWEST_PIXELS:
            seen = f"{self._pixels:.0f} pixels with events in {self._pairs:.0f} pairs of frames"
            yield f"only {seen}: too little motion"
        if explained[best] < _LEAST_EXPLAINED:
            yield f"events explain only {100 * explained[best]:.0f} % of the change at any offset"
        if not 0 < best < len(explained) - 1:
            yield "the best offset is at the end of the range"
        if not deviation <= _WIDEST:
            yield f"it is uncertain by {2e3 * deviation:.1f} ms (two standard deviations)"
        inner = explained[1:-1]
        peaks = np.flatnonzero((inner >= explained[:-2]) & (inner > explained[2:])) + 1
        rivals = [k for k in peaks if abs(k - best) >= _APART and explained[k] > _RIVAL * explained[best]]
        if rivals:
            yield f"at {1e3 * self.offsets[rivals[0]]:.0f} ms it explains nearly as much"

    def _follow(self, seconds: float) -> None:
        if self.measured is not None and not self.measured.doubts:
            step = _FASTEST * seconds
            self.latency += float(np.clip(self.measured.latency - self.latency, -step, step))


@kernel
def _accumulate(t, index, p, usable, change, begin0, end0, begin1, end1, offsets, turn, sums):
    """Centred products of both counts and the change at every offset; returns how many pixels have events."""
    rows, place, pixels = chosen_pixels(index, usable, turn)
    counts = np.zeros((pixels, 2, len(offsets)), np.float32)
    per_ns0, per_ns1 = 1.0 / max(end0 - begin0, 1), 1.0 / max(end1 - begin1, 1)
    step = offsets[1] - offsets[0]
    for i in range(len(t)):
        if rows[i] < 0:
            continue
        row = counts[rows[i], 0 if p[i] else 1]
        # The frames' interval, moved by the offset, has to hold the event: begin0 < t - offset <= end1.
        first = max(0, -((end1 + offsets[0] - t[i]) // step))
        last = min(len(offsets), -((begin0 + offsets[0] - t[i]) // step))
        for k in range(first, last):
            when = t[i] - offsets[k]
            before = (when - begin0) * per_ns0 if when < end0 else 1.0
            after = (when - begin1) * per_ns1 if when > begin1 else 0.0
            row[k] += np.float32(before - after)
    return centred_sums(counts, place, change, pixels, sums)
