"""EventPacket read from its bytes, against rosbags' own reader and writer."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from rehdr_ros.errors import InputError
from rehdr_ros.events import Packet
from rehdr_ros.wire.packet import packet_from_bytes

TYPE = "event_camera_msgs/msg/EventPacket"
FIELDS = (
    "std_msgs/Header header\nuint32 height\nuint32 width\nuint64 seq\nuint64 time_base\n"
    "string encoding\nbool is_bigendian\nuint8[] events"
)


@pytest.fixture(scope="module")
def store():
    store = get_typestore(Stores.ROS2_HUMBLE)
    store.register(get_types_from_msg(FIELDS, TYPE))
    return store


def same(a: Packet, b: Packet):
    assert [*vars_of(a), bytes(a.data)] == [*vars_of(b), bytes(b.data)]


def vars_of(packet):
    names = ("stamp_ns", "width", "height", "seq", "time_base", "encoding", "is_bigendian")
    return [getattr(packet, name) for name in names]


@given(
    name=st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=9),
    encoding=st.sampled_from(["evt3", "mono", "libcaer_cmp", ""]),
    data=st.binary(max_size=40),
    numbers=st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 10**9 - 1), st.integers(0, 2**64 - 1)),
    little=st.booleans(),
)
def test_what_any_writer_writes(store, name, encoding, data, numbers, little):
    seconds, nanoseconds, large = numbers
    types = store.types
    stamp = types["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds)
    header = types["std_msgs/msg/Header"](stamp=stamp, frame_id=name)
    content = encoding, bool(large % 2), np.frombuffer(data, np.uint8)
    message = types[TYPE](header, 480, 640, large, large // 3, *content)
    raw = memoryview(store.serialize_cdr(message, TYPE, little_endian=little))
    numbers = stamp.sec * 10**9 + stamp.nanosec, 640, 480, large, large // 3
    same(packet_from_bytes(raw), Packet(*numbers, encoding, data, bool(large % 2)))


def test_what_is_cut_off_anywhere_is_refused():
    name = b"cam\0"
    body = struct.pack("<iII4sIIQQI5sB2xI", 1, 2, len(name), name, 4, 5, 6, 7, 5, b"evt3\0", 0, 3) + b"abc"
    raw = b"\0\1\0\0" + body
    packet = packet_from_bytes(raw)
    assert (packet.stamp_ns, packet.height, packet.width, packet.seq) == (1_000_000_002, 4, 5, 6)
    assert (packet.encoding, bytes(packet.data)) == ("evt3", b"abc")
    for length in range(len(raw)):
        with pytest.raises(InputError, match="EventPacket"):
            packet_from_bytes(raw[:length])


def test_lengths_beyond_the_message_are_refused():
    body = struct.pack("<iII", 1, 2, 2**32 - 1)
    with pytest.raises(InputError, match="EventPacket"):
        packet_from_bytes(b"\0\1\0\0" + body + bytes(100))
