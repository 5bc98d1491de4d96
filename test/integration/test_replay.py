"""rehdr replay, as a process."""

import signal
import subprocess
import time

import numpy as np
import pytest
from live import PATIENCE, console
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.rosbag2 import StoragePlugin, Writer
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import String

from rehdr_ros.recordings import BagRecording, BagWriter
from rehdr_ros.recordings.bag_types import EVENTS, IMAGE, typestore

S = 10**9
STAMP = 1_700_000_000 * S
IMAGE_TOPIC = "/camera/image_raw"
GREY = np.full((24, 32, 3), 128, np.uint8)


@pytest.fixture
def replay(simulated_bag):
    """A function that starts the replay of a bag, by default the simulated one."""
    started = []

    def replay(*options: str, bag=simulated_bag) -> subprocess.Popen:
        command = [*console("rehdr"), "replay", str(bag), *options]
        started.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield replay
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("chosen", [("--topics", IMAGE_TOPIC), ("--exclude", "/event_camera/*")])
def test_clock_and_chosen_topics_are_published_until_the_end_of_the_bag(
    client, replay, simulated_bag, chosen
):
    process = replay("--clock", *chosen, "--wait", str(PATIENCE))
    images = client.collect(Image, IMAGE_TOPIC)
    clock = client.collect(Clock, "/clock")
    assert client.wait_until(lambda: process.poll() is not None)
    assert process.returncode == 0
    assert len(images) == len(list(BagRecording(simulated_bag).frames()))
    assert client.wait_until(lambda: clock and clock[-1].clock == images[-1].header.stamp)
    assert client.count_publishers("/event_camera/events") == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_signals_end_a_loop_with_zero(client, replay, simulated_bag, number):
    process = replay("--loop", "--rate", "20", "--topics", IMAGE_TOPIC, "--wait", str(PATIENCE))
    images = client.collect(Image, IMAGE_TOPIC)
    assert client.wait_until(lambda: len(images) > 2 * len(list(BagRecording(simulated_bag).frames())))
    while process.poll() is None:
        process.send_signal(number)
        time.sleep(0.02)
    assert process.returncode == 0
    assert "Traceback" not in process.stderr.read()


def test_ros_that_cannot_start_is_one_line(replay, monkeypatch):
    monkeypatch.setenv("ROS_LOG_DIR", "/dev/null/log")
    process = replay()
    assert process.wait(timeout=PATIENCE) == 2
    (line,) = process.stderr.read().splitlines()
    assert line.startswith("rehdr replay: cannot start ROS: ") and "/dev/null/log" in line


