import shutil

import cv2
import numpy as np
import pytest
import yaml
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Reader, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from rehdr_ros.errors import InputError
from rehdr_ros.events import Events, Packet
from rehdr_ros.recordings import BagRecording, BagWriter, Calibration, Frame, RecordingError
from rehdr_ros.recordings.bag_types import CAMERA_INFO, COMPRESSED, DVS_EVENTS, EVENTS, IMAGE, typestore
from rehdr_ros.wire.ros1 import events_from_ros1_event_array

MS, S = 10**6, 10**9
STAMP = 1_700_000_000 * S
COUNT = 12
DVS_DEFINITIONS = {
    "dvs_msgs/msg/Event": "uint16 x\nuint16 y\ntime ts\nbool polarity",
    DVS_EVENTS: "std_msgs/Header header\nuint32 height\nuint32 width\ndvs_msgs/Event[] events",
}


def packet(k):
    return Packet(STAMP + k * MS, 64, 48, k, 0, "evt3", np.random.default_rng(k).bytes(90))


def image(k):
    return np.random.default_rng(k).integers(0, 256, (12, 16, 3), np.uint8)


def write(path, numbers=range(COUNT)):
    with BagWriter(path) as bag:
        for k in numbers:
            bag.write_packet("/events", packet(k), "event_camera")
            bag.write_image("/image", STAMP + k * MS, "camera", image(k), "rgb8")
    return path


def store(source, path, plugin, mode=CompressionMode.NONE):
    """The same messages in another storage."""
    writer = Writer(path, version=8, storage_plugin=plugin)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with Reader(source) as reader, writer as bag:
        topics = {
            c.id: bag.add_connection(c.topic, c.msgtype, msgdef=c.msgdef.data, rihs01=c.digest)
            for c in reader.connections
        }
        for connection, stamp_ns, raw in reader.messages():
            bag.write(topics[connection.id], stamp_ns, raw)
    return path


def assert_whole(path):
    messages = list(BagRecording(path).messages())
    assert [type(m) for m in messages] == [Packet, Frame] * COUNT
    for k in range(COUNT):
        read, frame = messages[2 * k : 2 * k + 2]
        assert (read.seq, bytes(read.data)) == (k, packet(k).data)
        assert frame.stamp_ns == STAMP + k * MS
        np.testing.assert_array_equal(frame.image, image(k))


@pytest.mark.parametrize(
    "plugin, mode",
    [
        (StoragePlugin.SQLITE3, CompressionMode.NONE),
        (StoragePlugin.SQLITE3, CompressionMode.MESSAGE),
        (StoragePlugin.SQLITE3, CompressionMode.FILE),
        (StoragePlugin.MCAP, CompressionMode.MESSAGE),
        (StoragePlugin.MCAP, CompressionMode.FILE),
        (StoragePlugin.MCAP, CompressionMode.STORAGE),  # by mcap itself, in chunks
    ],
)
def test_every_storage_and_compression(tmp_path, plugin, mode):
    assert_whole(store(write(tmp_path / "source"), tmp_path / "bag", plugin, mode))


def test_what_was_unpacked_goes_with_the_recording(tmp_path, monkeypatch):
    path = store(write(tmp_path / "source"), tmp_path / "bag", StoragePlugin.SQLITE3, CompressionMode.FILE)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    recording = BagRecording(path)
    assert len(list(recording.frames())) == len(list(recording.packets())) == COUNT
    assert len(list((tmp_path / "tmp").iterdir())) == 1
    del recording
    assert not list((tmp_path / "tmp").iterdir())


def test_a_compressed_file_alone_or_cut_off(tmp_path):
    path = store(write(tmp_path / "source"), tmp_path / "bag", StoragePlugin.SQLITE3, CompressionMode.FILE)
    (file,) = path.glob("*.zstd")
    assert_whole(file)
    file.write_bytes(file.read_bytes()[:-50])
    for each in (path, file):
        with pytest.raises(RecordingError, match="bag.db3.zstd is not a readable bag"):
            BagRecording(each)


def test_a_compressed_file_of_a_recorder_that_was_killed(tmp_path):
    numbers = range(400)  # more than one block of zstd's
    path = store(
        write(tmp_path / "source", numbers), tmp_path / "bag", StoragePlugin.MCAP, CompressionMode.FILE
    )
    (file,) = path.glob("*.zstd")
    file.write_bytes(file.read_bytes()[:-50_000])
    recording = BagRecording(path)
    (note,) = recording.notes
    assert note.startswith(f"{file} ends early, ")
    assert 50 < len([packet.seq for packet in recording.packets()]) < 400


