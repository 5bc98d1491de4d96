"""What stands in a bag beside the wanted topics, and how the bag is called, decides nothing."""

import shutil
import struct

import numpy as np
import pytest
import yaml
from bag_files import (
    COUNT,
    EVENTS_TOPIC,
    IMAGE_TOPIC,
    STAMP,
    Recorded,
    assert_begins_as_recorded,
    assert_whole,
    definition,
    recorded,
    write_mcap,
    write_ros1,
    write_sqlite,
)
from mcap.writer import Writer
from rosbags.rosbag1 import Writer as Ros1Writer

from rehdr_ros.recordings import BagRecording, RecordingError, open_recording
from rehdr_ros.recordings.bag_types import DVS_EVENTS, EVENTS, IMAGE
from rehdr_ros.recordings.zstd import zstd

FOREIGN = "example_interfaces/action/Fibonacci_FeedbackMessage"
DEFINITIONS = {
    "unknown": b"",
    "": b"",
    "jsonschema": b"{}",
    "protobuf": b"\x0a\xff",
    "flatbuffer": b"\0",
    "ros2idl": b"module a { this is none };",
    "ros2msg": b"neither is this\n!",
}


def beside(messages, kind=FOREIGN):
    """Another topic, before, between and behind the messages."""
    other = Recorded("/other", kind, STAMP, bytes(28))
    return [other, *messages[:20], other, *messages[20:], other]


def assert_other_left_alone(recording):
    assert recording.topics.pop("/other").count == 3
    assert_whole(recording)


@pytest.mark.parametrize("encoding", DEFINITIONS)
def test_a_definition_that_is_missing_or_of_another_language(tmp_path, encoding):
    foreign = {FOREIGN: (encoding, DEFINITIONS[encoding])}
    assert_other_left_alone(
        BagRecording(write_mcap(tmp_path / "a.mcap", beside(recorded()), schemas=foreign))
    )
    text = {FOREIGN: (encoding, DEFINITIONS[encoding].decode(errors="replace"))}
    assert_other_left_alone(BagRecording(write_sqlite(tmp_path / "a.db3", beside(recorded()), text)))


@pytest.mark.parametrize("encoding", ["unknown", "", "ros2idl"])
def test_the_wanted_topics_without_a_definition(tmp_path, encoding):
    nothing = {kind: (encoding, b"") for kind in (EVENTS, IMAGE)}
    assert_whole(BagRecording(write_mcap(tmp_path / "a.mcap", recorded(), schemas=nothing)))


def test_a_message_whose_type_the_bag_does_not_tell(tmp_path):
    foreign = {FOREIGN: ("unknown", b"")}
    recording = BagRecording(write_mcap(tmp_path / "a.mcap", beside(recorded()), schemas=foreign))
    with pytest.raises(RecordingError, match=f"a.mcap doesn't say what a {FOREIGN} is, on /other"):
        next(recording.read("/other"))
    assert next(recording.raw_messages({"/other"}))[2] == bytes(28)


@pytest.mark.parametrize("profile", ["", "x-robot"])
def test_any_profile_of_an_mcap_file(tmp_path, profile):
    assert_whole(BagRecording(write_mcap(tmp_path / "a.mcap", recorded(), profile=profile)))


def write_channels(path, messages, **kinds):
    """Channels as other recorders name them: kinds: topic -> (schema, its encoding, the messages')."""
    with path.open("wb") as file:
        writer, channels = Writer(file), {}
        writer.start("", "")
        for topic, _, log_ns, raw in messages:
            if topic not in channels:
                name, language, encoding = kinds[topic.strip("/")]
                schema = writer.register_schema(name, language, b"") if name else 0
                channels[topic] = writer.register_channel(topic, encoding, schema)
            writer.add_message(channels[topic], log_ns, raw, log_ns)
        writer.finish()
    return path


def test_the_names_that_dds_gives_types(tmp_path):
    kinds = {
        "events": ("event_camera_msgs::msg::dds_::EventPacket_", "omgidl", "cdr"),
        "image": ("sensor_msgs::msg::Image", "omgidl", "cdr"),
    }
    assert_whole(BagRecording(write_channels(tmp_path / "a.mcap", recorded(), **kinds)))


def test_ros1_messages_in_an_mcap_file(tmp_path):
    kinds = {
        "events": ("event_camera_msgs/EventPacket", "ros1msg", "ros1"),
        "image": ("sensor_msgs/Image", "ros1msg", "ros1"),
    }
    assert_whole(BagRecording(write_channels(tmp_path / "a.mcap", recorded(ros1=True), **kinds)))


