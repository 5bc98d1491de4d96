"""Bags with messages that can't be used: these alone are left out, counted and named."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from rehdr_ros.events import Calibration, Exposure, Frame, Packet
from rehdr_ros.recordings import BagRecording, BagWriter, RecordingError, select
from rehdr_ros.recordings.bag_types import CAMERA_INFO, COMPRESSED, EVENTS, EXPOSURE, IMAGE, typestore

S, MS = 10**9, 10**6
STAMP = 1_700_000_000 * S
COUNT = 6
STORE = typestore()
TYPES = STORE.types
SIZE = 16, 12


def header(k):
    return TYPES["std_msgs/msg/Header"](
        TYPES["builtin_interfaces/msg/Time"](*divmod(STAMP + k * MS, S)), "cam"
    )


def pixels(k):
    return np.random.default_rng(k).integers(0, 256, (12, 16, 3), np.uint8)


def packet(k):
    return TYPES[EVENTS](header(k), 12, 16, k, 0, "evt3", False, np.arange(32, dtype=np.uint8))


def image(k):
    return TYPES[IMAGE](header(k), 12, 16, "bgr8", 0, 48, pixels(k)[..., ::-1].reshape(-1))


def compressed(k):
    return TYPES[COMPRESSED](header(k), "jpeg", cv2.imencode(".jpg", pixels(k))[1].reshape(-1))


def exposure(k):
    return TYPES[EXPOSURE](header(k), 0.001, 1.0)


def camera_info(k):
    roi = TYPES["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    matrices = np.array([20.0, 0, 8, 0, 20, 6, 0, 0, 1]), np.eye(3).reshape(-1), np.zeros(12)
    return TYPES[CAMERA_INFO](header(k), 12, 16, "plumb_bob", np.zeros(5), *matrices, 0, 0, roi)


MAKE = {
    "/camera/camera_info": (CAMERA_INFO, camera_info),
    "/camera/events": (EVENTS, packet),
    "/camera/exposure": (EXPOSURE, exposure),
    "/camera/image_raw": (IMAGE, image),
    "/camera/image_raw/compressed": (COMPRESSED, compressed),
}


def write(path, topic, damage, at, others=(*MAKE,)):
    """COUNT messages of each topic; `damage` turns the message, or its bytes, of `topic` and number `at`."""
    with BagWriter(path) as bag:
        for k in range(COUNT):
            for name in others:
                kind, make = MAKE[name]
                message = make(k)
                if name == topic and k in at and isinstance(damage, dict):
                    message = replace(message, **damage)
                raw = bytes(STORE.serialize_cdr(message, kind))
                if name == topic and k in at and not isinstance(damage, dict):
                    raw = damage(raw)
                bag.write_raw(name, kind, raw, STAMP + k * MS)
    return path


DAMAGE = {
    "empty image": (
        "image_raw",
        {"height": 0, "width": 0, "step": 0, "encoding": "", "data": np.zeros(0, "u1")},
    ),
    "short image": ("image_raw", {"data": np.zeros(100, np.uint8)}),
    "unknown encoding of an image": ("image_raw", {"encoding": "bgr9"}),
    "giant image": ("image_raw", {"height": 2**31, "width": 2**31, "step": 2**32 - 1}),
    "image cut within its header": ("image_raw", lambda raw: raw[:30]),
    "image without a byte": ("image_raw", lambda raw: b""),
    "cut JPEG": ("image_raw/compressed", {"data": compressed(0).data[:200]}),
    "depth": ("image_raw/compressed", {"format": "16UC1; compressedDepth png"}),
    "packet without encoding": ("events", {"encoding": ""}),
    "packet without size": ("events", {"width": 0, "height": 0}),
    "packet of a giant": ("events", {"width": 2**32 - 1}),
    "triggers among the events": ("events", {"encoding": "trigger"}),
    "cut packet": ("events", lambda raw: raw[:-1]),
    "packet of another serialization": ("events", lambda raw: b"\1\0" + raw[2:]),
    "exposure of zero": ("exposure", {"exposure_time": 0.0}),
    "cut exposure": ("exposure", lambda raw: raw[:20]),
    "camera that is not calibrated": ("camera_info", {"k": np.zeros(9)}),
    "camera info cut off": ("camera_info", lambda raw: raw[:90]),
}
COUNTERS = {
    "image_raw": "refused_frames",
    "image_raw/compressed": "refused_frames",
    "events": "refused_packets",
    "exposure": "refused_exposures",
    "camera_info": "refused_camera_infos",
}


@pytest.mark.parametrize("at", [0, 3, COUNT - 1], ids=["first", "middle", "last"])
@pytest.mark.parametrize("name, damage", DAMAGE.values(), ids=DAMAGE)
def test_one_bad_message_is_left_out_counted_and_named(tmp_path, name, damage, at):
    topic, counter = f"/camera/{name}", COUNTERS[name]
    picture = topic if "image" in topic else "/camera/image_raw"
    recording = BagRecording(write(tmp_path / "bag", topic, damage, {at}), image_topic=picture)
    messages = list(recording.messages(cameras=True))
    stamps = {
        kind: [m.stamp_ns for m in messages if isinstance(m, kind)] for kind in (Packet, Frame, Exposure)
    }
    bad = {"refused_frames": Frame, "refused_packets": Packet, "refused_exposures": Exposure}.get(counter)
    for kind, found in stamps.items():
        assert found == [STAMP + k * MS for k in range(COUNT) if kind is not bad or k != at]
    assert [m.of for m in messages if isinstance(m, Calibration)] == ["events", "frames"]
    # Of the calibrations the first will do; those of both cameras are on one topic here.
    seen = 0 if name == "camera_info" and at else 2 if name == "camera_info" else 1
    assert +recording.counters == ({counter: seen, "refused_messages": seen} if seen else {})
    assert len(recording.notes) == min(seen, 1)
    assert all(topic in note and "\n" not in note for note in recording.notes)
    if damage is DAMAGE["empty image"][1]:
        assert recording.notes[0].endswith("an image without encoding: is it empty?")
    if damage in ({"encoding": "bgr9"}, {"encoding": ""}):
        assert f"{STAMP // S}.{at * MS // 1000:06d} s: unknown" in recording.notes[0]


def test_what_the_first_message_tells_is_told_by_the_first_good_one(tmp_path):
    recording = BagRecording(write(tmp_path / "bag", "/camera/events", {"encoding": ""}, {0, 1}))
    assert recording.encoding == "evt3" and not recording.notes
    assert len(list(recording.packets())) == COUNT - 2


def test_a_part_around_bad_messages(tmp_path):
    recording = BagRecording(write(tmp_path / "bag", "/camera/image_raw", {"encoding": ""}, {0, 3}))
    frames = [m for m in select(recording.messages(), 0.001, 0.003) if isinstance(m, Frame)]
    assert [f.stamp_ns for f in frames] == [STAMP + k * MS for k in (2, 4)]  # s after the first good one


def test_many_are_counted_and_the_first_are_named(tmp_path):
    bad = {0, 1, 2, 4, 5}
    recording = BagRecording(write(tmp_path / "bag", "/camera/image_raw", {"encoding": ""}, bad))
    for _ in range(2):  # counted anew in every iteration, named once
        assert [f.stamp_ns for f in recording.frames()] == [STAMP + 3 * MS]
        assert recording.counters == {"refused_messages": 5, "refused_frames": 5}
        assert len(recording.notes) == 3 and "only counted" in recording.notes[2]


@pytest.mark.parametrize(
    "name, damage", [("events", {"encoding": "evt4"}), ("image_raw", {"encoding": "bgr9"})]
)
def test_only_a_topic_of_which_nothing_can_be_used_ends_the_run(tmp_path, name, damage):
    topic = f"/camera/{name}"
    recording = BagRecording(
        write(tmp_path / "bag", topic, damage, set(range(COUNT))), image_topic="/camera/image_raw"
    )
    with pytest.raises(
        RecordingError, match=f"nothing of {topic} can be used: .*stamped 17.*unknown"
    ) as error:
        recording.messages()
    assert "\n" not in str(error.value)


def test_the_camera_info_of_the_results_is_the_first_good_one(tmp_path):
    topic = "/camera/camera_info"
    recording = BagRecording(write(tmp_path / "bag", topic, lambda raw: raw[:40], {0, 1}))
    assert recording.camera_info().header.stamp.nanosec == 2 * MS
    assert BagRecording(write(tmp_path / "all", topic, lambda raw: b"", set(range(6)))).camera_info() is None


def test_what_is_assumed_of_an_encoding_is_noted_once(tmp_path):
    recording = BagRecording(write(tmp_path / "bag", "/camera/image_raw", {"encoding": "8UC3"}, {1, 2}))
    frames = list(recording.frames())
    np.testing.assert_array_equal(frames[1].image, pixels(1))
    assert recording.notes == ["/camera/image_raw: 8UC3 names no colours: taken as bgr8"]
    assert recording.counters == {}
