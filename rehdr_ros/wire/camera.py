"""sensor_msgs/msg/CameraInfo, serialized -> Camera. No ROS."""

from __future__ import annotations

from rehdr_ros.errors import InputError
from rehdr_ros.events import Camera
from rehdr_ros.wire.cdr import Fields


def camera_from_bytes(raw: bytes | bytearray | memoryview) -> Camera:
    """The camera of the pixels that come: those of the sensor within the message's ROI, binned.

    raw: plain CDR, of either byte order. Size and intrinsic matrix of the message are the whole sensor's.
    Binning of 0 is 1, a ROI of zeros is all. P is not used, nor roi.do_rectify, which tells of it alone.
    Raises ValueError for a camera that isn't calibrated, or by a model that we don't know, for a ROI beyond
    the sensor, and for what is no such message.
    """
    fields = Fields(raw, "CameraInfo")
    fields.header()
    height, width = fields.numbers("I", 2)
    model = fields.text()
    distortion = fields.numbers("d", *fields.numbers("I"))
    matrix, rectification, _ = (fields.numbers("d", count) for count in (9, 9, 12))
    across, down, x, y, roi_height, roi_width = fields.numbers("I", 6)
    sensor = Camera(width, height, matrix, distortion, model, rectification)
    whole = not any((x, y, roi_width, roi_height))
    if not whole:
        if x + roi_width > width or y + roi_height > height:
            roi = f"{roi_width}x{roi_height} at ({x}, {y}) of {width}x{height}"
            raise InputError(f"a camera info with a ROI of {roi} pixels")
        width, height = roi_width, roi_height
    across, down = max(1, across), max(1, down)
    if whole and across == down == 1:
        return sensor
    f_x, skew, c_x, _, f_y, c_y, *last = matrix
    matrix = f_x / across, skew / across, (c_x - x) / across, 0.0, f_y / down, (c_y - y) / down, *last
    return Camera(width // across, height // down, matrix, distortion, model, rectification, sensor)
