import tracemalloc

import numpy as np
import pytest
from rosbags.rosbag2 import Reader, StoragePlugin, Writer

from rehdr_ros.events import Events, Packet, make_decoder, make_encoder
from rehdr_ros.recordings import BagRecording, BagWriter, Calibration, Exposure, Frame, RecordingError
from rehdr_ros.recordings.bag_types import COMPRESSED, DVS_EVENTS, EVENTS, EXPOSURE, IMAGE

STAMP = 1_700_000_000 * 10**9 + 123_456_789
EVENT_PACKET_HASH = "RIHS01_d6fa176260b1f37e5a40845305315e150a0f18191241eb64f407442aa29844aa"
IMAGE_HASH = "RIHS01_d31d41a9a4c4bc8eae9be757b0beed306564f7526c88ea6a4588fb9582527d47"


def packet(seq):
    data = np.random.default_rng(seq).integers(0, 256, 101 + seq, np.uint8).tobytes()
    return Packet(STAMP + seq * 10**6, 640, 480, seq, 2**63 + seq, "evt3", data, seq % 2 == 1)


def image(seed):
    return np.random.default_rng(seed).integers(0, 256, (48, 64, 3), np.uint8)


def write(path, *topics, count=3):
    with BagWriter(path) as bag:
        for k in range(count):
            for topic in topics:
                if "events" in topic:
                    bag.write_packet(topic, packet(k), "event_camera")
                else:
                    bag.write_image(topic, STAMP + k * 10**6, "camera", image(k), "bgr8")
    return path


@pytest.fixture
def bag(tmp_path):
    return write(tmp_path / "bag", "/event_camera/events", "/camera/image_raw")


def test_what_is_written_is_read_in_its_order(bag):
    messages = list(BagRecording(bag).messages())
    assert [type(message) for message in messages] == [Packet, Frame] * 3
    for k in range(3):
        read, frame = messages[2 * k : 2 * k + 2]
        written = packet(k)
        assert bytes(read.data) == written.data
        for field in ("stamp_ns", "width", "height", "seq", "time_base", "encoding", "is_bigendian"):
            assert getattr(read, field) == getattr(written, field)
        assert (frame.stamp_ns, frame.frame_id) == (STAMP + k * 10**6, "camera")
        np.testing.assert_array_equal(frame.image, image(k))


def test_packets_and_frames_alone(bag):
    recording = BagRecording(bag)
    assert [p.seq for p in recording.packets()] == [0, 1, 2]
    assert [f.stamp_ns for f in recording.frames()] == [STAMP, STAMP + 10**6, STAMP + 2 * 10**6]
    assert recording.encoding == "evt3"


def test_a_bag_tells_its_topics(bag):
    recording = BagRecording(bag)
    assert recording.topics == {"/camera/image_raw": (IMAGE, 3), "/event_camera/events": (EVENTS, 3)}
    assert recording.topics["/camera/image_raw"].type == IMAGE


def test_the_file_of_a_bag_will_do(bag):
    assert len(list(BagRecording(bag / "bag.mcap").messages())) == 6


def test_a_bag_without_metadata_will_do(bag):
    (bag / "metadata.yaml").unlink()
    assert len(list(BagRecording(bag).messages())) == 6


def test_the_camera_s_own_images_are_preferred(tmp_path):
    derived = "/a/hdr/image_raw", "/a/tonemapped/image_raw", "/ground_truth/hdr/image_raw"
    path = write(tmp_path / "bag", *derived, "/right/image_raw", "/left/image_raw", "/events")
    recording = BagRecording(path)
    assert recording.image_topic == "/left/image_raw"
    assert recording.image_topics == ["/left/image_raw", "/right/image_raw", *derived]
    assert BagRecording(path, image_topic=derived[0]).image_topic == derived[0]


def test_pictures_come_before_what_tells_of_their_pixels(tmp_path):
    topics = ["/hdr/image_raw", "/tonemapped/image_raw", "/hdr/cause", "/hdr/uncertainty"]
    assert BagRecording(write(tmp_path / "bag", *topics)).image_topics == topics


