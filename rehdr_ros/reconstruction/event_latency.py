"""How late the events are: the offset at which they explain most of what the frames show to change.

Pixels fire some milliseconds late in dim light, and clocks differ. In pixels exposed in two successive frames
the change of log luminance is C_on n_on - C_off n_off; the counts depend on where the interval lies, and the
share that they explain has a sharp maximum there. It is followed at a few offsets, for a sample of pixels, by
sums that fade over seconds; a parabola through the highest ones tells the rest.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from rehdr_ros.events import Events, Registration
from rehdr_ros.jit import kernel, sealed
from rehdr_ros.luminance import BT709
from rehdr_ros.reconstruction.clipping import CLIPPED_LEVEL
from rehdr_ros.reconstruction.response import Response
from rehdr_ros.reconstruction.synchronizer import Exposed

REACH = 0.06  # s, of the offsets on both sides
_STEP = 0.004  # s, between two of them

_MEMORY = 3.0  # s, after which a pair of frames counts 1/e
_GROUPS = 8  # of pairs: how far the maximum moves without each tells how sure it is
_SAMPLE = 10_000  # pixels of a frame that are looked at
_MOST_EVENTS = 3_000  # of a pair; more at fewer pixels
_BLOCK = 1 << 12  # events whose pixels are found before these are looked up
_LONGEST_NS = 500_000_000  # between two frames
_DARK, _BRIGHT = 0.15, 0.99  # share of the luminance at that quantile, below which the logarithm is noise
_DARKEST_LEVEL = 10  # of 255, and below this in any case
_MOST_CHANGE = 1.5  # nat: more is an occlusion or a lamp, and would outweigh everything else
_PLAUSIBLE = 40  # events of one polarity at a pixel; hot pixels fire more
_SINGULAR = 1e-3  # share of aa * bb that the determinant is at least
_LARGEST = float(np.finfo(np.float64).max)

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


@dataclass(frozen=True, eq=False)
class _Sample:
    """A frame's pixels, (S,)."""

    exposed: Exposed  # ns, by the frames' stamps
    log: np.ndarray  # of luminance
    usable: np.ndarray  # where that is neither dark nor clipped


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
        self._table: np.ndarray | None = None
        self._made_for: tuple | None = None
        self.interrupt()

    def interrupt(self) -> None:
        """The next frame doesn't follow the last one; what was learned holds."""
        self._last: _Sample | None = None
        self._waiting: deque[tuple[_Sample, _Sample]] = deque()
        self._events: deque[tuple[np.ndarray, np.ndarray, np.ndarray]] = deque()

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
        stride = _stride(image.shape)
        made_for = image.shape, event_size, None if registration is None else id(registration)
        if made_for != self._made_for:
            if self._made_for and made_for[:2] != self._made_for[:2]:
                self.forget()
            self._made_for, self._registration = made_for, registration  # kept, so that its id stays its own
            self._table = _sample_table(image.shape, stride, event_size, registration)
            self._marks = sealed(np.packbits(self._table >= 0, bitorder="little"))
        sample, last = _sample(exposed, image[::stride, ::stride], response), self._last
        self._keep(events, event_size, exposed)
        self._last = sample
        if last is None or not 0 < exposed.middle - last.exposed.middle <= _LONGEST_NS:
            return
        self._waiting.append((last, sample))
        known_until = exposed.end + round(self.latency * 1e9)
        while self._waiting and self._waiting[0][1].exposed.end + self._offsets_ns[-1] <= known_until:
            self._compare(*self._waiting.popleft())
        self._follow((exposed.middle - last.exposed.middle) * 1e-9)

    def finish(self) -> None:
        """Count the pairs whose last events never came: the stream is at its end."""
        while self._waiting:
            self._compare(*self._waiting.popleft())

    @property
    def curve(self) -> np.ndarray:
        return _explained(self._sums.sum(0)[None])[0][0]

    def _keep(self, events: Events, event_size: tuple[int, int], exposed: Exposed) -> None:
        """Those of the sample's pixels, as long as a pair may need them."""
        if len(events):
            columns = (sealed(column) for column in (events.t, events.x, events.y, events.p))
            t, index, p = _pick(*columns, *event_size, self._table, self._marks)
            if len(t):
                self._events.append((t, index, p))
        oldest = min(exposed.start, self._waiting[0][0].exposed.start if self._waiting else exposed.start)
        if self._last is not None:
            oldest = min(oldest, self._last.exposed.start)
        while self._events and self._events[0][0][-1] <= oldest + self._offsets_ns[0]:
            self._events.popleft()

    def _compare(self, first: _Sample, second: _Sample) -> None:
        seconds = (second.exposed.middle - first.exposed.middle) * 1e-9
        self._fade(seconds)
        if not self._events:
            return
        begin, end = first.exposed.start + self._offsets_ns[0], second.exposed.end + self._offsets_ns[-1]
        parts = [_between(part, begin, end) for part in self._events]
        t, index, p = (np.concatenate(column) for column in zip(*parts, strict=True))
        change = np.clip(second.log - first.log, -_MOST_CHANGE, _MOST_CHANGE)
        sums = np.zeros((7, len(self.offsets)))
        usable, exposed = first.usable & second.usable, (*first.exposed, *second.exposed)
        pixels = _accumulate(t, index, p, usable, change, *exposed, self._offsets_ns, self._turn, sums)
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
            gained = _gained(sums, on, off)
            self._predicted += sums[5, 0], np.interp(place, np.arange(len(gained)), gained)

    def _fade(self, seconds: float) -> None:
        kept = float(np.exp(-seconds / self._memory))
        self._sums *= kept
        self._predicted *= kept
        self._pairs, self._pixels = self._pairs * kept, self._pixels * kept

    def _measure(self) -> Measured:
        total = self._sums.sum(0)
        filled = self._sums[:, 5, 0] > 0
        curves = _explained(np.concatenate([total[None], total - self._sums[filled]]))
        explained, on, off = (curve[0] for curve in curves)
        place = float(_peaks(explained[None])[0])
        self._best = place, on, off
        latency = float(np.interp(place, np.arange(len(self.offsets)), self.offsets))
        without = _peaks(curves[0][1:]) * _STEP
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


