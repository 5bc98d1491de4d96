"""A recorded stream through rehdr_node: what comes out belongs to what went in and equals the offline run."""

import csv
import subprocess

import numpy as np
import pytest
from live import PATIENCE, console, pixels, stamp
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, Image

from rehdr_ros.msg import FrameInfo
from rehdr_ros.recordings import BagRecording, BagWriter, read_exr

OUTPUTS = {
    "hdr": (Image, "/hdr/image_raw"),
    "hdr_info": (CameraInfo, "/hdr/camera_info"),
    "tonemapped": (Image, "/tonemapped/image_raw"),
    "tonemapped_info": (CameraInfo, "/tonemapped/camera_info"),
    "info": (FrameInfo, "/rehdr_node/frame_info"),
}


@pytest.fixture(scope="module")
def bag(simulated_bag, tmp_path_factory) -> BagRecording:
    """The simulated bag with the camera's own CameraInfo before each frame."""
    path = tmp_path_factory.mktemp("with_camera_info") / "bag"
    source = BagRecording(simulated_bag)
    topics = {source.image_topic, source.events_topic}
    with BagWriter(path) as writer:
        for topic, stamp_ns, raw in source.raw_messages(topics):
            if topic == source.image_topic:
                lens = {"distortion_model": "plumb_bob", "d": [0.1, 0.2, 0.0, 0.0, 0.0]}
                camera_info = CameraInfo(width=64, height=48, **lens)
                camera_info.header.stamp.sec, camera_info.header.stamp.nanosec = divmod(stamp_ns, 10**9)
                camera_info.header.frame_id = "camera"
                info = serialize_message(camera_info)
                writer.write_raw("/camera/camera_info", "sensor_msgs/msg/CameraInfo", info, stamp_ns)
            writer.write_raw(topic, source.topics[topic].type, raw, stamp_ns)
    return BagRecording(path)


@pytest.fixture(scope="module")
def frames(bag) -> list:
    return list(bag.frames())


@pytest.fixture(scope="module")
def live(bag, frames, client, start_node) -> dict[str, list]:
    """What the node published while `rehdr replay` played the bag."""
    # However busy the machine is, no frame leaves without its events.
    node = start_node(policy="all", event_timeout=3.0).wait_for("waiting for events")
    received = {name: client.collect(kind, topic) for name, (kind, topic) in OUTPUTS.items()}
    replay = subprocess.Popen([*console("rehdr"), "replay", str(bag.path), "--wait", str(PATIENCE)])
    try:
        assert client.wait_until(lambda: replay.poll() is not None)
        client.wait_until(lambda: all(len(messages) >= len(frames) for messages in received.values()), 20)
        client.spin(0.5)  # for what should not come
    finally:
        replay.kill()
        replay.wait()
    assert replay.returncode == 0
    assert node.end() == 0
    assert f"stopped after {len(frames)} frames" in node.log.splitlines()[-1]
    return received


@pytest.fixture(scope="module")
def offline(bag, tiny_weights, tmp_path_factory):
    """The folder of `rehdr reconstruct` for the same bag."""
    folder = tmp_path_factory.mktemp("offline")
    command = [*console("rehdr"), "reconstruct", str(bag.path), "-o", str(folder)]
    subprocess.run([*command, "--weights", str(tiny_weights), "--device", "cpu"], check=True)
    return folder


@pytest.mark.parametrize("output", OUTPUTS)
def test_every_frame_comes_back_once_in_order_with_its_stamp_and_frame_id(live, frames, output):
    headers = [(stamp(message), message.header.frame_id) for message in live[output]]
    assert headers == [(frame.stamp_ns, frame.frame_id) for frame in frames]


def test_live_and_offline_give_the_same_radiance(live, offline, frames):
    for i, message in enumerate(live["hdr"]):
        expected = read_exr(offline / "hdr" / f"{i:06d}.exr")
        difference = np.linalg.norm(pixels(message) - expected) / np.linalg.norm(expected)
        assert difference < 1e-3, f"frame {i}"
    assert len(live["hdr"]) == len(frames)


def test_hdr_shows_what_the_camera_clipped(live):
    assert max(pixels(message).max() for message in live["hdr"]) > 1.5


def test_images_have_the_size_and_the_encodings_of_the_parameters(live):
    assert {(m.width, m.height, m.encoding) for m in live["hdr"]} == {(64, 48, "32FC3")}
    assert {(m.width, m.height, m.encoding) for m in live["tonemapped"]} == {(64, 48, "rgb8")}


def test_camera_info_is_passed_on_unchanged(live):
    for message in live["hdr_info"] + live["tonemapped_info"]:
        assert (message.width, message.height, message.distortion_model) == (64, 48, "plumb_bob")
        assert list(message.d) == [0.1, 0.2, 0.0, 0.0, 0.0]


def test_frame_info_counts_frames_and_names_the_scale(live, frames):
    infos = live["info"]
    assert [info.index for info in infos] == list(range(len(frames)))
    assert infos[0].reset_reason
    assert [info.reset_reason for info in infos[1:]] == [""] * (len(frames) - 1)
    assert {info.radiance for info in infos} == {"ldr_white"}
    assert all(info.dropped_events == info.lost_packets == info.skipped_frames == 0 for info in infos)
    assert all(info.latency > 0 for info in infos)


def test_frame_info_tells_the_same_as_frames_csv(live, offline):
    with open(offline / "frames.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    infos = live["info"]
    assert [info.events for info in infos] == [int(row["events"]) for row in rows]
    assert sum(info.events for info in infos) > 1000
    np.testing.assert_allclose(
        [info.clipped_fraction for info in infos], [float(row["clipped_fraction"]) for row in rows], atol=1e-5
    )
    for info in infos:
        assert len(info.stages) == len(info.stage_durations) > 0
        assert {f"{stage}_ms" for stage in info.stages if stage != "publish"} <= set(rows[0])
