"""hdr/uncertainty and hdr/cause: what `rehdr reconstruct --uncertainty` writes, only for who subscribes."""

import json
import os
import re
import subprocess

import numpy as np
import pytest
from live import PATIENCE, Manager, Stream, console, pixels, stamp
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from rehdr_ros.network import Rehdr, RehdrConfig, save_checkpoint
from rehdr_ros.products import NAMED, Plane, Product
from rehdr_ros.recordings import BagRecording
from rehdr_ros.recordings.results.folder import read_picture

TOPICS = {"uncertainty": "/hdr/uncertainty", "cause": "/hdr/cause"}
ANOTHER = Product("another", "sigma", "32FC1", ".exr", "hdr/another", offline=False, plane=Plane("a test"))


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


@pytest.fixture
def another_row(tmp_path, monkeypatch):
    """One row more in the table of products, of every process that the test starts, and no other edit."""
    lines = ["from rehdr_ros import products", "from rehdr_ros.products import Plane, Product"]
    lines.append(f"row = {ANOTHER!r}")
    lines += ["products.PRODUCTS += (row,)", "products.NAMED[row.name] = row"]
    (tmp_path / "sitecustomize.py").write_text("\n".join(lines))
    paths = filter(None, (str(tmp_path), os.environ.get("PYTHONPATH")))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


def test_live_is_what_offline_writes_of_every_row(
    client, another_row, start_node, subscribe, simulated_bag, tiny_weights, tmp_path
):
    node = start_node(policy="all", event_timeout=3.0).wait_for("waiting for events")
    products = [NAMED["uncertainty"], NAMED["cause"], ANOTHER]
    received = {product: subscribe(f"/{product.topic}") for product in products}
    frames = list(BagRecording(simulated_bag).frames())
    subprocess.run([*console("rehdr"), "replay", str(simulated_bag), "--wait", str(PATIENCE)], check=True)
    assert client.wait_until(lambda: all(len(messages) == len(frames) for messages in received.values()))
    assert node.end() == 0, node.log

    folder = tmp_path / "out"
    command = [*console("rehdr"), "reconstruct", str(simulated_bag), "-o", str(folder)]
    command += ["--uncertainty", "--bag"]
    subprocess.run([*command, "--weights", str(tiny_weights), "--device", "cpu"], check=True)
    bag = BagRecording(folder / "bag")
    for product, messages in received.items():
        headers = [(stamp(message), message.header.frame_id) for message in messages]
        assert headers == [(frame.stamp_ns, frame.frame_id) for frame in frames]
        assert {(m.width, m.height, m.encoding) for m in messages} == {(64, 48, product.encoding)}
        written = [read_picture(folder, product, k) for k in range(len(frames))]
        for message, picture, frame in zip(messages, written, bag.frames(f"/{product.topic}"), strict=True):
            np.testing.assert_allclose(pixels(message), picture, rtol=1e-6)
            np.testing.assert_array_equal(frame.image, picture)
    planes = map(pixels, received[NAMED["cause"]])
    assert {int(cause) for plane in planes for cause in np.unique(plane)} >= {0, 1}

    subprocess.run([*console("rehdr"), "report", str(folder)], check=True)
    page = (folder / "report.html").read_text()
    (data,) = re.findall(r'<script type="application/json" id="data">(.*)</script>', page)
    assert [plane["name"] for plane in json.loads(data)["planes"]] == [product.name for product in products]


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
    relative = Rehdr(RehdrConfig(base_channels=4, radiance="relative"))
    save_checkpoint(relative, tmp_path / "relative.safetensors")
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
