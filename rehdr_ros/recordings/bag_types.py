"""The message types that we read from bags and write to them, by the names that ROS gives them."""

from __future__ import annotations

from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

EVENTS = "event_camera_msgs/msg/EventPacket"
DVS_EVENTS = "dvs_msgs/msg/EventArray"
IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
EXPOSURE = "rehdr_ros/msg/Exposure"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"

# What rosbags doesn't know.
_DEFINITIONS = {
    EVENTS: """std_msgs/Header header
uint32 height
uint32 width
uint64 seq
uint64 time_base
string encoding
bool is_bigendian
uint8[] events
""",
    EXPOSURE: """std_msgs/Header header
float32 exposure_time
float32 gain
""",
}


def typestore(ros1: bool = False) -> Typestore:
    """The messages of ROS 2's, or ROS 1's, latest distribution that rosbags knows, and ours."""
    store = get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.LATEST)
    for name, definition in _DEFINITIONS.items():
        if name not in store.types:
            store.register(get_types_from_msg(definition, name))
    return store
