"""The message types that we read from bags and write to them, by the names that ROS gives them."""

from __future__ import annotations

from functools import cache

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


# The same messages under the names of other packages.
_COPIES = {
    "event_array_msgs/msg/EventArray": EVENTS,  # until 2023
    "prophesee_event_msgs/msg/EventArray": DVS_EVENTS,
}
_DVS_DEFINITION = """std_msgs/Header header
uint32 height
uint32 width
Event[] events
================================================================================
MSG: dvs_msgs/Event
uint16 x
uint16 y
time ts
bool polarity
"""


@cache
def layout(name: str, definition: str = "") -> str:
    """The type as which to read messages of type `name`: that of the same fields, else itself.

    definition: the text of the message's .msg file with those that it uses, where it is known.
    """
    if name in (EVENTS, DVS_EVENTS) or "events" not in definition:
        return _COPIES.get(name, name)
    try:
        return _layouts().get(_shape(name, definition), name)
    except Exception:  # a parser of any text
        return name


@cache
def _layouts() -> dict[str, str]:
    texts = {EVENTS: _DEFINITIONS[EVENTS], DVS_EVENTS: _DVS_DEFINITION}
    return {_shape(name, text): name for name, text in texts.items()}


def _shape(name: str, definition: str) -> str:
    """The fields of a type and of those of its package, without the package's name."""
    package = name.partition("/")[0] + "/"
    types = get_types_from_msg(definition, name)
    fields = sorted(repr(fields) for each, (_, fields) in types.items() if each.startswith(package))
    return "".join(fields).replace(f"'{package}", "'")


def typestore(ros1: bool = False) -> Typestore:
    """The messages of ROS 2's, or ROS 1's, latest distribution that rosbags knows, and ours."""
    store = get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.LATEST)
    for name, definition in _DEFINITIONS.items():
        if name not in store.types:
            store.register(get_types_from_msg(definition, name))
    return store
