"""The stamp of a std_msgs/msg/Header. No ROS."""

import struct
from typing import Any

_NS = 1_000_000_000


def stamp_to_ns(stamp: Any) -> int:
    """builtin_interfaces/msg/Time, whether rclpy or rosbags made it -> ns."""
    return stamp.sec * _NS + stamp.nanosec


def stamp_from_bytes(raw: bytes) -> int:
    """header.stamp, ns, of a serialized message (plain CDR of either byte order) that has a header."""
    seconds, nanoseconds = struct.unpack_from("<iI" if raw[1] & 1 else ">iI", raw, 4)
    return seconds * _NS + nanoseconds
