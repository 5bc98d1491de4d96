"""tonemapped/image_raw/compressed: what the raw topic has, as JPEG, and no work for nobody."""

import logging
from collections import Counter

import numpy as np
import pytest
from live import Manager, pixels, rclpy, stamp
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CompressedImage, Image

from rehdr_ros.node import outputs
from rehdr_ros.node.complaints import Complaints
from rehdr_ros.node.parameters import Parameters
from rehdr_ros.reconstruction import HdrPipeline, PipelineConfig
from rehdr_ros.recordings import BagRecording
from rehdr_ros.wire.compressed_image import decode_compressed

RAW = "/tonemapped/image_raw"
LEAST_PSNR = 35.0  # dB, at the default quality


@pytest.fixture(scope="module")
def pair(client, stream):
    """A function that sends a frame and returns both of its tone-mapped messages."""
    raw, packed = client.collect(Image, RAW), client.collect(CompressedImage, f"{RAW}/compressed")

    def pair(image: np.ndarray) -> tuple[Image, CompressedImage]:
        at = stamp(stream.send(image))
        assert client.wait_until(
            lambda: all(any(stamp(m) == at for m in messages) for messages in (raw, packed))
        )
        return tuple(next(m for m in messages if stamp(m) == at) for messages in (raw, packed))

    return pair


@pytest.fixture(scope="module")
def scene(simulated_bag) -> np.ndarray:
    return next(iter(BagRecording(simulated_bag).frames())).image


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "mono8"])
def test_it_shows_what_the_raw_topic_shows(client, node, pair, scene, encoding):
    manager = Manager(client)
    assert manager.set("tonemapped_encoding", encoding).successful
    raw, packed = pair(scene)
    assert manager.set("tonemapped_encoding", "rgb8").successful
    assert packed.header == raw.header
    assert packed.format == f"{encoding}; jpeg compressed {'mono8' if encoding == 'mono8' else 'bgr8'}"
    shown, expected = decode_compressed(packed.format, packed.data), pixels(raw)
    assert shown.shape == expected.shape
    assert psnr(shown, expected) > LEAST_PSNR
    assert len(packed.data) < len(raw.data) / 2


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


def test_its_quality_is_a_parameter_that_changes_between_frames(client, node, pair, scene):
    manager = Manager(client)
    _, good = pair(scene)
    assert manager.set("jpeg_quality", 20).successful
    _, small = pair(scene)
    assert manager.set("jpeg_quality", 95).successful
    assert len(small.data) < len(good.data)
    for wrong in (0, 101):
        assert not manager.set("jpeg_quality", wrong).successful


@pytest.fixture
def publisher(client):
    """An active node with the outputs, which knows of the client by the graph alone."""
    context = rclpy.Context()
    rclpy.init(context=context, args=["--ros-args", "-r", f"{RAW}:=/display"])
    node = LifecycleNode("publisher", context=context)
    made = outputs.Outputs(node, Complaints(logging.getLogger("test")))
    node.trigger_configure(), node.trigger_activate()
    yield made
    made.destroy()
    node.destroy_node()
    rclpy.shutdown(context=context)
    client.forget()


def test_it_is_packed_only_while_somebody_subscribes_to_it(
    client, publisher, tiny_weights, scene, monkeypatch
):
    pipeline = HdrPipeline(PipelineConfig(weights=str(tiny_weights), device="cpu", engine="pytorch"))
    pipeline.add_frame(1_000_000_000, scene)
    (frame,) = pipeline.take(flush=True)
    packed, image_to_jpeg = [], outputs.image_to_jpeg
    monkeypatch.setattr(outputs, "image_to_jpeg", lambda *args: packed.append(args) or image_to_jpeg(*args))

    def publish() -> None:
        publisher.publish(frame, Parameters(), None, Counter())

    raw, compressed = [], []
    client.create_subscription(Image, "/display", raw.append, 10)  # the raw topic does not count
    assert client.wait_until(lambda: publisher.wanted)
    publish()
    assert client.wait_until(lambda: raw)
    assert not packed

    subscription = client.create_subscription(CompressedImage, "/display/compressed", compressed.append, 10)
    client.wait_until(lambda: (publish(), compressed)[1])
    assert compressed and packed

    client.destroy_subscription(subscription)
    count = -1

    def is_quiet() -> bool:
        nonlocal count
        before, count = count, len(packed)
        publish()
        return len(packed) == count == before

    assert client.wait_until(is_quiet)
