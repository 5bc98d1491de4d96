"""rehdr_ros/msg/Exposure, serialized -> Exposure. No ROS."""

from __future__ import annotations

from rehdr_ros.events import Exposure
from rehdr_ros.wire.cdr import Fields


def exposure_from_bytes(raw: bytes | bytearray | memoryview) -> Exposure:
    """How the frame with the message's stamp was exposed. raw: plain CDR, of either byte order.

    Raises ValueError for what is no exposure, or no such message.
    """
    fields = Fields(raw, "Exposure")
    stamp_ns, _ = fields.header()
    seconds, gain = fields.numbers("f", 2)
    return Exposure(stamp_ns, seconds * gain, seconds)