def test_messages_that_are_not_ros_s(tmp_path):
    kinds = {
        "events": (EVENTS, "ros2msg", "cdr"),
        "image": (IMAGE, "ros2msg", "cdr"),
        "picture": ("sensor_msgs/msg/Image", "jsonschema", "json"),
        "packed": ("foxglove.CompressedImage", "protobuf", "protobuf"),
        "log": ("", "", ""),
    }
    others = [Recorded(f"/{name}", "", STAMP, b"{}") for name in ("picture", "packed", "log")]
    recording = BagRecording(write_channels(tmp_path / "a.mcap", others + recorded(), **kinds))
    assert {
        name: topic.type for name, topic in recording.topics.items() if name not in ("/events", "/image")
    } == {
        "/picture": "sensor_msgs/msg/Image (json)",
        "/packed": "foxglove.CompressedImage (protobuf)",
        "/log": " (unknown)",
    }
    assert recording.image_topics == [IMAGE_TOPIC]
    assert assert_begins_as_recorded(recording) == (COUNT, COUNT)


PACKETS = ["event_array_msgs/msg/EventArray", "our_robot_msgs/msg/EventPacket"]


@pytest.mark.parametrize("name", PACKETS)
def test_packets_under_another_package_s_name(tmp_path, name):
    messages = [m._replace(type=name) if m.type == EVENTS else m for m in recorded()]
    text = definition(EVENTS)
    for path in (
        write_mcap(tmp_path / "a.mcap", messages, schemas={name: ("ros2msg", text.encode())}),
        write_sqlite(tmp_path / "a.db3", messages, {name: ("ros2msg", text)}),
    ):
        recording = BagRecording(path)
        assert recording.topics[EVENTS_TOPIC] == (name, COUNT) and recording.encoding == "evt3"
        assert assert_begins_as_recorded(recording) == (COUNT, COUNT)
    nameless = write_mcap(tmp_path / "b.mcap", messages, schemas={name: ("unknown", b"")})
    assert (BagRecording(nameless).events_topic == EVENTS_TOPIC) == (name == PACKETS[0])


def test_another_message_of_a_name_that_is_known(tmp_path):
    name = PACKETS[0]
    messages = [m._replace(type=name) if m.type == EVENTS else m for m in recorded()]
    other = {name: ("ros2msg", b"std_msgs/Header header\nuint32 height\nuint64[] events\n")}
    recording = BagRecording(write_mcap(tmp_path / "a.mcap", messages, schemas=other))
    assert recording.events_topic is None


DVS_TEXT = """std_msgs/Header header
uint32 height
uint32 width
PACKAGE/Event[] events
================================================================================
MSG: PACKAGE/Event
uint16 x
uint16 y
TIME ts
bool polarity
"""


@pytest.mark.parametrize("package", ["prophesee_event_msgs", "lab_msgs"])
@pytest.mark.parametrize("time", ["time", "builtin_interfaces/Time"])
def test_event_arrays_under_another_package_s_name(tmp_path, package, time):
    name = f"{package}/msg/EventArray"
    text = DVS_TEXT.replace("PACKAGE", package).replace("TIME", time).encode()
    cdr = bytes([0, 1, 0, 0]) + np.array([1, 2, 1, 0, 48, 64, 0], "<u4").tobytes()
    messages = [Recorded("/dvs", name, STAMP, cdr), *recorded()[1::2]]
    recording = BagRecording(write_mcap(tmp_path / "a.mcap", messages, schemas={name: ("ros2msg", text)}))
    assert recording.topics["/dvs"] == (name, 1) and recording.events_topics == ["/dvs"]
    assert (recording.encoding, recording.event_size) == ("dvs_msgs", (64, 48))
    assert DVS_EVENTS not in {topic.type for topic in recording.topics.values()}


def test_event_arrays_of_ros1_under_another_package_s_name(tmp_path):
    raw = struct.pack("<IIIIIII", 0, 1, 2, 0, 48, 64, 1) + struct.pack("<HHIIB", 5, 6, 7, 8, 1)
    text = DVS_TEXT.replace("PACKAGE", "prophesee_event_msgs").replace("TIME", "time")
    with Ros1Writer(tmp_path / "a.bag") as writer:
        topic = writer.add_connection("/dvs", "prophesee_event_msgs/msg/EventArray", msgdef=text, md5sum="0")
        writer.write(topic, STAMP, raw)
    (events,) = BagRecording(tmp_path / "a.bag").events()
    assert (events.x, events.y, events.t, events.p) == (5, 6, 7_000_000_008, 1)


@pytest.mark.parametrize(
    "name", ["drive.bag", "drive.mcap", "drive.db3", "drive.raw", "drive.aedat4", "drive"]
)
def test_a_folder_may_be_called_anything(tmp_path, name):
    write_mcap(tmp_path / name / "drive_0.mcap", recorded())
    assert_whole(open_recording(tmp_path / name))


