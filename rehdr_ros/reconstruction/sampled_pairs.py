"""Successive frames at a sample of their pixels, with the events there: what tells how both belong together.

Each pair of frames comes once the events around it are complete. In pixels exposed in both the change of log
luminance is C_on n_on - C_off n_off; how the events have to be counted, that is what is to be found out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from rehdr_ros.events import Events, Registration
from rehdr_ros.jit import kernel, sealed
from rehdr_ros.luminance import BT709
from rehdr_ros.reconstruction.response import Response
from rehdr_ros.reconstruction.synchronizer import Exposed

_MOST_EVENTS = 3_000  # of a pair; more at fewer pixels
_PLAUSIBLE = 40  # events of one polarity at a pixel; hot pixels fire more

_SAMPLE = 10_000  # pixels of a frame that are looked at
_BLOCK = 1 << 12  # events whose pixels are found before these are looked up
_LONGEST_NS = 500_000_000  # between two frames
_DARK, _BRIGHT = 0.15, 0.99  # share of the luminance at that quantile, below which the logarithm is noise
_DARKEST_LEVEL = 10  # of 255, and below this in any case
_MOST_CHANGE = 1.5  # nat: more is an occlusion or a lamp, and would outweigh everything else
_SINGULAR = 1e-3  # share of aa * bb that the determinant is at least
_LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True, eq=False)
class Sample:
    """A frame's pixels, (S,)."""

    exposed: Exposed  # ns, by the frames' stamps
    log: np.ndarray  # of luminance
    usable: np.ndarray  # where that is neither dark nor clipped


class SampledPairs:
    """Collects frames and events into pairs.

    before_ns, after_ns: from when before a pair's first exposure (negative) until when after its second one
    events are wanted.
    """

    def __init__(self, before_ns: int, after_ns: int) -> None:
        self._before_ns, self._after_ns = before_ns, after_ns
        self._table: np.ndarray | None = None
        self._made_for: tuple | None = None
        self.interrupt()

    def interrupt(self) -> None:
        """The next frame doesn't follow the last one."""
        self._last: Sample | None = None
        self._waiting: deque[tuple[Sample, Sample]] = deque()
        self._events: deque[tuple[np.ndarray, np.ndarray, np.ndarray]] = deque()

    def has_other_pixels(self, shape: tuple[int, ...], event_size: tuple[int, int]) -> bool:
        """Whether what was collected is of frames of another shape, or of another sensor."""
        return self._made_for is not None and self._made_for[:2] != (shape, event_size)

    def add(
        self,
        exposed: Exposed,
        image: np.ndarray,
        response: Response,
        events: Events,
        event_size: tuple[int, int],
        registration: Registration | None,
    ) -> float | None:
        """One more frame, and the events since the last call, in the order of time.

        Returns s since the frame before, None where it makes no pair with that. registration: None if event
        pixels are the frame's.
        """
        stride = _stride(image.shape)
        made_for = image.shape, event_size, None if registration is None else id(registration)
        if made_for != self._made_for:
            self._made_for, self._registration = made_for, registration  # kept, so that its id stays its own
            self._table = _sample_table(image.shape, stride, event_size, registration)
            self._marks = sealed(np.packbits(self._table >= 0, bitorder="little"))
        sample, last = _sampled(exposed, image[::stride, ::stride], response), self._last
        self._keep(events, event_size, exposed)
        self._last = sample
        if last is None or not 0 < exposed.middle - last.exposed.middle <= _LONGEST_NS:
            return None
        self._waiting.append((last, sample))
        return (exposed.middle - last.exposed.middle) * 1e-9

    def complete(self, known_until: int | None = None) -> Iterator[tuple[Sample, Sample]]:
        """The pairs whose events are known, once. known_until: ns, as of `exposed`; None: all of them are."""
        while self._waiting:
            end = self._waiting[0][1].exposed.end + self._after_ns
            if known_until is not None and end > known_until:
                return
            yield self._waiting.popleft()

    def events(self, first: Sample, second: Sample) -> tuple[np.ndarray, ...] | None:
        """Around a pair: times, ns, numbers of the pixel in the sample, polarities; None: none are known."""
        if not self._events:
            return None
        begin, end = first.exposed.start + self._before_ns, second.exposed.end + self._after_ns
        parts = [_between(part, begin, end) for part in self._events]
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))

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
        while self._events and self._events[0][0][-1] <= oldest + self._before_ns:
            self._events.popleft()


def change_of(first: Sample, second: Sample) -> tuple[np.ndarray, np.ndarray]:
    """Where both can be used, and the change of log luminance, (S,) each."""
    change = np.clip(second.log - first.log, -_MOST_CHANGE, _MOST_CHANGE)
    return first.usable & second.usable, change


