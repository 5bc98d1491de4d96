"""rehdr_ros/msg/Exposure -> Exposure, whether rclpy or rosbags made the message. No ROS."""

from typing import Any

from rehdr_ros.events import Exposure
from rehdr_ros.wire.header import stamp_to_ns


def exposure_from_message(message: Any) -> Exposure:
    """How the frame with the message's stamp was exposed. Raises ValueError for what is no exposure."""
    seconds = float(message.exposure_time)
    return Exposure(stamp_to_ns(message.header.stamp), seconds * message.gain, seconds)