def _stride(shape: tuple[int, ...]) -> int:
    """Of rows and of columns."""
    return max(1, int(np.ceil(np.sqrt(shape[0] * shape[1] / _SAMPLE))))


def _sample(exposed: Exposed, image: np.ndarray, response: Response) -> _Sample:
    linear = response.linearise(image, torch.device("cpu")).pixels[0].numpy().reshape(3, -1)
    luminance = BT709 @ linear
    some = luminance[::7]
    rank = int(_BRIGHT * (len(some) - 1))
    bright = np.partition(some, rank)[rank]
    dark = max(response(_DARKEST_LEVEL / 255), _DARK * float(bright))
    usable = (luminance > dark) & (linear.max(0) < response(CLIPPED_LEVEL / 255))
    return _Sample(exposed, np.log(np.maximum(luminance, 1e-6)).astype(np.float32), usable)


def _sample_table(
    shape: tuple[int, ...], stride: int, event_size: tuple[int, int], registration: Registration | None
) -> np.ndarray:
    """int32, by the event pixel's y * width + x: its number in the sample, -1 outside."""
    height, width = shape[:2]
    numbers = np.full((height, width), -1, np.int32)
    chosen = numbers[::stride, ::stride]
    chosen[...] = np.arange(chosen.size).reshape(chosen.shape)
    numbers = numbers.ravel()
    if registration is None:
        return sealed(numbers)
    target = registration.table[1:]
    return sealed(np.where(target >= 0, numbers[target], -1).astype(np.int32))


def _between(part: tuple[np.ndarray, ...], begin: int, end: int) -> tuple[np.ndarray, ...]:
    span = slice(*np.searchsorted(part[0], (begin, end), side="right"))
    return tuple(column[span] for column in part)


@kernel
def _explained(sums):
    """Share of the change explained by least squares, and both thresholds: (N, 7, K) -> three of (N, K)."""
    shape = len(sums), sums.shape[2]
    shares, on, off = np.empty(shape), np.empty(shape), np.empty(shape)
    for n in range(shape[0]):
        for k in range(shape[1]):
            aa, bb, ab, ad, bd = sums[n, 0, k], sums[n, 1, k], sums[n, 2, k], sums[n, 3, k], sums[n, 4, k]
            determinant = np.maximum(aa * bb - ab * ab, _SINGULAR * aa * bb)
            on[n, k] = _finite(np.maximum((ad * bb - ab * bd) / determinant, 0.0))
            off[n, k] = _finite(np.maximum((ab * ad - aa * bd) / determinant, 0.0))
        gained = _gained(sums[n], on[n], off[n])
        for k in range(shape[1]):
            shares[n, k] = _finite(gained[k] / sums[n, 5, k])
    return shares, on, off


@kernel
def _finite(value):
    return 0.0 if np.isnan(value) else min(max(value, -_LARGEST), _LARGEST)


@kernel
def _gained(sums, on, off):
    """Of the squared change, what the counts with these thresholds explain: (7, K) and (K,) -> (K,)."""
    aa, bb, ab, ad, bd = sums[0], sums[1], sums[2], sums[3], sums[4]
    gained = np.empty(len(on))
    for k in range(len(on)):
        squares = on[k] * on[k] * aa[k] - 2 * on[k] * off[k] * ab[k] + off[k] * off[k] * bb[k]
        gained[k] = 2 * (on[k] * ad[k] - off[k] * bd[k]) - squares
    return gained


