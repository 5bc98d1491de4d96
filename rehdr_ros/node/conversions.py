"""ROS messages <-> what the core works with, without needless copies."""

from copy import copy

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from rehdr_ros.wire.compressed_image import encode_jpeg
from rehdr_ros.wire.image import pack_image

_NS = 1_000_000_000


def ns_to_stamp(stamp_ns: int) -> Time:
    return Time(sec=stamp_ns // _NS, nanosec=stamp_ns % _NS)


def stamped(camera_info: CameraInfo | None, stamp_ns: int) -> CameraInfo | None:
    """The same with another stamp."""
    if camera_info is None:
        return None
    camera_info = copy(camera_info)
    camera_info.header = Header(stamp=ns_to_stamp(stamp_ns), frame_id=camera_info.header.frame_id)
    return camera_info


def image_to_message(image: np.ndarray, encoding: str, header: Header) -> Image:
    """A message of the encoding: of RGB (H, W, 3), luminance where that is grey; or of one channel (H, W)."""
    height, width = image.shape[:2]
    step, data = pack_image(image, encoding)
    return Image(header=header, height=height, width=width, encoding=encoding, step=step, data=data)


def image_to_jpeg(image: np.ndarray, encoding: str, quality: int, header: Header) -> CompressedImage:
    """As image_transport would send an RGB image, uint8 (H, W, 3), of that encoding; quality: 1 to 100."""
    format, data = encode_jpeg(image, encoding, quality)
    return CompressedImage(header=header, format=format, data=data)


def by_cv_bridge(raw: bytes) -> np.ndarray | None:
    """A serialized Image of an encoding that wire/ doesn't know; None where cv_bridge isn't, or can't."""
    try:
        from cv_bridge import CvBridge, CvBridgeError
    except ImportError:
        return None
    try:
        return CvBridge().imgmsg_to_cv2(deserialize_message(raw, Image), "rgb8")
    except CvBridgeError:
        return None
