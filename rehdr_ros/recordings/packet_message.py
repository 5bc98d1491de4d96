"""event_camera_msgs/msg/EventPacket -> Packet, whether rclpy or rosbags made the message. No ROS."""

from typing import Any

from rehdr_ros.events import Packet


def stamp_to_ns(stamp: Any) -> int:
    """builtin_interfaces/msg/Time -> ns."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def packet_from_message(message: Any) -> Packet:
    """The packet; its data is the message's, not copied."""
    return Packet(
        stamp_to_ns(message.header.stamp),
        message.width,
        message.height,
        message.seq,
        message.time_base,
        message.encoding,
        message.events,
        message.is_bigendian,
    )
