"""Events and frames of two sources, in one order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from rehdr_ros.events import Events, Frame
from rehdr_ros.recordings.errors import RecordingError


def in_order(
    batches: Iterable[Events], frames: Iterator[Frame], event_time_offset: float = 0.0
) -> Iterator[Events | Frame]:
    """Each frame after the events up to its stamp; batches are cut for that.

    event_time_offset: s from an event's t to the stamps' clock; the events that come out keep their own.
    Raises RecordingError where several frames lie all before the events, or all behind them.
    """
    offset_ns = round(event_time_offset * 1e9)
    frame, count, began, ended = next(frames, None), 0, None, None
    for events in batches:
        if not len(events):
            continue
        began, ended = int(events.t[0]) if began is None else began, int(events.t[-1])
        while frame is not None and frame.stamp_ns - offset_ns < events.t[-1]:
            before = int(np.searchsorted(events.t, frame.stamp_ns - offset_ns, side="right"))
            if before:
                yield events[:before]
            yield frame
            last, count = frame, count + 1
            events, frame = events[before:], next(frames, None)
            if frame is None and count > 1 and last.stamp_ns - offset_ns < began:
                raise _disjoint(f"end at {_s(last.stamp_ns)}", f"begin at {_s(began + offset_ns)}")
        yield events
    second = next(frames, None)
    if not count and second and began is not None:
        raise _disjoint(f"begin at {_s(frame.stamp_ns)}", f"end at {_s(ended + offset_ns)}")
    yield from (left for left in (frame, second) if left is not None)
    yield from frames


def _s(ns: int) -> str:
    return f"{ns * 1e-9:.3f} s"


def _disjoint(frames: str, events: str) -> RecordingError:
    doubt = "by one clock? (unit, event_time_offset)"
    return RecordingError(f"the frames {frames}, the events {events}: {doubt}")