@pytest.mark.parametrize("name", ["a", "a.bag.active", "a.db3", "a.mcap", "a b#c?d%20.x"])
@pytest.mark.parametrize("write", [write_mcap, write_sqlite, write_ros1])
def test_a_file_may_be_called_anything(tmp_path, write, name):
    path = write(tmp_path / name, recorded(ros1=write is write_ros1))
    assert_whole(open_recording(path))


def split(tmp_path, parts, listed, packed=()):
    """A bag in `parts` files; metadata.yaml lists the first `listed` ones and more that aren't there."""
    folder, messages = tmp_path / "bag", recorded()
    names = [f"bag_{k}.mcap" for k in range(parts)]
    each = len(messages) // parts
    for k, name in enumerate(names):
        path = write_mcap(folder / name, messages[k * each : (k + 1) * each])
        if k in packed:
            path.with_suffix(".mcap.zstd").write_bytes(zstd.compress(path.read_bytes()))
            path.unlink()
            names[k] = f"{name}.zstd"
    if listed is not None:
        about = {"rosbag2_bagfile_information": {"version": 5, "relative_file_paths": names[:listed]}}
        (folder / "metadata.yaml").write_text(yaml.safe_dump(about))
    return folder


def test_files_that_metadata_does_not_list(tmp_path):
    folder = split(tmp_path, 5, listed=3)
    assert_whole(BagRecording(folder))
    shutil.copy(folder / "bag_0.mcap", folder / "filtered.mcap")
    (folder / "notes.txt").write_text("a drive")
    recording = BagRecording(folder)
    assert recording.notes == [f"{folder / 'filtered.mcap'} is left out: metadata.yaml doesn't list it"]
    assert assert_begins_as_recorded(recording) == (COUNT, COUNT)


def test_files_that_metadata_lists_and_that_are_missing(tmp_path):
    folder = split(tmp_path, 5, listed=5)
    (folder / "bag_4.mcap").unlink()
    recording = BagRecording(folder)
    assert recording.notes == [f"{folder / 'bag_4.mcap'} is missing: metadata.yaml lists it"]
    assert assert_begins_as_recorded(recording) == (16, 16)


@pytest.mark.parametrize("listed", [None, 5])
def test_files_of_which_some_were_not_compressed_any_more(tmp_path, listed):
    assert_whole(BagRecording(split(tmp_path, 5, listed, packed=(0, 1, 2))))


def test_the_last_file_of_a_split_bag_is_cut_off(tmp_path):
    folder = split(tmp_path, 5, listed=4)
    last = folder / "bag_4.mcap"
    last.write_bytes(last.read_bytes()[:6000])
    recording = BagRecording(folder)
    (note,) = recording.notes
    assert note.startswith(f"{last} ends early, at byte ") and note.endswith(
        " of 6000: what is whole is read"
    )
    packets, _ = assert_begins_as_recorded(recording)
    assert 16 < packets < COUNT


@pytest.mark.parametrize("text", ["", "not: a bag\n", "{", "rosbag2_bagfile_information: 3\n", "\0\xff"])
def test_metadata_that_tells_nothing(tmp_path, text):
    folder = split(tmp_path, 2, listed=None)
    (folder / "metadata.yaml").write_text(text, encoding="latin-1")
    assert_whole(BagRecording(folder))


def test_one_unreadable_file_of_several_is_left_out_and_named(tmp_path):
    folder = split(tmp_path, 5, listed=5)
    (folder / "bag_4.mcap").write_bytes(b"")
    recording = BagRecording(folder)
    assert recording.notes == [f"{folder / 'bag_4.mcap'} is not a readable bag: it is empty"]
    assert assert_begins_as_recorded(recording) == (16, 16)


@pytest.mark.parametrize("write", [write_mcap, write_sqlite])
def test_messages_that_were_compressed_one_by_one_need_no_metadata(tmp_path, write):
    messages = [m._replace(raw=zstd.compress(m.raw)) for m in recorded()]
    assert_whole(BagRecording(write(tmp_path / "bag", messages)))


def test_a_compressed_message_that_is_damaged(tmp_path):
    messages = [m._replace(raw=zstd.compress(m.raw)) for m in recorded()]
    messages[10] = messages[10]._replace(raw=messages[10].raw[:10] + b"\xff" * 30)
    recording = BagRecording(write_mcap(tmp_path / "bag", messages))
    assert [p.seq for p in recording.packets()] == [k for k in range(COUNT) if k != 5]
    assert recording.counters == {"unreadable_parts": 1} and "a message of /events" in recording.notes[0]
