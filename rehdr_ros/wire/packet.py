"""event_camera_msgs/msg/EventPacket -> Packet. No ROS."""

from __future__ import annotations

import struct

from rehdr_ros.errors import InputError
from rehdr_ros.events import Packet
from rehdr_ros.wire.cdr import plain_cdr


def packet_from_bytes(raw: bytes | bytearray | memoryview) -> Packet:
    """The packet of a serialized message (plain CDR, of either byte order); its data is a view of `raw`.

    A quarter cheaper than to have rclpy make a message of it, which counts at a thousand packets a second.
    Raises ValueError where `raw` is cut off or is no such message.
    """
    body, order = plain_cdr(raw, "EventPacket")
    try:
        seconds, nanoseconds, name_bytes = struct.unpack_from(order + "iII", body)
        at = _aligned(12 + name_bytes, 4)
        height, width = struct.unpack_from(order + "II", body, at)
        at = _aligned(at + 8, 8)
        seq, time_base, encoding_bytes = struct.unpack_from(order + "QQI", body, at)
        encoding_at, at = at + 20, at + 20 + encoding_bytes
        (is_bigendian,) = struct.unpack_from("B", body, at)
        at = _aligned(at + 1, 4)
        (count,) = struct.unpack_from(order + "I", body, at)
    except struct.error:
        raise InputError(f"EventPacket: cut off within its header, after {len(body)} bytes") from None
    data = body[at + 4 : at + 4 + count]
    if len(data) < count:
        raise InputError(f"EventPacket: {count} bytes of events announced, {len(data)} there")
    encoding = bytes(body[encoding_at : encoding_at + encoding_bytes]).rstrip(b"\0").decode(errors="replace")
    stamp_ns = seconds * 1_000_000_000 + nanoseconds
    return Packet(stamp_ns, width, height, seq, time_base, encoding, data, bool(is_bigendian))


def _aligned(offset: int, size: int) -> int:
    return offset + -offset % size