def test_it_starts_for_listeners_of_other_topics_than_the_guessed_ones(client, replay, tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        for k in range(3):
            for camera in ("camera", "rear/camera"):
                bag.write_image(f"/{camera}/image_raw", STAMP + k * S // 10, camera, GREY, "rgb8")
    process = replay("--wait", str(PATIENCE), bag=tmp_path / "bag")
    images = client.collect(Image, "/rear/camera/image_raw")
    assert client.wait_until(lambda: process.poll() is not None)
    assert len(images) == 3 and "nobody subscribes" not in process.stderr.read()


def test_it_says_for_whom_it_waits(client, replay):
    client.forget()
    process = replay("--topics", IMAGE_TOPIC, "--wait", "12")
    assert process.wait(timeout=PATIENCE) == 0
    said = process.stderr.read()
    assert "waiting, 12 s at most, for a subscriber of /camera/image_raw" in said
    assert "nobody subscribes to /camera/image_raw" in said


@pytest.fixture
def bag_of_a_foreign_type(simulated_bag, tmp_path):
    """Its images are as everywhere; its packets are of a package that is not installed."""
    source, kind = BagRecording(simulated_bag), "foreign_msgs/msg/Packet"
    with BagWriter(tmp_path / "bag") as bag:
        bag.register(kind, typestore().generate_msgdef(EVENTS, ros_version=2)[0])
        for topic, log_ns, raw in source.raw_messages({source.events_topic, source.image_topic}):
            bag.write_raw(topic, IMAGE if topic == source.image_topic else kind, raw, log_ns)
    assert BagRecording(tmp_path / "bag").events_topic == source.events_topic
    return tmp_path / "bag"


def test_what_is_not_installed_is_left_out(client, replay, bag_of_a_foreign_type):
    client.forget()
    process = replay("--wait", str(PATIENCE), bag=bag_of_a_foreign_type)
    images = client.collect(Image, IMAGE_TOPIC)
    assert client.wait_until(lambda: process.poll() is not None)
    said = process.stderr.read()
    assert process.returncode == 0, said
    assert len(images) == len(list(BagRecording(bag_of_a_foreign_type).frames()))
    assert "/event_camera/events left out: foreign_msgs/msg/Packet is not installed" in said


def test_a_bag_of_which_nothing_can_be_played_is_refused(replay, bag_of_a_foreign_type):
    process = replay("--topics", "/event_camera/events", bag=bag_of_a_foreign_type)
    assert process.wait(timeout=PATIENCE) == 2
    reason, refusal = process.stderr.read().splitlines()
    assert "foreign_msgs/msg/Packet is not installed" in reason
    assert refusal == f"rehdr replay: nothing of {bag_of_a_foreign_type} is left to play"


def test_what_ros_1_has_otherwise_is_left_out(client, replay, tmp_path):
    client.forget()
    store, kind, odd = typestore(ros1=True), "sensor_msgs/msg/Range", "/camera/0/image_raw"
    header = store.types["std_msgs/msg/Header"](0, store.types["builtin_interfaces/msg/Time"](12, 0), "")
    image = store.types[IMAGE](header, *GREY.shape[:2], "rgb8", 0, 3 * GREY.shape[1], GREY.reshape(-1))
    with Ros1Writer(tmp_path / "ros1.bag") as bag:
        kinds = {IMAGE_TOPIC: IMAGE, "/sonar": kind, odd: IMAGE}
        topics = {name: bag.add_connection(name, each, typestore=store) for name, each in kinds.items()}
        for k in range(3):
            for name, each in topics.items():
                raw = b"as ROS 1 had it" if name == "/sonar" else store.serialize_ros1(image, IMAGE)
                bag.write(each, STAMP + k * S // 10, raw)
    process = replay("--wait", str(PATIENCE), bag=tmp_path / "ros1.bag")
    images = client.collect(Image, IMAGE_TOPIC)
    assert client.wait_until(lambda: process.poll() is not None)
    said = process.stderr.read()
    assert process.returncode == 0 and len(images) == 3, said
    assert f"{odd} left out: ROS 2 takes no such name" in said
    assert said.count(f"/sonar: what is no ROS 2 {kind} is left out: ") == 1


def test_it_says_what_the_bag_lacks(client, replay, simulated_bag, tmp_path):
    client.forget()
    (file,) = simulated_bag.glob("*.mcap")
    whole = file.read_bytes()
    (tmp_path / "cut.mcap").write_bytes(whole[: len(whole) // 2])
    process = replay("--wait", "0", "--rate", "100", bag=tmp_path / "cut.mcap")
    assert process.wait(timeout=PATIENCE) == 0
    assert process.stderr.read().count("cut.mcap ends early, at byte ") == 1


def test_the_clock_of_the_replay_is_the_only_one(client, replay, tmp_path):
    client.forget()
    picture, kind = np.zeros((4, 4, 3), np.uint8), "rosgraph_msgs/msg/Clock"
    with BagWriter(tmp_path / "bag") as bag:
        for k in range(3):
            at, simulated = STAMP + k * S // 10, bag.types["builtin_interfaces/msg/Time"](12 + k, 0)
            bag.write("/clock", kind, bag.types[kind](simulated), at)
            bag.write_image(IMAGE_TOPIC, at, "camera", picture, "rgb8")
    process = replay("--clock", "--wait", str(PATIENCE), bag=tmp_path / "bag")
    clock = client.collect(Clock, "/clock")
    client.collect(Image, IMAGE_TOPIC)
    assert client.wait_until(lambda: process.poll() is not None)
    assert process.returncode == 0
    client.spin(0.5)
    assert {message.clock.sec for message in clock} == {STAMP // S}
    assert "/clock left out" in process.stderr.read()


def test_who_comes_late_gets_what_was_latched(client, replay, tmp_path):
    late = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    latched = {
        "/robot_description": QosDurability.TRANSIENT_LOCAL,
        "/robot/tf_static": QosDurability.VOLATILE,
    }
    write_texts(tmp_path / "bag", {"/status": QosDurability.VOLATILE, **latched})
    replay("--wait", "0", bag=tmp_path / "bag")
    assert client.wait_until(lambda: client.count_publishers("/status"))
    client.spin(2.0)
    texts = []
    for topic in latched:
        client.create_subscription(String, topic, lambda message: texts.append(message.data), late)
    assert client.wait_until(lambda: len(texts) == len(latched), 20.0)
    assert sorted(texts) == sorted(latched)
    (status,) = client.get_publishers_info_by_topic("/status")
    assert status.qos_profile.durability == DurabilityPolicy.VOLATILE


def write_texts(path, topics: dict[str, QosDurability]) -> None:
    """Each topic's name as its only message, and a minute later one more."""
    types, kind, zero = typestore(), "std_msgs/msg/String", QosTime(0, 0)
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as bag:
        for topic, durability in topics.items():
            profile = QosHistory.KEEP_LAST, 1, QosReliability.RELIABLE, durability, zero, zero
            profile = Qos(*profile, QosLiveliness.AUTOMATIC, zero, False)
            connection = bag.add_connection(topic, kind, typestore=types, offered_qos_profiles=[profile])
            text = types.serialize_cdr(types.types[kind](topic), kind)
            bag.write(connection, STAMP, text)
        bag.write(connection, STAMP + 60 * S, text)