@pytest.mark.parametrize(
    "plugin, mode, parts, has_metadata",
    [
        (StoragePlugin.SQLITE3, CompressionMode.NONE, 2, True),
        (StoragePlugin.MCAP, CompressionMode.FILE, 12, True),  # 10 comes behind 9
        (StoragePlugin.MCAP, CompressionMode.NONE, 2, True),
        (StoragePlugin.MCAP, CompressionMode.NONE, 12, False),
    ],
)
def test_split_bags(tmp_path, plugin, mode, parts, has_metadata):
    (tmp_path / "bag").mkdir()
    metadata, names = None, []
    for k, numbers in enumerate(np.split(np.arange(COUNT), parts)):
        part = store(write(tmp_path / f"source_{k}", numbers.tolist()), tmp_path / f"part_{k}", plugin, mode)
        (file,) = (entry for entry in part.iterdir() if entry.suffix != ".yaml")
        names.append(file.name.replace(file.name.split(".")[0], f"bag_{k}"))
        shutil.copy(file, tmp_path / "bag" / names[-1])
        metadata = metadata or yaml.safe_load((part / "metadata.yaml").read_text())
    if has_metadata:
        information = metadata["rosbag2_bagfile_information"]
        information["relative_file_paths"], information["message_count"] = names, 2 * COUNT
        for topic in information["topics_with_message_count"]:
            topic["message_count"] = COUNT
        (tmp_path / "bag" / "metadata.yaml").write_text(yaml.safe_dump(metadata))
    assert_whole(tmp_path / "bag")
    assert BagRecording(tmp_path / "bag").topics == {"/events": (EVENTS, COUNT), "/image": (IMAGE, COUNT)}


def compressed(bag, k, kind="png"):
    stamp = bag.types["builtin_interfaces/msg/Time"](1_700_000_000, k)
    header = bag.types["std_msgs/msg/Header"](stamp, "camera")
    data = np.frombuffer(cv2.imencode(f".{kind}", image(k)[..., ::-1])[1], np.uint8)
    return bag.types[COMPRESSED](header, f"rgb8; {kind} compressed bgr8", data)


def test_compressed_images(tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        for k in range(3):
            bag.write_packet("/events", packet(k), "")
            bag.write("/camera/image_raw/compressed", COMPRESSED, compressed(bag, k), STAMP + k)
            bag.write("/camera/image_raw/compressedDepth", COMPRESSED, compressed(bag, k), STAMP + k)
    recording = BagRecording(tmp_path / "bag")
    assert recording.image_topics == ["/camera/image_raw/compressed"]
    frames = [message for message in recording.messages() if isinstance(message, Frame)]
    assert [(frame.stamp_ns, frame.frame_id) for frame in frames] == [(STAMP + k, "camera") for k in range(3)]
    for k, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.image, image(k))


def test_which_image_is_preferred(tmp_path):
    own = ["/a/image_raw", "/a/image_raw/compressed", "/b/image_raw/compressed", "/c/image_raw"]
    derived = ["/a/tonemapped/image_raw", "/a/tonemapped/image_raw/compressed"]
    with BagWriter(tmp_path / "bag") as bag:
        for topic in reversed(own + derived):
            if topic.endswith("compressed"):
                bag.write(topic, COMPRESSED, compressed(bag, 0), STAMP)
            else:
                bag.write_image(topic, STAMP, "", image(0), "rgb8")
    assert BagRecording(tmp_path / "bag").image_topics == own + derived
    assert BagRecording(tmp_path / "bag", image_topic=derived[1]).image_topic == derived[1]


def test_topics_with_messages_are_preferred(tmp_path):
    with (
        Reader(write(tmp_path / "source")) as reader,
        Writer(tmp_path / "bag", version=8, storage_plugin=StoragePlugin.MCAP) as bag,
    ):
        for source in reader.connections:
            for topic in ("/empty", source.topic):
                added = bag.add_connection(
                    topic + source.topic, source.msgtype, msgdef=source.msgdef.data, rihs01=source.digest
                )
            for _, stamp_ns, raw in reader.messages([source]):
                bag.write(added, stamp_ns, raw)
    recording = BagRecording(tmp_path / "bag")
    assert recording.events_topics == ["/events/events", "/empty/events"]
    assert recording.image_topics == ["/image/image", "/empty/image"]


def profile(durability) -> Qos:
    reliable, zero = (QosHistory.KEEP_LAST, 1, QosReliability.RELIABLE), QosTime(0, 0)
    return Qos(*reliable, durability, zero, zero, QosLiveliness.AUTOMATIC, zero, False)


