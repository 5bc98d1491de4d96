"""A part of a recording."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rehdr_ros.errors import InputError
from rehdr_ros.events import Events, Exposure, Frame, Packet

T = TypeVar("T")

_LATE_NS = 100_000_000  # what a bag may hold of a frame's events behind the frame
_LATELY = 32  # frames, behind which an exposure may come


def select(
    messages: Iterable[T], start: float | None = None, stop: float | None = None, every: int = 1
) -> Iterator[T]:
    """The frames from `start` to `stop`, both included, every n-th of them, and their events, in order.

    start, stop: s after the first frame's stamp; the frames' stamps alone decide, whatever clock the events
    have. Events are left out up to the last frame before `start`, and behind the first frame that is more
    than 0.1 s later than `stop`, where the reading ends. Events between frames stay: they belong to the next
    one that passes. Exposures of frames left out before or between them are, too. Everything else passes;
    without `start` frames stamped before the first, too.
    Raises InputError for no range or step, no frame in it, and a step over voxel grids: they can't be joined.
    """
    first, last = start or 0.0, math.inf if stop is None else stop
    if not 0 <= first < math.inf or math.isnan(last) or first > last:
        raise InputError(f"from {start} s to {stop} s: a part begins at 0 s or later, and ends after that")
    if every < 1:
        raise InputError(f"every {every}th frame: must be 1 or more")
    return _select(messages, first * 1e9, last * 1e9, every)


def _select(messages: Iterable[T], start_ns: float, stop_ns: float, every: int) -> Iterator[T]:
    first_ns, at, count, newest_ns = None, 0, 0, -math.inf
    waiting = []  # events since the last frame, which the next one may need
    exposures: list[Exposure] = []  # whose frames have not come yet
    left_out: deque[int] = deque(maxlen=_LATELY)  # frames' stamps
    for message in messages:
        if isinstance(message, Frame):
            newest_ns = message.stamp_ns
            first_ns = newest_ns if first_ns is None else first_ns
            at = newest_ns - first_ns
            if at > stop_ns + _LATE_NS:
                break
            if at > stop_ns:
                continue
            passes = False
            if not start_ns or at >= start_ns:  # without a start those before the first pass, too
                if every > 1 and message.grid is not None:
                    why = "voxel grids of several frames can't be joined into one"
                    raise InputError(f"every {every}th frame: {why}")
                yield from waiting
                passes = count % every == 0
                count += 1
            waiting.clear()
            if passes:
                yield from (each for each in exposures if each.stamp_ns <= newest_ns)
                exposures = [each for each in exposures if each.stamp_ns > newest_ns]
                yield message
            else:
                exposures = [each for each in exposures if each.stamp_ns != newest_ns]
                left_out.append(newest_ns)
        elif isinstance(message, Packet | Events) and start_ns and not count:
            if first_ns is not None:
                waiting.append(message)
        elif isinstance(message, Exposure) and (start_ns or every > 1) and message.stamp_ns > newest_ns:
            exposures.append(message)
        elif not (isinstance(message, Exposure) and message.stamp_ns in left_out):
            yield message
    if first_ns is not None and not count:
        part = f"from {start_ns * 1e-9:g} s to {stop_ns * 1e-9:g} s"
        raise InputError(f"no frame {part} after the first; the last one read is at {at * 1e-9:.3f} s")