def test_events_of_several_cameras(tmp_path):
    path = write(tmp_path / "bag", "/b/events", "/a/events")
    assert BagRecording(path).events_topics == ["/a/events", "/b/events"]
    assert BagRecording(path).events_topic == "/a/events"
    assert BagRecording(path, events_topic="/b/events").events_topic == "/b/events"


def test_frames_of_another_topic(tmp_path):
    path = write(tmp_path / "bag", "/camera/image_raw")
    with BagWriter(tmp_path / "truth") as bag:
        bag.write_image("/ground_truth/hdr/image_raw", 5, "", np.ones((4, 6, 3), np.float32), "32FC3")
        bag.write_image("/camera/image_raw", 5, "", image(0), "rgb8")
    (frame,) = BagRecording(tmp_path / "truth").frames("/ground_truth/hdr/image_raw")
    assert (frame.stamp_ns, frame.image.dtype, frame.image.shape) == (5, np.float32, (4, 6, 3))
    with pytest.raises(RecordingError, match="/ground_truth/hdr/image_raw"):
        BagRecording(path).frames("/ground_truth/hdr/image_raw")


@pytest.mark.parametrize(
    "topics, options, complaint",
    [
        (["/image"], {}, f"no topic of type {EVENTS} or {DVS_EVENTS}; it has /image"),
        (["/events"], {}, f"no topic of type {IMAGE} or {COMPRESSED}; it has /events"),
        (["/events", "/image"], {"events_topic": "/image"}, f"no topic /image of type {EVENTS} .*; it has"),
        (["/events", "/image"], {"image_topic": "/gone"}, f"no topic /gone of type {IMAGE} or .*; it has"),
    ],
)
def test_missing_topics_are_named_with_what_is_there(tmp_path, topics, options, complaint):
    path = write(tmp_path / "bag", *topics)
    with pytest.raises(RecordingError, match=complaint) as error:
        BagRecording(path, **options).messages()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("damage", ["missing", "empty folder", "text.mcap", "text.db3", "text.txt", "cut"])