@pytest.mark.parametrize("plugin", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
@pytest.mark.parametrize("version", [8, 9], ids=["numbers", "names"])
def test_latched_topics_are_told(tmp_path, plugin, version):
    latched, volatile = profile(QosDurability.TRANSIENT_LOCAL), profile(QosDurability.VOLATILE)
    topics = {"/image": [volatile], "/map": [latched], "/maps": [volatile, latched], "/unknown": []}
    with Writer(tmp_path / "bag", version=version, storage_plugin=plugin) as bag:
        for topic, profiles in topics.items():
            bag.add_connection(topic, IMAGE, typestore=typestore(), offered_qos_profiles=profiles)
    assert BagRecording(tmp_path / "bag").latched == {"/map", "/maps"}


def test_latched_topics_of_ros1_are_told(tmp_path):
    with Ros1Writer(tmp_path / "some.bag") as bag:
        for topic, latching in (("/image", 0), ("/map", 1), ("/unknown", None)):
            bag.add_connection(topic, IMAGE, typestore=typestore(ros1=True), latching=latching)
    assert BagRecording(tmp_path / "some.bag").latched == {"/map"}


def events(k, count=50):
    random = np.random.default_rng(k)
    t = STAMP + k * MS + np.sort(random.integers(0, MS, count))
    return Events(t, *(random.integers(0, most, count) for most in (64, 48, 2)))


def event_array(types, header, part, width=64):
    time = types["builtin_interfaces/msg/Time"]
    rows = zip(*(column.tolist() for column in (part.t, part.x, part.y, part.p)), strict=True)
    array = [types["dvs_msgs/msg/Event"](x, y, time(*divmod(t, S)), bool(p)) for t, x, y, p in rows]
    return types[DVS_EVENTS](header, 48, width, array)


def write_dvs(path, widths=(64, 64, 64)):
    with BagWriter(path) as bag:
        for name, definition in DVS_DEFINITIONS.items():
            bag.register(name, definition)
        header = bag.types["std_msgs/msg/Header"](bag.types["builtin_interfaces/msg/Time"](1, 2), "")
        for k, width in enumerate(widths):
            message = event_array(bag.types, header, events(k), width)
            bag.write("/dvs/events", DVS_EVENTS, message, STAMP + k * MS)
            bag.write_image("/dvs/image_raw", STAMP + k * MS, "", image(k), "rgb8")
    return path


def test_dvs_events(tmp_path, assert_same_events):
    recording = BagRecording(write_dvs(tmp_path / "bag"))
    assert (recording.encoding, recording.event_size) == ("dvs_msgs", (64, 48))
    messages = list(recording.messages())
    assert [type(message) for message in messages] == [Events, Frame] * 3
    for k in range(3):
        assert_same_events(messages[2 * k], events(k))
    assert recording.counters == {"out_of_bounds": 0}
    with pytest.raises(RecordingError, match=f"no topic of type {EVENTS}; it has /dvs/events"):
        recording.packets()


def test_dvs_events_outside_and_of_a_sensor_that_changes(tmp_path):
    recording = BagRecording(write_dvs(tmp_path / "narrow", (32, 32, 32)))
    kept = sum(map(len, recording.events()))
    assert 0 < recording.counters["out_of_bounds"] == 150 - kept
    changing = BagRecording(write_dvs(tmp_path / "changes", (64, 64, 32)))
    assert [part.size for part in changing.events()] == [(64, 48), (64, 48), (32, 48)]


def test_packets_are_preferred_to_event_arrays(tmp_path):
    write_dvs(tmp_path / "bag")
    with Reader(tmp_path / "bag") as reader, BagWriter(tmp_path / "both") as bag:
        for name, definition in DVS_DEFINITIONS.items():
            bag.register(name, definition)
        for connection, stamp_ns, raw in reader.messages():
            bag.write_raw(connection.topic, connection.msgtype, raw, stamp_ns)
        bag.write_packet("/z/events", packet(0), "")
    assert BagRecording(tmp_path / "both").events_topics == ["/z/events", "/dvs/events"]
    assert BagRecording(tmp_path / "both", "/dvs/events").encoding == "dvs_msgs"


@pytest.fixture(scope="module", params=Ros1Writer.CompressionFormat)
def ros1_bag(tmp_path_factory, request):
    """What a DAVIS driver of ROS 1 records: EventArrays, images, raw and compressed, and a calibration."""
    types = get_typestore(Stores.ROS1_NOETIC)
    for name, definition in DVS_DEFINITIONS.items():
        types.register(get_types_from_msg(definition, name))
    path = tmp_path_factory.mktemp("ros1") / "davis.bag"
    writer = Ros1Writer(path)
    writer.set_compression(request.param)
    with writer:
        topics = {
            "/dvs/events": DVS_EVENTS,
            "/dvs/image_raw": IMAGE,
            "/dvs/image_raw/compressed": COMPRESSED,
            "/dvs/camera_info": CAMERA_INFO,
        }
        connections = {t: writer.add_connection(t, kind, typestore=types) for t, kind in topics.items()}
        for k in range(3):
            stamp = types.types["builtin_interfaces/msg/Time"](*divmod(STAMP + k * MS, S))
            header = types.types["std_msgs/msg/Header"](k, stamp, "davis")
            roi = types.types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
            matrix = np.array([30.0, 0, 8, 0, 30.0, 6, 0, 0, 1])
            arrays = (np.zeros(5), matrix, np.eye(3).ravel(), np.zeros(12))
            camera = (header, 48, 64, "plumb_bob", *arrays, 0, 0, roi)
            png = np.frombuffer(cv2.imencode(".png", image(k)[..., ::-1])[1], np.uint8)
            packed = types.types[COMPRESSED](header, "rgb8; png compressed bgr8", png)
            for topic, message in {
                "/dvs/events": event_array(types.types, header, events(k)),
                "/dvs/image_raw": types.types[IMAGE](header, 12, 16, "rgb8", 0, 48, image(k).ravel()),
                "/dvs/image_raw/compressed": packed,
                "/dvs/camera_info": types.types[CAMERA_INFO](*camera),
            }.items():
                raw = types.serialize_ros1(message, topics[topic])
                writer.write(connections[topic], STAMP + k * MS, bytes(raw))
    return path


def test_ros1_bags(ros1_bag, assert_same_events):
    recording = BagRecording(ros1_bag)
    assert (recording.encoding, recording.event_size) == ("dvs_msgs", (64, 48))
    assert recording.image_topics == ["/dvs/image_raw", "/dvs/image_raw/compressed"]
    calibrations, messages = [], []
    for message in recording.messages(cameras=True):
        (calibrations if isinstance(message, Calibration) else messages).append(message)
    assert [(c.of, c.camera.matrix[0]) for c in calibrations] == [("events", 30.0), ("frames", 30.0)]
    assert [type(message) for message in messages] == [Events, Frame] * 3
    for k, frame in enumerate(BagRecording(ros1_bag, image_topic="/dvs/image_raw/compressed").frames()):
        assert_same_events(messages[2 * k], events(k))
        for each in (messages[2 * k + 1], frame):
            assert (each.stamp_ns, each.frame_id) == (STAMP + k * MS, "davis")
            np.testing.assert_array_equal(each.image, image(k))


def test_a_ros1_event_array_that_is_cut_off_or_has_events_outside():
    types = get_typestore(Stores.ROS1_NOETIC)
    for name, definition in DVS_DEFINITIONS.items():
        types.register(get_types_from_msg(definition, name))
    header = types.types["std_msgs/msg/Header"](0, types.types["builtin_interfaces/msg/Time"](1, 2), "davis")
    raw = bytes(types.serialize_ros1(event_array(types.types, header, events(0), width=32), DVS_EVENTS))
    array = events_from_ros1_event_array(raw)
    assert (array.stamp_ns, array.size, len(array.events)) == (S + 2, (32, 48), (events(0).x < 32).sum())
    assert array.out_of_bounds == (events(0).x >= 32).sum()
    for damaged in (raw[:-1], raw[:30], raw[:5], raw + b"\0"):
        with pytest.raises(InputError, match="EventArray"):
            events_from_ros1_event_array(damaged)


def test_ros1_messages_come_as_ros2_ones(ros1_bag):
    raw = list(BagRecording(ros1_bag).raw_messages({"/dvs/events", "/dvs/camera_info"}))
    assert [topic for topic, _, _ in raw] == ["/dvs/events", "/dvs/camera_info"] * 3
    types = get_typestore(Stores.LATEST)
    for name, definition in DVS_DEFINITIONS.items():
        types.register(get_types_from_msg(definition, name))
    message = types.deserialize_cdr(raw[0][2], DVS_EVENTS)
    assert [event.x for event in message.events] == events(0).x.tolist()
    assert BagRecording(ros1_bag).camera_info().k[0] == 30.0


def test_a_damaged_ros1_bag(ros1_bag, tmp_path):
    (tmp_path / "cut.bag").write_bytes(ros1_bag.read_bytes()[:3000])
    (tmp_path / "text.bag").write_text("not\na bag")
    for name in ("cut.bag", "text.bag"):
        with pytest.raises(RecordingError, match=f"{name} is not a readable bag") as error:
            list(BagRecording(tmp_path / name).messages())
        assert "\n" not in str(error.value)
