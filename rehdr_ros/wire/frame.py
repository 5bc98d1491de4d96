"""sensor_msgs/msg/Image and CompressedImage, serialized -> Frame. No ROS."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rehdr_ros.events import Frame
from rehdr_ros.wire.cdr import Fields
from rehdr_ros.wire.compressed_image import decode_compressed
from rehdr_ros.wire.image import assumption, decode_image, is_known

Raw = bytes | bytearray | memoryview


def frame_from_image(
    raw: Raw, tell: Callable[[str], None], otherwise: Callable[[Raw], np.ndarray | None] | None = None
) -> Frame:
    """The frame of a serialized (plain CDR, of either byte order) Image; its pixels are a view of `raw` if
    possible.

    tell: gets a line where something had to be assumed of the pixels. otherwise: decodes the images of
    encodings that decode_image doesn't know, or gives None. Raises ValueError for what is no such message.
    """
    fields = Fields(raw, "Image")
    stamp_ns, frame_id = fields.header()
    height, width = fields.numbers("I", 2)
    encoding = fields.text()
    (is_bigendian,), (step,) = fields.numbers("B"), fields.numbers("I")
    image = otherwise(raw) if otherwise and not is_known(encoding) else None
    if image is None:
        image = decode_image(encoding, height, width, step, fields.octets(), bool(is_bigendian))
        if assumed := assumption(encoding):
            tell(assumed)
    return Frame(stamp_ns, image, frame_id)


def frame_from_compressed(raw: Raw) -> Frame:
    """The frame of a serialized (plain CDR, of either byte order) CompressedImage. Raises ValueError."""
    fields = Fields(raw, "CompressedImage")
    stamp_ns, frame_id = fields.header()
    return Frame(stamp_ns, decode_compressed(fields.text(), fields.octets()), frame_id)
