"""sensor_msgs/msg/CameraInfo -> Camera, whether rclpy or rosbags made the message. No ROS."""

from typing import Any

from rehdr_ros.errors import InputError
from rehdr_ros.events import Camera


def camera_from_message(message: Any) -> Camera:
    """The camera of the pixels that come: those of the sensor within the message's ROI, binned.

    Size and intrinsic matrix of the message are the whole sensor's. Binning of 0 is 1, a ROI of zeros is all.
    The rectified image and its P are not used, nor roi.do_rectify, which tells of it alone.
    Raises ValueError for a camera that isn't calibrated, or by a model that we don't know, and for a ROI
    beyond the sensor.
    """
    matrix, distortion, rectification = (tuple(map(float, v)) for v in (message.k, message.d, message.r))
    others = distortion, message.distortion_model, rectification
    sensor = Camera(message.width, message.height, matrix, *others)
    roi = message.roi
    part = roi.x_offset, roi.y_offset, roi.width, roi.height
    x, y, width, height = part if any(part) else (0, 0, message.width, message.height)
    if x + width > message.width or y + height > message.height:
        within = f"{width}x{height} at ({x}, {y}) of {message.width}x{message.height}"
        raise InputError(f"a camera info with a ROI of {within} pixels")
    across, down = max(1, message.binning_x), max(1, message.binning_y)
    if (x, y, width, height, across, down) == (0, 0, message.width, message.height, 1, 1):
        return sensor
    f_x, skew, c_x, _, f_y, c_y, *last = matrix
    matrix = f_x / across, skew / across, (c_x - x) / across, 0.0, f_y / down, (c_y - y) / down, *last
    return Camera(width // across, height // down, matrix, *others, sensor)
