"""Events that wait for their frame."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rehdr_ros.errors import InputError
from rehdr_ros.events.packet import Events
from rehdr_ros.jit import kernel, sealed

_EVENT_BYTES = 8 + 2 + 2 + 1
_EARLIEST = -(1 << 63)


class EventBuffer:
    """Events in ROS time, in its order; beyond `megabytes` (10^6 bytes) of memory the oldest are dropped.

    `latest`: the latest time seen since construction or `clear`, in ns, or None. `dropped`: events lost to
    the bound since construction. `len()`: events waiting. capacity: of the ring, in events; start: where its
    oldest is. Raises ValueError for a bound of zero or less, or too large.
    """

    def __init__(self, megabytes: float) -> None:
        if not 0 < megabytes < 1e9:
            raise InputError(f"an event buffer needs some memory, and a bound: not {megabytes} MB")
        self.capacity = max(1, int(megabytes * 1e6) // _EVENT_BYTES)
        self.dropped = 0
        try:
            self.clear()
        except MemoryError as error:
            raise InputError(f"no room for an event buffer of {megabytes} MB") from error

    def __len__(self) -> int:
        return self._size

    def clear(self) -> None:
        """Forget all events and the latest time, and free the memory; the count of drops stays."""
        # A ring of columns: an object for each tiny packet would take more memory than its events.
        # Pages that have never been written to take none.
        columns = (np.empty(self.capacity, d) for d in (np.int64, np.uint16, np.uint16, np.uint8))
        self._ring = Events.of(*columns)
        self.start = self._size = 0
        self.latest: int | None = None

    def append(self, events: Events) -> None:
        """Add a copy of the events of one packet.

        They may be somewhat out of order, within the packet and against others: what overlaps is sorted.
        """
        if self.append_in_order(events):
            return
        events = in_time_order(events)
        oldest, newest = int(events.t[0]), int(events.t[-1])
        latest, self.latest = self.latest, newest if self.latest is None else max(self.latest, newest)
        overlap = 0 if latest is None or oldest >= latest else self._size - self._count_until(oldest)
        if overlap:
            # Behind those of the same time that came earlier, which a stable sort leaves in front.
            self._size -= overlap
            events = in_time_order(Events.concatenate([self._copy(self._size, self._size + overlap), events]))
        self._add(events)

    def append_in_order(self, events: Events) -> bool:
        """Add a copy of events of which none comes before the others or before `latest`; else add none."""
        if len(events):
            if not _is_in_order(sealed(events.t), _EARLIEST if self.latest is None else self.latest):
                return False
            self.latest = int(events.t[-1])
            self._add(events)
        return True

    def take_until(self, t: int) -> Events:
        """Remove and return all events with time <= t (ns), in the order of time, ties as they arrived."""
        count = self._count_until(t)
        taken = self._copy(0, count)
        start, left = (self.start + count) % self.capacity, self._size - count
        if left <= start:  # begin anew, in memory that is in use: no more is copied than was taken since
            rest = self._copy(count, self._size)
            self.start = self._size = 0
            self._write(rest)
        else:
            self.start, self._size = start, left
        return taken

    def drop_until(self, t: int) -> None:
        """Forget all events with time <= t (ns)."""
        self._forget(self._count_until(t))

    def _forget(self, count: int) -> None:
        self.start, self._size = (self.start + count) % self.capacity, self._size - count

    def _spans(self, begin: int, end: int) -> Iterator[slice]:
        """Where the events from number `begin` to `end` lie in the ring: in one piece or in two."""
        first, last, length = self.start + begin, self.start + end, self.capacity
        if first < length:
            yield slice(first, min(last, length))
        if last > length:
            yield slice(max(first - length, 0), last - length)

    def _count_until(self, t: int) -> int:
        spans = self._spans(0, self._size)
        return sum(int(np.searchsorted(self._ring.t[span], t, side="right")) for span in spans)

    def _copy(self, begin: int, end: int) -> Events:
        parts = [self._ring[span] for span in self._spans(begin, end)]
        columns = [[getattr(part, name) for part in parts] for name in "txyp"]
        return Events.of(*(np.concatenate(column) for column in columns)) if parts else Events.empty()

    def _add(self, events: Events) -> None:
        self._drop(self._size + len(events) - self.capacity)
        self._write(events[max(0, len(events) - self.capacity) :])

    def _write(self, events: Events) -> None:
        """Behind the last event; there must be room."""
        written = 0
        for span in self._spans(self._size, self._size + len(events)):
            part = events[written : written + span.stop - span.start]
            for name in "txyp":
                getattr(self._ring, name)[span] = getattr(part, name)
            written += len(part)
        self._size += len(events)

    def _drop(self, excess: int) -> None:
        if excess <= 0:
            return
        self.dropped += excess
        self._forget(min(excess, self._size))


def in_time_order(events: Events) -> Events:
    """Those of the same time stay in their order."""
    if _is_in_order(sealed(events.t), _EARLIEST):
        return events
    return events[np.argsort(events.t, kind="stable")]


@kernel
def _is_in_order(t, latest):
    back = 0
    for i in range(len(t)):
        back |= t[i] < (t[i - 1] if i else latest)
    return not back