@kernel
def _peaks(curves):
    """(N, K) -> (N,): where, in steps, the parabola through the highest value and its neighbours peaks."""
    places = np.empty(len(curves))
    for n in range(len(curves)):
        best = min(max(np.argmax(curves[n]), 1), curves.shape[1] - 2)
        left, middle, right = curves[n, best - 1], curves[n, best], curves[n, best + 1]
        bend = left - 2 * middle + right
        places[n] = best
        if bend < 0:
            places[n] += min(max(0.5 * (left - right) / bend, -1.0), 1.0)
    return places


@kernel
def _pick(t, x, y, p, width, height, table, marks):
    """The events of the sample's pixels: times, numbers, polarities. marks: their bits, which fit a cache."""
    count = np.uint64(0)
    places = np.empty(len(t), np.int32)
    pixels = np.empty(min(_BLOCK, len(t)), np.int32)
    columns, rows = np.int32(width), np.int32(height)
    for start in range(0, len(t), _BLOCK):
        xs, ys = x[start : start + _BLOCK], y[start : start + _BLOCK]
        for i in range(len(xs)):
            column, row = np.int32(xs[i]), np.int32(ys[i])
            pixels[i] = row * columns + column if (column < columns) & (row < rows) else np.int32(-1)
        for i in range(len(xs)):
            pixel = np.uint64(max(pixels[i], np.int32(0)))
            marked = marks[pixel >> np.uint64(3)] >> np.uint8(pixel & np.uint64(7)) & np.uint8(1)
            places[count] = start + i
            count += np.uint64(marked & np.uint8(pixels[i] >= 0))
    times, numbers = np.empty(count, np.int64), np.empty(count, np.int32)
    polarities = np.empty(count, np.uint8)
    for k in range(count):
        i = places[k]
        times[k], numbers[k], polarities[k] = t[i], table[np.int64(y[i]) * width + x[i]], p[i]
    return times, numbers, polarities


@kernel
def _accumulate(t, index, p, usable, change, begin0, end0, begin1, end1, offsets, turn, sums):
    """Centred products of both counts and the change at every offset; returns how many pixels have events."""
    events = 0
    for i in range(len(t)):
        events += usable[index[i]]
    every = 1 + events // _MOST_EVENTS
    chosen = np.full(len(usable), -1, np.int32)
    place = np.empty(min(events, len(usable)), np.int32)
    counts = np.zeros((len(place), 2, len(offsets)), np.float32)
    per_ns0, per_ns1 = 1.0 / max(end0 - begin0, 1), 1.0 / max(end1 - begin1, 1)
    step = offsets[1] - offsets[0]
    pixels = 0
    for i in range(len(t)):
        at = index[i]
        if not usable[at] or at % every != turn % every:
            continue
        if chosen[at] < 0:
            chosen[at] = pixels
            place[pixels] = at
            pixels += 1
        row = counts[chosen[at], 0 if p[i] else 1]
        # The frames' interval, moved by the offset, has to hold the event: begin0 < t - offset <= end1.
        first = max(0, -((end1 + offsets[0] - t[i]) // step))
        last = min(len(offsets), -((begin0 + offsets[0] - t[i]) // step))
        for k in range(first, last):
            when = t[i] - offsets[k]
            before = (when - begin0) * per_ns0 if when < end0 else 1.0
            after = (when - begin1) * per_ns1 if when > begin1 else 0.0
            row[k] += np.float32(before - after)
    used = 0
    for n in range(pixels):  # those that fire like no edge go
        if max(counts[n, 0].max(), counts[n, 1].max()) <= _PLAUSIBLE:
            counts[used] = counts[n]
            place[used] = place[n]
            used += 1
    mean = 0.0
    for n in range(used):
        mean += change[place[n]]
    mean /= max(used, 1)
    total_on, total_off = np.zeros(len(offsets)), np.zeros(len(offsets))
    squares = 0.0
    for n in range(used):
        d = change[place[n]] - mean
        squares += d * d
        for k in range(len(offsets)):
            a, b = counts[n, 0, k], counts[n, 1, k]
            total_on[k] += a
            total_off[k] += b
            sums[0, k] += a * a
            sums[1, k] += b * b
            sums[2, k] += a * b
            sums[3, k] += a * d
            sums[4, k] += b * d
    for k in range(len(offsets)):
        a, b = total_on[k], total_off[k]
        sums[0, k] -= a * a / max(used, 1)
        sums[1, k] -= b * b / max(used, 1)
        sums[2, k] -= a * b / max(used, 1)
        sums[5, k] = squares
        sums[6, k] = a + b
    return used
