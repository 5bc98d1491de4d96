"""What becomes of messages between the processes: QoS that does not fit, loss, and no work for nobody.

As a script it is a camera driver: FRAMES images of 640x480, best effort, HZ a second.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import pytest
from live import EVENTS, IMAGE, PATIENCE, Camera, Diagnosis, rclpy, stamp
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from rehdr_ros.msg import FrameInfo

FRAMES, HZ = 60, 30.0
# Whichever this Fast DDS reads.
PROFILES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
LAZY_SECONDS = 5.0  # in which a lazy node that looks five times a second must have noticed


@pytest.fixture
def start(start_node, client):
    """A function that starts a node for one test."""
    nodes = []

    def start(**parameters):
        nodes.append(start_node(**parameters).wait_for("waiting for events"))
        return nodes[-1]

    yield start
    for node in nodes:
        assert node.end() == 0, node.log
        assert "Traceback" not in node.log
    client.forget()


def reliability(endpoints: list) -> ReliabilityPolicy:
    (endpoint,) = endpoints
    return endpoint.qos_profile.reliability


def test_quality_of_service_that_does_not_fit_is_said_with_advice(start, client):
    node = start(input_reliability="reliable")
    camera = Camera(client)
    said = {topic: f"a publisher on {topic} offers less than this node asks for" for topic in (IMAGE, EVENTS)}
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    client.create_subscription(Image, "/hdr/image_raw", lambda image: None, latched)
    assert client.wait_until(lambda: all(text in node.log for text in said.values()))
    for text in said.values():
        (line,) = [line for line in node.log.splitlines() if text in line]
        assert "reliability; set input_reliability to best_effort here" in line
    node.wait_for(
        "a subscriber of /hdr/image_raw asks for more than is offered, so it gets nothing: durability"
    )
    assert "set qos_overrides./hdr/image_raw.publisher.durability here" in node.log
    camera.frame()
    assert client.count_publishers(IMAGE) == 1 and node.alive()


def test_quality_of_service_of_an_output_can_be_overridden(start, client):
    overrides = {
        "qos_overrides./hdr/image_raw.publisher.reliability": "best_effort",
        "qos_overrides./tonemapped/image_raw.publisher.durability": "transient_local",
    }
    start(event_timeout=0.01, **overrides)
    assert client.wait_until(lambda: client.count_publishers("/tonemapped/image_raw"))
    assert reliability(client.get_publishers_info_by_topic("/hdr/image_raw")) == ReliabilityPolicy.BEST_EFFORT
    publishers = client.get_publishers_info_by_topic("/tonemapped/image_raw")
    assert reliability(publishers) == ReliabilityPolicy.RELIABLE

    images: list[Image] = []
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    client.create_subscription(Image, "/tonemapped/image_raw", images.append, latched)
    infos = client.collect(FrameInfo, "/rehdr_node/frame_info")
    camera = Camera(client)
    camera.wait_for_listener()
    at = camera.frame()
    assert client.wait_until(lambda: images and infos)
    assert stamp(images[0]) == at
    late: list[Image] = []
    client.create_subscription(Image, "/tonemapped/image_raw", late.append, latched)
    assert client.wait_until(lambda: late), "what was published before is kept for late subscribers"


def film(client, **environment: str | None) -> None:
    """Run the camera driver in a process of its own, with variables that are changed, or unset where None."""
    variables = {name: value for name, value in {**os.environ, **environment}.items() if value is not None}
    driver = subprocess.Popen([sys.executable, __file__], env=variables)
    try:
        assert client.wait_until(lambda: driver.poll() is not None)
        assert driver.returncode == 0
    finally:
        driver.kill()
        driver.wait()


def test_images_lost_in_transport_are_counted_and_the_remedy_is_named_and_works(start, client):
    if rclpy.get_rmw_implementation_identifier() != "rmw_fastrtps_cpp":
        pytest.skip("only Fast DDS has too little shared memory for images")
    node = start(event_timeout=0.01, image_depth=FRAMES)
    diagnosis = Diagnosis(client)
    infos = client.collect(FrameInfo, "/rehdr_node/frame_info")

    film(client)
    assert client.wait_until(lambda: infos and infos[-1].index + 1 + infos[-1].skipped_frames == FRAMES), (
        "not every frame came"
    )
    assert diagnosis.counts()["frames: transport lost frames"] == 0
    assert "lost in transport" not in node.log

    film(client, **dict.fromkeys(PROFILES))
    status = diagnosis.says("frames", "transport lost frames")
    assert status.level > status.OK
    assert 0 < diagnosis.counts()["frames: transport lost frames"] <= FRAMES
    (line, *_) = [line for line in node.log.splitlines() if "lost in transport" in line]
    assert IMAGE in line and "config/fastdds_shm.xml" in line


def test_lazy_node_subscribes_only_while_somebody_subscribes_to_it(start, client):
    start(lazy=True, event_timeout=3.0)

    def subscribed() -> int:
        return client.count_subscribers(IMAGE) + client.count_subscribers(EVENTS)

    def within(condition: Callable[[], bool]) -> bool:
        return client.wait_until(condition, LAZY_SECONDS)

    assert client.wait_until(lambda: client.count_publishers("/hdr/image_raw") == 1)
    client.spin(2.0)  # in which it would have subscribed
    assert not subscribed()

    camera = Camera(client)
    for reason in ("activation", "nobody subscribed"):
        infos: list[FrameInfo] = []
        subscription = client.create_subscription(FrameInfo, "/rehdr_node/frame_info", infos.append, 10)
        assert within(lambda: subscribed() == 2)
        camera.wait_for_listener()
        at = camera.frame()
        assert client.wait_until(lambda infos=infos: infos), "no frame came back"
        assert (stamp(infos[0]), infos[0].reset_reason) == (at, reason)
        client.destroy_subscription(subscription)
        assert within(lambda: not subscribed())


def drive() -> None:
    """Publish FRAMES images once somebody listens."""
    rclpy.init()
    node = rclpy.create_node("driver")
    qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
    images = node.create_publisher(Image, IMAGE, qos)
    deadline = time.monotonic() + PATIENCE
    while not images.get_subscription_count() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.0)  # discovery runs both ways
    message = Image(height=480, width=640, encoding="rgb8", step=3 * 640)
    message.data.frombytes(np.full(480 * 640 * 3, 128, np.uint8).tobytes())
    started = time.time_ns()
    for k in range(FRAMES):
        at = started + round(k / HZ * 1e9)
        time.sleep(max(0.0, (at - time.time_ns()) * 1e-9))
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(at, 10**9)
        images.publish(message)
    time.sleep(0.5)
    rclpy.shutdown()


if __name__ == "__main__":
    drive()
