"""hdr/uncertainty and hdr/cause: what `rehdr reconstruct --uncertainty` writes, and only for who subscribes."""

import subprocess

import numpy as np
import pytest
from live import PATIENCE, Manager, Stream, console, pixels, stamp
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from rehdr_ros.network import Rehdr, RehdrConfig, save_checkpoint
from rehdr_ros.products import NAMED
from rehdr_ros.recordings import BagRecording
from rehdr_ros.recordings.results.folder import read_picture

TOPICS = {"uncertainty": "/hdr/uncertainty", "cause": "/hdr/cause"}


@pytest.fixture
def clipped(camera) -> np.ndarray:
    """What the camera sees of a scene whose right half clips."""
    image = camera.grey()
    image[:, camera.width // 2 :] = 255
    return image


@pytest.fixture
def subscribe(client):
    """A function that listens to a topic, until the test ends; returns what came."""
    subscriptions = []

    def subscribe(topic: str) -> list[Image]:
        messages = []
        subscriptions.append(client.create_subscription(Image, topic, messages.append, QoSProfile(depth=100)))
        assert client.wait_until(lambda: client.count_publishers(topic)), f"nobody publishes {topic}"
        client.spin(1.0)  # discovery runs both ways
        return messages

    yield subscribe
    for subscription in subscriptions:
        client.destroy_subscription(subscription)


def test_live_is_what_offline_writes(client, start_node, subscribe, simulated_bag, tiny_weights, tmp_path):
    node = start_node(policy="all", event_timeout=3.0).wait_for("waiting for events")
    received = {name: subscribe(topic) for name, topic in TOPICS.items()}
    frames = list(BagRecording(simulated_bag).frames())
    subprocess.run([*console("rehdr"), "replay", str(simulated_bag), "--wait", str(PATIENCE)], check=True)
    assert client.wait_until(lambda: all(len(messages) == len(frames) for messages in received.values()))
    assert node.end() == 0, node.log

    command = [*console("rehdr"), "reconstruct", str(simulated_bag), "-o", str(tmp_path / "out"), "--uncertainty"]
    subprocess.run([*command, "--weights", str(tiny_weights), "--device", "cpu"], check=True)
    for name, encoding in (("uncertainty", "32FC1"), ("cause", "mono8")):
        headers = [(stamp(message), message.header.frame_id) for message in received[name]]
        assert headers == [(frame.stamp_ns, frame.frame_id) for frame in frames]
        assert {(m.width, m.height, m.encoding) for m in received[name]} == {(64, 48, encoding)}
        for k, message in enumerate(received[name]):
            np.testing.assert_allclose(pixels(message), read_picture(tmp_path / "out", NAMED[name], k), rtol=1e-6)
    assert {int(cause) for message in received["cause"] for cause in np.unique(pixels(message))} >= {0, 1}


def test_nothing_is_made_that_nobody_subscribes_to(client, stream, clipped):
    def made() -> set[str]:
        return set(TOPICS) & set(stream.send(clipped).stages)

    assert made() == set()
    messages: list[Image] = []
    subscription = client.create_subscription(Image, TOPICS["uncertainty"], messages.append, 10)
    assert client.wait_until(lambda: made() == {"uncertainty"})
    assert client.wait_until(lambda: messages)
    uncertainty = pixels(messages[-1])
    assert np.isfinite(uncertainty).all() and uncertainty[:, 40:].min() > uncertainty[:, :24].max()
    client.destroy_subscription(subscription)
    assert client.wait_until(lambda: made() == set())


def test_publishers_come_and_go_with_the_configuration(client, start_node, subscribe, camera, clipped):
    node = start_node("-r", "__node:=managed", "-r", "__ns:=/managed", autostart="false")
    manager, topic = Manager(client, "/managed/managed"), "/managed/hdr/uncertainty"
    assert not client.count_publishers(topic)
    assert manager.change("configure") and manager.change("activate")
    messages = subscribe(topic)
    camera.wait_for_listener()
    at = camera.frame(clipped)
    assert client.wait_until(lambda: messages and stamp(messages[-1]) == at)
    assert manager.change("deactivate") and manager.change("cleanup")
    assert client.wait_until(lambda: not client.count_publishers(topic))
    assert node.end() == 0, node.log


def test_a_subscriber_to_them_alone_wakes_a_lazy_node(client, start_node, subscribe, camera, clipped):
    node = start_node("-r", "__ns:=/lazy", lazy="true").wait_for("waiting for events")
    messages = subscribe("/lazy/hdr/cause")
    camera.wait_for_listener()
    at = camera.frame(clipped)
    assert client.wait_until(lambda: messages and stamp(messages[-1]) == at)
    assert node.end() == 0, node.log


def test_weights_that_know_none_are_named_once_and_the_stream_goes_on(
    client, camera, start_node, subscribe, tmp_path, clipped
):
    save_checkpoint(Rehdr(RehdrConfig(base_channels=4, radiance="relative")), tmp_path / "relative.safetensors")
    node = start_node("-r", "__ns:=/relative", weights=tmp_path / "relative.safetensors")
    node.wait_for("waiting for events")
    messages = subscribe("/relative/hdr/uncertainty")
    stream = Stream(client, camera, "/relative")
    for _ in range(3):
        stream.send(clipped)
    (line,) = [line for line in node.log.splitlines() if "hdr/uncertainty stays empty" in line]
    assert "WARN" in line and "relative" in line
    assert not messages
    assert node.end() == 0, node.log
