"""ROS messages <-> what the core works with, without needless copies."""

import array

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from rehdr_ros.luminance import BT709
from rehdr_ros.recordings.image_message import ENCODINGS, decode_image, encode_image

_NS = 1_000_000_000


def ns_to_stamp(stamp_ns: int) -> Time:
    return Time(sec=stamp_ns // _NS, nanosec=stamp_ns % _NS)


def image_from_message(message: Image) -> np.ndarray:
    """(H, W) or (H, W, 3) RGB; a view of the message where its layout permits.

    Encodings that the package doesn't know go to cv_bridge where that is installed. Raises ValueError.
    """
    if message.encoding not in ENCODINGS:
        image = _by_cv_bridge(message)
        if image is not None:
            return image
    shape = message.height, message.width, message.step
    return decode_image(message.encoding, *shape, message.data, bool(message.is_bigendian))


def image_to_message(image: np.ndarray, encoding: str, header: Header) -> Image:
    """An RGB (H, W, 3) image as a message of the encoding; luminance where that is grey."""
    if encoding in ("mono8", "32FC1"):
        image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if encoding == "mono8" else image @ BT709
    step, data = encode_image(image, encoding)
    message = Image(header=header, height=image.shape[0], width=image.shape[1], encoding=encoding, step=step)
    # The setter would check every byte of anything but an array.array.
    payload = array.array("B")
    payload.frombytes(memoryview(data))
    message.data = payload
    return message


def _by_cv_bridge(message: Image) -> np.ndarray | None:
    try:
        from cv_bridge import CvBridge, CvBridgeError
    except ImportError:
        return None
    try:
        return CvBridge().imgmsg_to_cv2(message, "rgb8")
    except CvBridgeError:
        return None
