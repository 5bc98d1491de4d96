"""How well the events agree with what has changed from frame to frame."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from rehdr_ros.alignment.pairs import FramePair
from rehdr_ros.jit import kernel, sealed

_LONGEST_NS = 15_000_000  # between two events of a run; in a longer time the intensity may do anything
_SHORTEST_RUN = 3  # events of one polarity; two may be noise
_QUIET_NS = 8_000_000  # without an event on either side: the intensity hardly moves
_NEVER_NS = 1 << 62


class Change(NamedTuple):
    """What the events say of a pair's N pixels."""

    level: np.ndarray  # float64 (N,), change of the log intensity in contrast thresholds
    speed: np.ndarray  # float64 (N,), change of its slope, in thresholds a ns
    timed: np.ndarray  # bool (N,), both known well, and one slope not zero: only these pixels tell the time


def event_change(pair: FramePair, offset_ns: int) -> Change:
    """From t0 to t1, when `offset_ns` is added to the events' time.

    The sum of polarities follows the log intensity with a lag (an event comes once a whole threshold is
    crossed, two after a turn), which would show as a time offset of milliseconds. At the time of an event,
    though, the intensity is known exactly. So within a run of events of one polarity it goes linearly from
    event to event; elsewhere it is taken to be half a threshold beyond the last event, its mean there. The
    model is that of Gallego et al., "Event-based Vision: A Survey" (2020), eq. 1-2.
    """
    levels, speeds = np.empty((2, 2, len(pair.change)))
    for k, at in enumerate((pair.t0_ns, pair.t1_ns)):
        _look(sealed(pair.t), sealed(pair.p), sealed(pair.first), at - offset_ns, levels[k], speeds[k])
    speed = speeds[1] - speeds[0]  # NaN where either is unknown
    return Change(levels[1] - levels[0], speed, np.isfinite(speed) & ((speeds[0] != 0) | (speeds[1] != 0)))


def score(pairs: Iterable[FramePair], offset_ns: int) -> float:
    """Correlation, -1..1, of the change that the events tell with that of the frames' log luminance.

    Pearson's, over all pixels of all pairs, each pair with its own means, so that a change of the light or of
    the exposure doesn't count; 0.0 where nothing changes. The comparison of summed events with the difference
    of log frames is that of Brandli et al., "Real-time, high-speed video decompression using a frame- and
    event-based DAVIS sensor" (2014).
    """
    products = np.zeros(3)
    for pair in pairs:
        level = event_change(pair, offset_ns).level
        level, change = level - level.mean(), pair.change - pair.change.mean()
        products += [_dot(level, level), _dot(level, change), _dot(change, change)]
    scale = np.sqrt(products[0] * products[2])
    return float(products[1] / scale) if scale else 0.0


def _dot(a: np.ndarray, b: np.ndarray) -> float:
    return np.einsum("i,i->", a, b)  # the threads of `@` cost more than they bring


@kernel
def _look(t, p, first, at, level, speed):
    """The pixels' log intensity at a time, in thresholds from any start, and its slope, NaN where unknown."""
    for k in range(len(level)):
        begin, end = first[k], first[k + 1]
        split = begin + np.searchsorted(t[begin:end], at, side="right")
        level[k] = 0.0
        for i in range(begin, split):
            level[k] += p[i]
        since = at - t[split - 1] if split > begin else _NEVER_NS
        until = t[split] - at if split < end else _NEVER_NS
        if split > begin and split < end and _is_run(t, p, begin, split, end):
            level[k] += p[split] * since / (since + until)
            speed[k] = p[split] / (since + until)
        else:
            if split > begin:
                level[k] += 0.5 * p[split - 1]
            speed[k] = 0.0 if since > _QUIET_NS and until > _QUIET_NS else np.nan


@kernel
def _is_run(t, p, begin, split, end):
    """Whether the events on both sides of `split` belong to one run."""
    events, i = 1, split
    while i > begin and p[i - 1] == p[split] and t[i] - t[i - 1] < _LONGEST_NS:
        events, i = events + 1, i - 1
    if i == split:
        return False
    i = split + 1
    while i < end and p[i] == p[split] and t[i] - t[i - 1] < _LONGEST_NS:
        events, i = events + 1, i + 1
    return events >= _SHORTEST_RUN
