"""Events that wait for their frame."""

from __future__ import annotations

from collections import deque

import numpy as np

from rehdr_ros.errors import InputError
from rehdr_ros.events.packet import Events

_EVENT_BYTES = 8 + 2 + 2 + 1


class EventBuffer:
    """Events in ROS time, bounded in memory: beyond `megabytes` (10^6 bytes) the oldest arrivals are dropped.

    `latest`: the latest time seen since construction or `clear`, in ns, or None. `dropped`: events lost to
    the bound since construction. `len()`: events waiting. Raises ValueError for a bound of zero or less.
    """

    def __init__(self, megabytes: float) -> None:
        if megabytes <= 0:
            raise InputError(f"an event buffer needs some memory, not {megabytes} MB")
        self.capacity = int(megabytes * 1e6) // _EVENT_BYTES
        self.dropped = 0
        self.clear()

    def __len__(self) -> int:
        return self._size

    def clear(self) -> None:
        """Forget all events and the latest time; the count of drops stays."""
        self._chunks: deque[Events] = deque()
        self._size = 0
        self.latest: int | None = None

    def append(self, events: Events) -> None:
        """Add the events of one packet; its arrays are kept, not copied.

        They may be somewhat out of order, within the packet and against other packets.
        """
        if not len(events):
            return
        self._chunks.append(_in_time_order(events))
        self._size += len(events)
        newest = int(self._chunks[-1].t[-1])
        self.latest = newest if self.latest is None else max(self.latest, newest)
        self._drop(self._size - self.capacity)

    def take_until(self, t: int) -> Events:
        """Remove and return all events with time <= t (ns), in the order of time, ties as they arrived."""
        return _in_time_order(Events.concatenate(self._split_off(t)))

    def _split_off(self, t: int) -> list[Events]:
        early, late = [], deque()
        for chunk in self._chunks:
            count = int(np.searchsorted(chunk.t, t, side="right"))
            if count:
                early.append(chunk[:count])
            if count < len(chunk):
                late.append(chunk[count:] if count else chunk)
        self._chunks = late
        self._size -= sum(map(len, early))
        return early

    def _drop(self, excess: int) -> None:
        while excess > 0:
            oldest = self._chunks.popleft()
            count = min(excess, len(oldest))
            if count < len(oldest):
                self._chunks.appendleft(oldest[count:])
            self._size -= count
            self.dropped += count
            excess -= count


def _in_time_order(events: Events) -> Events:
    if (events.t[1:] >= events.t[:-1]).all():
        return events
    return events[np.argsort(events.t, kind="stable")]
