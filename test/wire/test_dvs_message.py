import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from rehdr_ros.errors import InputError
from rehdr_ros.events import Events
from rehdr_ros.wire.dvs import events_from_event_array

NS = 1_000_000_000
STAMP = 1_700_000_000 * NS + 5
SIZE = 346, 260
EVENT = "uint16 x\nuint16 y\nbuiltin_interfaces/Time ts\nbool polarity"
EVENT_ARRAY = "std_msgs/Header header\nuint32 height\nuint32 width\ndvs_msgs/Event[] events"
STORE = get_typestore(Stores.ROS2_HUMBLE)
STORE.register(get_types_from_msg(EVENT, "dvs_msgs/msg/Event"))
STORE.register(get_types_from_msg(EVENT_ARRAY, "dvs_msgs/msg/EventArray"))


def events(count):
    random = np.random.default_rng(count)
    t = STAMP + np.cumsum(random.integers(0, NS // 3, count))
    return Events(t, *(random.integers(0, most, count) for most in (346, 260, 2)))


def rows(events):
    return zip(*(column.tolist() for column in (events.t, events.x, events.y, events.p)), strict=True)


def serialize(events, frame_id="cam", little_endian=True, size=SIZE):
    """By rosbags."""
    types = STORE.types
    time = types["builtin_interfaces/msg/Time"]
    array = [types["dvs_msgs/msg/Event"](x, y, time(*divmod(t, NS)), bool(p)) for t, x, y, p in rows(events)]
    header = types["std_msgs/msg/Header"](time(*divmod(STAMP, NS)), frame_id)
    message = types["dvs_msgs/msg/EventArray"](header, size[1], size[0], array)
    return bytes(STORE.serialize_cdr(message, "dvs_msgs/msg/EventArray", little_endian=little_endian))


@pytest.fixture
def assert_holds(assert_same_events):
    def check(array, expected):
        assert (array.stamp_ns, array.size, array.out_of_bounds) == (STAMP, SIZE, 0)
        assert_same_events(array.events, expected)

    return check


@pytest.mark.parametrize("little_endian", [True, False])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 1000])
@pytest.mark.parametrize("frame_id", ["", "c", "cam", "came", "camer"])
def test_as_rosbags_writes_it(assert_holds, count, frame_id, little_endian):
    raw = serialize(events(count), frame_id, little_endian)
    for kind in (raw, bytearray(raw), memoryview(raw)):
        assert_holds(events_from_event_array(kind), events(count))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 1000])