def _stride(shape: tuple[int, ...]) -> int:
    """Of rows and of columns."""
    return max(1, int(np.ceil(np.sqrt(shape[0] * shape[1] / _SAMPLE))))


def _sampled(exposed: Exposed, image: np.ndarray, response: Response) -> Sample:
    linear = response.linearise(image, torch.device("cpu")).pixels[0].numpy().reshape(3, -1)
    luminance = BT709 @ linear
    some = luminance[::7]
    rank = int(_BRIGHT * (len(some) - 1))
    bright = np.partition(some, rank)[rank]
    dark = max(response(_DARKEST_LEVEL / 255), _DARK * float(bright))
    usable = (luminance > dark) & (linear.max(0) < response.clipped_from)
    return Sample(exposed, np.log(np.maximum(luminance, 1e-6)).astype(np.float32), usable)


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
def shares_explained(sums):
    """Share of the change explained by least squares, and both thresholds: (N, 7, K) -> three of (N, K)."""
    shape = len(sums), sums.shape[2]
    shares, on, off = np.empty(shape), np.empty(shape), np.empty(shape)
    for n in range(shape[0]):
        for k in range(shape[1]):
            aa, bb, ab, ad, bd = sums[n, 0, k], sums[n, 1, k], sums[n, 2, k], sums[n, 3, k], sums[n, 4, k]
            determinant = np.maximum(aa * bb - ab * ab, _SINGULAR * aa * bb)
            on[n, k] = _finite(np.maximum((ad * bb - ab * bd) / determinant, 0.0))
            off[n, k] = _finite(np.maximum((ab * ad - aa * bd) / determinant, 0.0))
        gained = squares_gained(sums[n], on[n], off[n])
        for k in range(shape[1]):
            shares[n, k] = _finite(gained[k] / sums[n, 5, k])
    return shares, on, off


@kernel
def _finite(value):
    return 0.0 if np.isnan(value) else min(max(value, -_LARGEST), _LARGEST)


@kernel
def squares_gained(sums, on, off):
    """Of the squared change, what the counts with these thresholds explain: (7, K) and (K,) -> (K,)."""
    aa, bb, ab, ad, bd = sums[0], sums[1], sums[2], sums[3], sums[4]
    gained = np.empty(len(on))
    for k in range(len(on)):
        squares = on[k] * on[k] * aa[k] - 2 * on[k] * off[k] * ab[k] + off[k] * off[k] * bb[k]
        gained[k] = 2 * (on[k] * ad[k] - off[k] * bd[k]) - squares
    return gained


@kernel
def peaks(curves):
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
def chosen_pixels(index, usable, turn):
    """Of the pixels with events so many as have _MOST_EVENTS, about: other ones each turn.

    By event, of the pixel `index` of the sample, that pixel's row or -1; by row its pixel; how many rows.
    """
    events = 0
    for i in range(len(index)):
        events += usable[index[i]]
    every = 1 + events // _MOST_EVENTS
    row_of = np.full(len(usable), -1, np.int32)
    rows = np.full(len(index), -1, np.int32)
    place = np.empty(min(events, len(usable)), np.int32)
    pixels = 0
    for i in range(len(index)):
        at = index[i]
        if not usable[at] or at % every != turn % every:
            continue
        if row_of[at] < 0:
            row_of[at] = pixels
            place[pixels] = at
            pixels += 1
        rows[i] = row_of[at]
    return rows, place, pixels


@kernel
def centred_sums(counts, place, change, pixels, sums):
    """Add products of counts and change to sums, (7, K), both centred; returns how many pixels count.

    counts: (pixels, 2, K) float32, ON and OFF, in the pixels `place` of the sample; both are overwritten.
    """
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
    total_on, total_off = np.zeros(sums.shape[1]), np.zeros(sums.shape[1])
    squares = 0.0
    for n in range(used):
        d = change[place[n]] - mean
        squares += d * d
        for k in range(sums.shape[1]):
            a, b = counts[n, 0, k], counts[n, 1, k]
            total_on[k] += a
            total_off[k] += b
            sums[0, k] += a * a
            sums[1, k] += b * b
            sums[2, k] += a * b
            sums[3, k] += a * d
            sums[4, k] += b * d
    for k in range(sums.shape[1]):
        a, b = total_on[k], total_off[k]
        sums[0, k] -= a * a / max(used, 1)
        sums[1, k] -= b * b / max(used, 1)
        sums[2, k] -= a * b / max(used, 1)
        sums[5, k] = squares
        sums[6, k] = a + b
    return used
