"""Events of another camera's pixels find their place in the frames."""

import numpy as np
import pytest
from live import CAMERA_INFO, EVENT_CAMERA_INFO, Camera, Manager, Stream, stamp
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo

MATRIX = [30.0, 0.0, 31.5, 0.0, 30.0, 23.5, 0.0, 0.0, 1.0]
GREY, WHITE = np.full((48, 64, 3), 240, np.uint8), np.full((48, 64, 3), 255, np.uint8)


@pytest.fixture
def start_stream(start_node, client):
    """A function that starts a node and a camera before it."""
    nodes = []

    def start(**parameters) -> Stream:
        nodes.append(start_node(event_timeout=3.0, **parameters).wait_for("waiting for events"))
        return Stream(client, Camera(client))

    start.log = lambda: nodes[-1].log

    yield start
    for node in nodes:
        assert node.end() == 0, node.log
        assert "Traceback" not in node.log
    client.forget()


def brightest(stream: Stream) -> tuple[int, int]:
    """Column and row of the brightest pixel after ON events at (20, 20) while everything clips."""
    at = stream.camera.now
    stream.camera.events(*(at + 5_000_000 * k for k in range(1, 11)))
    radiance = stream.radiance(stream.send(WHITE))[..., 1]
    row, column = np.unravel_index(np.argmax(radiance), radiance.shape)
    assert radiance[row, column] > 1.1 * np.median(radiance)
    return int(column), int(row)


def test_a_homography_moves_the_events(start_stream):
    homography = "[1.0, 0.0, 12.0, 0.0, 1.0, -5.0, 0.0, 0.0, 1.0]"
    stream = start_stream(registration="homography", homography=homography)
    stream.send(GREY)
    assert brightest(stream) == (32, 15)


def test_another_resolution_is_scaled_and_said_once(start_stream):
    stream = start_stream()
    for _ in range(3):
        stream.send(np.full((24, 32, 3), 240, np.uint8))
    at = stream.camera.now
    stream.camera.events(*(at + 2_000_000 * k for k in range(1, 41)))
    radiance = stream.radiance(stream.send(np.full((24, 32, 3), 255, np.uint8)))[..., 1]
    assert np.unravel_index(np.argmax(radiance), radiance.shape) == (10, 10)
    assert start_stream.log().count("events of (64, 48) and frames of (32, 24) pixels") == 1


WHOLE = {"width": 64, "height": 48, "k": MATRIX}
BINNED = {
    "width": 128,
    "height": 96,
    "k": [2 * k for k in MATRIX[:8]] + [1.0],
    "binning_x": 2,
    "binning_y": 2,
}


@pytest.mark.parametrize("events_info", [WHOLE, BINNED], ids=["whole", "binned"])
def test_camera_infos_are_awaited_and_then_followed(start_stream, client, events_info):
    stream = start_stream(registration="camera_info")
    topics = (CAMERA_INFO, EVENT_CAMERA_INFO)
    infos = {topic: client.create_publisher(CameraInfo, topic, 10) for topic in topics}
    assert client.wait_until(lambda: all(publisher.get_subscription_count() for publisher in infos.values()))
    stream.send(GREY)
    at = stream.camera.now
    stream.camera.events(*(at + 5_000_000 * k for k in range(1, 11)))
    blind = stream.radiance(stream.send(WHITE))
    assert np.ptp(blind) < 1e-2 * blind.min(), "no event moves a pixel"

    moved = [30.0, 0.0, 41.5, 0.0, 30.0, 27.5, 0.0, 0.0, 1.0]
    infos[EVENT_CAMERA_INFO].publish(CameraInfo())  # not calibrated: refused
    infos[EVENT_CAMERA_INFO].publish(CameraInfo(**events_info))
    infos[CAMERA_INFO].publish(CameraInfo(width=64, height=48, k=moved))
    client.spin(0.5)
    stream.send(GREY)
    assert brightest(stream) == (30, 24)


def test_camera_infos_that_were_published_once_before_the_node_came_are_known(start_stream, client):
    """And wait till `registration` asks for them."""
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    moved = [30.0, 0.0, 41.5, 0.0, 30.0, 27.5, 0.0, 0.0, 1.0]
    for topic, matrix in ((EVENT_CAMERA_INFO, MATRIX), (CAMERA_INFO, moved)):
        client.create_publisher(CameraInfo, topic, latched).publish(CameraInfo(width=64, height=48, k=matrix))
    stream = start_stream()
    client.spin(3.0)
    stream.send(GREY)
    assert brightest(stream) == (20, 20)
    assert Manager(client).set("registration", "camera_info").successful
    stream.send(GREY)
    assert brightest(stream) == (30, 24)


def test_a_camera_info_that_was_published_once_goes_with_outputs_between_the_frames(start_stream, client):
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    client.create_publisher(CameraInfo, CAMERA_INFO, latched).publish(
        CameraInfo(width=64, height=48, k=MATRIX)
    )
    camera = start_stream(output_rate=100.0).camera
    infos = client.collect(CameraInfo, "/hdr/camera_info")
    client.spin(3.0)
    at = camera.step(0.05)
    camera.image(at, GREY, "rgb8")
    camera.events(*(at + 5_000_000 * k for k in range(10)))
    assert client.wait_until(lambda: infos)
    assert list(infos[0].k) == MATRIX and stamp(infos[0]) % 10_000_000 == 0
