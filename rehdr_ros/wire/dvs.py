"""dvs_msgs/msg/EventArray, serialized -> Events. No ROS.

Every ROS library makes a Python object of each event; read from the bytes they are a few views.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

from rehdr_ros.errors import InputError
from rehdr_ros.events.codecs import require_sensor
from rehdr_ros.events.packet import Events
from rehdr_ros.wire.cdr import plain_cdr

_EVENT, _LAST_EVENT = 16, 13  # bytes, with and without the padding that follows


class EventArray(NamedTuple):
    """One message: stamp_ns is header.stamp, int64 ns; size is (width, height).

    events: those within the size, in the message's order, t as the driver stamped them, ns of ROS time.
    out_of_bounds: how many others there were.
    """

    stamp_ns: int
    size: tuple[int, int]
    events: Events
    out_of_bounds: int

    @classmethod
    def of(cls, stamp_ns: int, size: tuple[int, int], events: Events) -> EventArray:
        """From all events of a message. Raises ValueError for a size that no event camera has."""
        require_sensor(*size)
        inside = (events.x < size[0]) & (events.y < size[1])
        within = events if inside.all() else events[inside]
        return cls(stamp_ns, size, within, len(events) - len(within))


def events_from_event_array(raw: bytes | bytearray | memoryview) -> EventArray:
    """The content of a serialized (plain CDR, of either byte order) dvs_msgs/msg/EventArray.

    The events own their memory. Raises ValueError where `raw` is cut off or is no such message.
    """
    body, order = plain_cdr(raw, "EventArray")
    try:
        seconds, nanoseconds, name_bytes = struct.unpack_from(order + "iII", body)
        after_name = 12 + name_bytes + -name_bytes % 4
        height, width, count = struct.unpack_from(order + "III", body, after_name)
    except struct.error:
        raise InputError(f"EventArray: cut off within its header, after {len(raw)} bytes") from None
    body = body[after_name + 12 :]
    needed = (count - 1) * _EVENT + _LAST_EVENT if count else 0
    if not needed <= len(body) < needed + _EVENT:  # a sender may pad the end
        raise InputError(f"EventArray: {count} events need {needed} bytes, not {len(body)}")
    events = _events(body, count, order) if count else Events.empty()
    return EventArray.of(seconds * 1_000_000_000 + nanoseconds, (width, height), events)


def _events(body: memoryview, count: int, order: str) -> Events:
    # CDR aligns fields, not events, and x needs only even addresses: behind the first event's 13 bytes (x 0,
    # y 2, sec 4, nanosec 8, polarity 12) come x 14, y 16, sec 20, nanosec 24, polarity 28; so every 16 bytes.
    def column(code: str, offset: int, length: int = count) -> np.ndarray:
        return np.ndarray((length,), order + code, body, offset, (_EVENT,))

    def pixels(first: int) -> np.ndarray:
        values = np.empty(count, np.uint16)
        values[:1] = column("u2", first, 1)
        if count > 1:
            values[1:] = column("u2", first + 14, count - 1)
        return values

    t = column("i4", 4).astype(np.int64) * 1_000_000_000 + column("u4", 8)
    return Events.of(t, pixels(0), pixels(2), (column("u1", 12) != 0).view(np.uint8))