@pytest.mark.parametrize("frame_id", ["", "c", "cam", "came", "camer"])
def test_as_ros_writes_it(assert_holds, count, frame_id):
    serialization = pytest.importorskip("rclpy.serialization", reason="there is no ROS 2")
    msg = pytest.importorskip("dvs_msgs.msg", reason="the messages are not built: run make setup")
    from builtin_interfaces.msg import Time

    message = msg.EventArray(width=SIZE[0], height=SIZE[1])
    message.header.frame_id = frame_id
    message.header.stamp = Time(sec=STAMP // NS, nanosec=STAMP % NS)
    for t, x, y, p in rows(events(count)):
        message.events.append(msg.Event(x=x, y=y, ts=Time(sec=t // NS, nanosec=t % NS), polarity=bool(p)))
    raw = serialization.serialize_message(message)
    assert_holds(events_from_event_array(raw), events(count))


def test_every_byte_of_a_big_endian_message():
    raw = b"".join(
        (
            b"\0\0\0\0",
            struct.pack(">iII4s", 7, 8, 4, b"cam\0"),
            struct.pack(">III", 260, 346, 3),
            struct.pack(">HHiIB", 345, 1, 9, 10, 1) + b"\xaa",
            struct.pack(">HH2xiIB", 2, 259, 11, 999_999_999, 0) + b"\xaa",
            struct.pack(">HH2xiIB", 0x102, 0x103, -1, 12, 255),
        )
    )
    array = events_from_event_array(raw)
    assert (array.stamp_ns, array.size, array.out_of_bounds) == (7 * NS + 8, (346, 260), 0)
    assert list(rows(array.events)) == [
        (9 * NS + 10, 345, 1, 1),
        (11 * NS + 999_999_999, 2, 259, 0),
        (-NS + 12, 0x102, 0x103, 1),
    ]


def test_events_outside_the_sensor_are_dropped_and_counted():
    some = Events([1, 2, 3, 4, 5], [345, 346, 0, 65535, 0], [259, 0, 260, 65535, 0], [1, 1, 1, 1, 0])
    array = events_from_event_array(serialize(some))
    assert array.out_of_bounds == 3
    assert list(rows(array.events)) == [(1, 345, 259, 1), (5, 0, 0, 0)]


def test_the_events_do_not_depend_on_the_bytes(assert_holds):
    raw = bytearray(serialize(events(50)))
    array = events_from_event_array(raw)
    raw[:] = bytes(len(raw))
    assert_holds(array, events(50))


# What is refused


@pytest.mark.parametrize("count", [0, 1, 3])
def test_every_cut_is_noticed(count):
    raw = serialize(events(count))
    for length in range(len(raw)):
        with pytest.raises(InputError, match="EventArray: .*(cut off|need|expected)"):
            events_from_event_array(raw[:length])


def test_a_padded_end_is_no_error(assert_holds):
    assert_holds(events_from_event_array(serialize(events(3)) + b"\0\0\0"), events(3))


@pytest.mark.parametrize("count", [0, 2, 4, 2**31, 2**32 - 1])
def test_a_count_that_does_not_fit(count):
    raw = bytearray(serialize(events(3), "cam"))
    struct.pack_into("<I", raw, 28, count)
    with pytest.raises(InputError, match=f"EventArray: {count} events need .* bytes, not 45"):
        events_from_event_array(raw)


@pytest.mark.parametrize("length", [5, 2**31, 2**32 - 1])
def test_a_name_that_does_not_fit(length):
    raw = bytearray(serialize(events(3), "cam"))
    struct.pack_into("<I", raw, 12, length)
    with pytest.raises(InputError, match="EventArray: "):
        events_from_event_array(raw)


@pytest.mark.parametrize("size", [(4097, 260), (346, 2**32 - 1), (0, 0), (346, 0)])
def test_a_sensor_that_cannot_be(size):
    with pytest.raises(InputError, match=f"an event camera of {size[0]}x{size[1]} pixels"):
        events_from_event_array(serialize(events(3), size=size))


@pytest.mark.parametrize("start", [b"\0\2", b"\0\x09", b"\1\0", b"ab"])
def test_other_serializations_are_refused(start):
    with pytest.raises(InputError, match=f"expected plain CDR .*{start.hex(' ')}"):
        events_from_event_array(start + serialize(events(3))[2:])


@settings(deadline=None)
@given(
    st.binary(max_size=120)
    | st.binary(max_size=120).map(lambda rest: b"\0\1\0\0" + rest)
    | st.binary(max_size=4).map(lambda rest: serialize(events(5)) + rest)
)
def test_whatever_comes_only_input_error_is_raised(raw):
    read_or_refuse(raw)


@settings(deadline=None)
@given(st.dictionaries(st.integers(0, 100), st.integers(0, 255), max_size=6), st.booleans())
def test_damage_only_ever_raises_input_error(changes, little_endian):
    raw = bytearray(serialize(events(6), "cam", little_endian))
    for place, octet in changes.items():
        raw[place] = octet
    read_or_refuse(raw)


def read_or_refuse(raw):
    try:
        array = events_from_event_array(raw)
    except InputError:
        return
    assert 13 * (len(array.events) + array.out_of_bounds) < len(raw)
    assert (array.events.x < array.size[0]).all() and (array.events.y < array.size[1]).all()
