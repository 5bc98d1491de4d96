"""Stamps and exposures of messages, as rosbags makes them."""

import pytest

from rehdr_ros.events import Exposure
from rehdr_ros.recordings.bag_types import EXPOSURE, typestore
from rehdr_ros.wire.exposure import exposure_from_bytes
from rehdr_ros.wire.header import stamp_from_bytes, stamp_to_ns

STAMP_NS = 1_700_000_000_123_456_789


@pytest.fixture
def store():
    return typestore()


def message_of(store, exposure_time: float, gain: float):
    stamp = store.types["builtin_interfaces/msg/Time"](*divmod(STAMP_NS, 10**9))
    header = store.types["std_msgs/msg/Header"](stamp=stamp, frame_id="camera")
    return store.types[EXPOSURE](header=header, exposure_time=exposure_time, gain=gain)


@pytest.mark.parametrize("little_endian", [True, False])
def test_stamp_of_a_message_and_of_its_bytes(store, little_endian):
    message = message_of(store, 0.01, 2.0)
    raw = store.serialize_cdr(message, EXPOSURE, little_endian=little_endian)
    assert stamp_from_bytes(bytes(raw)) == stamp_to_ns(message.header.stamp) == STAMP_NS


def test_exposure_is_time_times_gain(store):
    raw = store.serialize_cdr(message_of(store, 0.25, 2.0), EXPOSURE)
    assert exposure_from_bytes(raw) == Exposure(STAMP_NS, 0.5, 0.25)


def test_exposure_that_is_none(store):
    with pytest.raises(ValueError, match="exposure"):
        exposure_from_bytes(store.serialize_cdr(message_of(store, 0.0, 1.0), EXPOSURE))