def test_what_is_no_bag_is_refused_in_one_line(tmp_path, bag, damage):
    path = tmp_path / damage
    if damage == "empty folder":
        path.mkdir()
    elif damage.startswith("text"):
        path.write_text("not\na bag")
    elif damage == "cut":
        path = bag / "bag.mcap"
        path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(RecordingError) as error:
        BagRecording(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_damage_within_a_bag_raises_nothing_but_recording_errors(tmp_path, storage):
    write(tmp_path / "whole", "/events", count=200)
    plugin = StoragePlugin[storage.upper()]
    with (
        Reader(tmp_path / "whole") as reader,
        Writer(tmp_path / "bag", version=8, storage_plugin=plugin) as bag,
    ):
        (source,) = reader.connections
        topic = bag.add_connection("/events", EVENTS, msgdef=source.msgdef.data, rihs01=source.digest)
        for _, stamp_ns, raw in reader.messages():
            bag.write(topic, stamp_ns, raw)
    (file,) = (entry for entry in (tmp_path / "bag").iterdir() if entry.suffix != ".yaml")
    whole, random, failures = file.read_bytes(), np.random.default_rng(0), 0
    for _ in range(60):
        damaged = np.frombuffer(whole, np.uint8).copy()
        at = random.integers(0, len(whole) - 500)
        damaged[at : at + 500] = random.integers(0, 256, 500)
        file.write_bytes(damaged.tobytes())
        for path in (file, file.parent):
            try:
                list(BagRecording(path).packets())
            except RecordingError:
                failures += 1
    assert failures < 120  # what is readable is read


def test_an_existing_bag_is_not_overwritten(bag):
    with pytest.raises(RecordingError, match="exists"):
        BagWriter(bag)


def test_a_topic_keeps_its_type(tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        bag.write_packet("/topic", packet(0), "")
        with pytest.raises(RecordingError, match=EVENTS):
            bag.write_image("/topic", 0, "", image(0), "rgb8")


def test_types_carry_the_hashes_that_ros_knows(bag):
    with Reader(bag) as reader:
        digests = {connection.msgtype: connection.digest for connection in reader.connections}
    assert digests == {EVENTS: EVENT_PACKET_HASH, IMAGE: IMAGE_HASH}


def test_the_same_messages_make_the_same_file(tmp_path, bag):
    again = write(tmp_path / "again" / "bag", "/event_camera/events", "/camera/image_raw")
    for name in ("bag.mcap", "metadata.yaml"):
        assert (again / name).read_bytes() == (bag / name).read_bytes()


def test_memory_stays_flat(tmp_path):
    def peak(count):
        path = write(tmp_path / str(count), "/image", count=count)
        tracemalloc.start()
        for _ in BagRecording(path).frames():
            pass
        return tracemalloc.get_traced_memory()[1], tracemalloc.stop()

    peak(10)
    assert peak(2000)[0] < peak(500)[0] + 2_000_000  # 18 against 4.6 MB of images


@pytest.mark.parametrize(
    "name, encoding, count",
    [
        ("evt3_640x480", "evt3", 517),
        ("libcaer_640x480_rollover", "libcaer", 201),
        ("libcaer_cmp_346x260", "libcaer_cmp", 100),
    ],
)
def test_real_bags(shared, name, encoding, count):
    recording = BagRecording(shared / "data/bags" / name)
    assert recording.encoding == encoding
    assert recording.topics == {"/event_camera/events": (EVENTS, count)}
    packets = list(recording.packets())
    assert [p.seq - packets[0].seq for p in packets] == list(range(count))


def test_events_of_a_simulated_stream(tmp_path, assert_same_events):
    encoder = make_encoder("evt3", 64, 48)
    parts = [
        Events(np.arange(k, k + 50) * 1000, np.arange(50), np.arange(50) % 48, np.arange(50) % 2)
        for k in (0, 100)
    ]
    with BagWriter(tmp_path / "bag") as bag:
        for part in parts:
            bag.write_packet("/events", encoder.encode(part), "event_camera")
    decoder = make_decoder("evt3", 64, 48)
    decoded = [decoder.decode(p) for p in BagRecording(tmp_path / "bag").packets()]
    assert_same_events(Events.concatenate(decoded), Events.concatenate(parts))


def camera_info(bag, width, height, focal):
    kind = bag.types["sensor_msgs/msg/CameraInfo"]
    header = bag.types["std_msgs/msg/Header"](bag.types["builtin_interfaces/msg/Time"](1, 0), "")
    roi = bag.types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    k = np.array([focal, 0, width / 2, 0, focal, height / 2, 0, 0, 1.0])
    arrays = (np.zeros(5), k, np.eye(3).ravel(), np.zeros(12))
    return kind(header, height, width, "plumb_bob", *arrays, 0, 0, roi)


def test_calibrations_come_where_they_are_asked_for(tmp_path):
    write(tmp_path / "bag", "/event_camera/events", "/camera/image_raw")
    with BagWriter(tmp_path / "calibrated") as bag:
        for topic, size in (("/camera/camera_info", (64, 48)), ("/event_camera/camera_info", (640, 480))):
            bag.write(topic, "sensor_msgs/msg/CameraInfo", camera_info(bag, *size, focal=size[0] / 2), STAMP)
        for k in range(2):
            bag.write_packet("/event_camera/events", packet(k), "event_camera")
            bag.write_image("/camera/image_raw", STAMP + k * 10**6, "camera", image(k), "bgr8")
    messages = list(BagRecording(tmp_path / "calibrated").messages(cameras=True))
    cameras = {m.of: (m.camera.width, m.camera.matrix[0]) for m in messages if isinstance(m, Calibration)}
    assert cameras == {"frames": (64, 32), "events": (640, 320)}
    assert [type(m) for m in messages[:2]] == [Calibration] * 2
    assert not any(isinstance(m, Calibration) for m in BagRecording(tmp_path / "calibrated").messages())
    with pytest.raises(RecordingError, match="/event_camera/camera_info"):
        list(BagRecording(tmp_path / "bag").messages(cameras=True))


def test_a_camera_info_is_written_again_under_another_header(tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        bag.write_image("/camera/image_raw/compressed", STAMP, "camera", image(0), "bgr8")
        bag.write("/camera/camera_info", "sensor_msgs/msg/CameraInfo", camera_info(bag, 64, 48, 30.0), STAMP)
    found = BagRecording(tmp_path / "bag").camera_info()
    with BagWriter(tmp_path / "copy") as bag:
        bag.write_camera_info("/hdr/camera_info", STAMP + 5, "hdr", found)
    (copy,) = BagRecording(tmp_path / "copy").read("/hdr/camera_info")
    assert (copy.width, copy.k[0], copy.header.frame_id) == (64, 30.0, "hdr")
    assert copy.header.stamp.sec * 10**9 + copy.header.stamp.nanosec == STAMP + 5
    assert BagRecording(write(tmp_path / "bare", "/image")).camera_info() is None


def test_one_calibration_serves_both_of_one_camera(tmp_path):
    with BagWriter(tmp_path / "davis") as bag:
        bag.write_packet("/davis/events", packet(0), "davis")
        bag.write_image("/davis/image_raw", STAMP, "davis", image(0), "bgr8")
        info = camera_info(bag, 64, 48, 30.0)
        bag.write("/davis/camera_info", "sensor_msgs/msg/CameraInfo", info, STAMP + 1)
    messages = list(BagRecording(tmp_path / "davis").messages(cameras=True))
    assert [m.of for m in messages if isinstance(m, Calibration)] == ["events", "frames"]
    assert len(messages) == 4


def test_the_encoding_and_what_lies_beside_choose_the_topic(tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        depth, black = np.ones((48, 64), np.float32), np.zeros((48, 64, 3), np.uint8)
        for k in range(2):
            bag.write_packet("/event_camera/events", packet(k), "event_camera")
            bag.write_image("/a/depth/image", STAMP + k, "a", depth, "32FC1")
            bag.write_image("/a/renderer/image_raw", STAMP + k, "a", black, "rgb8")
            bag.write_image("/z/front/image_raw", STAMP + k, "z_optical", image(k), "bgr8")
        info = camera_info(bag, 64, 48, 30.0)
        info.header.frame_id = "z_optical"
        bag.write("/z/calibration", "sensor_msgs/msg/CameraInfo", info, STAMP)
    recording = BagRecording(tmp_path / "bag")
    sources = recording.sources(cameras=True)
    assert sources.used["frames"] == ["/z/front/image_raw"]
    assert sources.used["camera_info"] == ["/z/calibration"]
    assert sources.candidates == ["/a/renderer/image_raw", "/a/depth/image"]
    assert sources.others == sorted(sources.candidates)
    assert recording.camera_info().width == 64


def test_damaged_first_images_do_not_decide(tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        header = bag.types["std_msgs/msg/Header"](bag.types["builtin_interfaces/msg/Time"](1, 2), "")
        empty = bag.types[IMAGE](header, 0, 0, "", 0, 0, np.zeros(0, np.uint8))
        for k in range(20):
            bag.write("/z/image", IMAGE, empty, STAMP + k)
        for k in range(20, 22):
            bag.write_image("/a/image", STAMP + k, "", np.ones((48, 64), np.float32), "32FC1")
            bag.write_image("/z/image", STAMP + k, "", image(k), "bgr8")
    assert BagRecording(tmp_path / "bag").image_topic == "/z/image"


def test_exposures_of_another_camera_are_left_alone(tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        bag.write_packet("/events", packet(0), "")
        for name in ("left", "right"):
            header = bag.types["std_msgs/msg/Header"](bag.types["builtin_interfaces/msg/Time"](1, 0), "")
            told = bag.types[EXPOSURE](header, 0.01 if name == "left" else 0.02, 1.0)
            bag.write(f"/{name}/exposure", EXPOSURE, told, STAMP)
            bag.write_image(f"/{name}/image_raw", STAMP, "", image(0), "bgr8")
    messages = BagRecording(tmp_path / "bag", image_topic="/right/image_raw").messages()
    assert [m.effective_time_s for m in messages if isinstance(m, Exposure)] == [pytest.approx(0.02)]
