"""Outputs between the frames, over DDS: their order, stamps and pixels are those of a replay."""

from itertools import pairwise

import numpy as np
import pytest
from live import CAMERA_INFO, Camera, pixels, stamp
from sensor_msgs.msg import CameraInfo, Image

from rehdr_ros.events import Events, Frame
from rehdr_ros.msg import FrameInfo
from rehdr_ros.node.conversions import ns_to_stamp
from rehdr_ros.reconstruction import HdrPipeline, PipelineConfig

MS = 1_000_000
FRAMES = 8
PATIENT = {"output_timeout": 30.0, "event_timeout": 30.0, "policy": "all"}  # a busy machine must not matter


@pytest.fixture(scope="module")
def node(start_node):
    node = start_node(output_rate=100.0, **PATIENT).wait_for("waiting for events")
    yield node
    assert node.end() == 0, node.log
    assert "skipped_outputs" not in node.log


@pytest.fixture(scope="module")
def outputs(node, client):
    """What the node made of frames 50 ms apart with an event every 5 ms, and what went in."""
    camera = Camera(client)
    camera_infos = client.create_publisher(CameraInfo, CAMERA_INFO, 10)
    camera.wait_for_listener()
    topics = {FrameInfo: "/rehdr_node/frame_info", Image: "/hdr/image_raw", CameraInfo: "/hdr/camera_info"}
    got = {kind: client.collect(kind, topic) for kind, topic in topics.items()}
    assert client.wait_until(camera_infos.get_subscription_count)
    sent, start, rng = [], camera.now, np.random.default_rng(0)
    for number in range(FRAMES):
        at = start + (50 * number + 3) * MS
        image = rng.integers(0, 256, (camera.height, camera.width, 3), np.uint8)
        info = CameraInfo(width=camera.width, height=camera.height)
        info.header.stamp = ns_to_stamp(at)
        camera_infos.publish(info)
        camera.image(at, image, "rgb8")
        client.spin(0.1)  # over another topic than the events: in this order it must arrive
        sent.append(Frame(at, image))
        for ms in range(5, 51, 5):
            camera.events(at + ms * MS)
            sent.append(at + ms * MS)
        client.spin(0.1)
    last = start + (50 * FRAMES - 10) * MS
    assert client.wait_until(lambda: all(any(stamp(m) >= last for m in kind) for kind in got.values()))
    return sent, *got.values()


def test_stamps_are_regular_and_increase(outputs):
    _, infos, images, camera_infos = outputs
    stamps = [stamp(info) for info in infos]
    assert {b - a for a, b in pairwise(stamps)} == {10 * MS} and stamps[0] % (10 * MS) == 0
    assert [stamp(image) for image in images] == [stamp(info) for info in camera_infos] == stamps
    assert [info.index for info in infos] == list(range(len(infos)))


def test_every_output_says_what_it_rests_on(outputs):
    sent, infos, *_ = outputs
    frames = [message.stamp_ns for message in sent if isinstance(message, Frame)]
    for info in infos:
        rests = max(at for at in frames if at <= stamp(info))
        assert info.source == "between"
        assert info.frame_age == pytest.approx((stamp(info) - rests) * 1e-9, abs=1e-6)
        assert info.skipped_frames == info.dropped_events == 0


def test_pixels_are_those_of_a_replay(outputs, tiny_weights):
    sent, _, images, _ = outputs
    settings = {"weights": str(tiny_weights), "device": "cpu", "output_rate": 100.0, **PATIENT}
    pipeline, replayed = HdrPipeline(PipelineConfig(**settings)), {}
    for message in sent:
        if isinstance(message, Frame):
            pipeline.add(message)
        else:
            pipeline.add_events(Events([message], [20], [20], [1]), (64, 48))
        replayed |= {frame.stamp_ns: frame.radiance for frame in pipeline.take()}
    assert len(images) > 30
    moved = 0
    for image in images:
        np.testing.assert_allclose(pixels(image), replayed[stamp(image)], rtol=1e-5)
        before = replayed.get(stamp(image) - 10 * MS)
        moved += before is not None and not np.array_equal(before, replayed[stamp(image)])
    assert moved > 20
