"""sensor_msgs/msg/CameraInfo -> Camera, whether rclpy or rosbags made the message. No ROS."""

from typing import Any

from rehdr_ros.events import Camera


def camera_from_message(message: Any) -> Camera:
    """Raises ValueError for a camera that isn't calibrated, or by a model that we don't know."""
    matrix, distortion, rectification = (tuple(map(float, v)) for v in (message.k, message.d, message.r))
    return Camera(message.width, message.height, matrix, distortion, message.distortion_model, rectification)
