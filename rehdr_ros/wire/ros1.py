"""dvs_msgs/EventArray as ROS 1 serializes it -> EventArray. No ROS.

ROS 1 packs all fields without a gap: https://wiki.ros.org/msg, "Fields"; an event takes 13 bytes.
"""

from __future__ import annotations

import struct

import numpy as np

from rehdr_ros.errors import InputError
from rehdr_ros.events import Events
from rehdr_ros.wire.dvs import EventArray

_EVENT = np.dtype([("x", "<u2"), ("y", "<u2"), ("sec", "<u4"), ("nsec", "<u4"), ("p", "u1")])


def events_from_ros1_event_array(raw: bytes | memoryview) -> EventArray:
    """As events_from_event_array, from ROS 1's bytes. Raises ValueError for a wrong length."""
    try:
        _, seconds, nanoseconds, name_bytes = struct.unpack_from("<IIII", raw)
        height, width, count = struct.unpack_from("<III", raw, 16 + name_bytes)
    except struct.error:
        raise InputError(f"EventArray: cut off within its header, after {len(raw)} bytes") from None
    body = memoryview(raw)[28 + name_bytes :]
    if len(body) != count * _EVENT.itemsize:
        raise InputError(f"EventArray: {count} events need {count * _EVENT.itemsize} bytes, not {len(body)}")
    rows = np.frombuffer(body, _EVENT)
    t = rows["sec"].astype(np.int64) * 1_000_000_000 + rows["nsec"]
    events = Events.of(t, rows["x"].copy(), rows["y"].copy(), (rows["p"] != 0).view(np.uint8))
    return EventArray.of(seconds * 1_000_000_000 + nanoseconds, (width, height), events)
