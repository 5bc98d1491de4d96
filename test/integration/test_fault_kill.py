"""Processes that are killed and come back, and settings that change while frames stream."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from live import PATIENCE, Client, Manager, Stream, console, pixels
from sensor_msgs.msg import Image

from rehdr_ros.msg import FrameInfo

USUAL = {
    "event_timeout": 3.0,
    "policy": "all",
    "image_depth": 100,
    "tonemap": "reinhard",
    "hdr_encoding": "32FC3",
    "tonemapped_encoding": "rgb8",
}
CHANGES = {
    "tonemap": "mulaw",
    "hdr_encoding": "32FC1",
    "tonemapped_encoding": "mono8",
    "event_timeout": 2.0,
    "policy": "latest",
}


@pytest.fixture(scope="module")
def node(start_node):
    node = start_node(**USUAL).wait_for("waiting for events")
    yield node
    node.kill()


@contextmanager
def frames_at(rate: float, client: Client, stream: Stream) -> Iterator[list[int]]:
    """Frames stream while the client spins; gives their stamps."""
    camera, sent = stream.camera, []

    def frame() -> None:
        sent.append(camera.step())
        camera.image(camera.now, camera.grey(), "rgb8")
        camera.events(camera.now - 1_000_000, camera.now)

    timer = client.create_timer(1 / rate, frame)
    yield sent
    client.destroy_timer(timer)


@pytest.fixture
def start_camera(simulated_bag) -> Iterator[Callable[[], subprocess.Popen]]:
    """A function that starts a camera in its own process: 10 Hz, and its time starts over each second."""
    started = []

    def start() -> subprocess.Popen:
        command = [*console("rehdr"), "replay", str(simulated_bag), "--loop", "--wait", str(PATIENCE)]
        started.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def frames_until_usual(infos: list[FrameInfo], first: int, client: Client) -> int:
    """How many frames from that one on until one goes on from the last with its events."""

    def usual() -> int:
        good = (k for k, info in enumerate(infos[first:], 1) if info.events and not info.reset_reason)
        return next(good, 0)

    assert client.wait_until(usual), "no frame came back"
    return usual()


def test_settings_change_while_frames_stream_and_no_frame_is_lost(node, stream, client, assert_recovers):
    manager = Manager(client)
    hdr, tonemapped = (client.collect(Image, topic) for topic in ("/hdr/image_raw", "/tonemapped/image_raw"))
    stream.frames_until_good()
    before, first = stream.infos[-1], len(stream.infos)
    with frames_at(20.0, client, stream) as sent:
        for settings in (CHANGES, {name: USUAL[name] for name in CHANGES}):
            for name, value in settings.items():
                assert manager.set(name, value).successful
                client.spin(0.2)
    last, infos = stream.info(sent[-1]), stream.infos[first:]
    assert len(sent) > 20
    assert len(infos) + last.skipped_frames - before.skipped_frames == len(sent)
    assert not any(info.reset_reason for info in infos)
    assert stream.steps_back(first) == 0
    assert last.dropped_events == before.dropped_events
    encodings = [[name for name, _ in groupby(i.encoding for i in images)] for images in (hdr, tonemapped)]
    assert encodings == [["32FC3", "32FC1", "32FC3"], ["rgb8", "mono8", "rgb8"]]
    assert {pixels(image).ndim for image in hdr if image.encoding == "32FC1"} == {2}
    assert_recovers(stream, node)


def test_camera_that_is_killed_may_come_back(
    node, stream, client, diagnosis, start_camera, record_frames_until_good
):
    camera, infos = start_camera(), stream.infos
    frames_until_usual(infos, len(infos), client)
    camera.kill()
    camera.wait()
    client.spin(1.0)
    first = len(infos)
    assert diagnosis.says("frames", "no frames for").level == DiagnosticStatus.ERROR
    assert node.alive()
    assert len(infos) == first
    start_camera()
    record_frames_until_good(frames_until_usual(infos, first, client))
    reasons = [info.reset_reason for info in infos[first:]]
    assert stream.steps_back(first) == reasons.count("time stepped back")
    assert node.alive()


def test_node_that_is_killed_gives_hdr_soon_after_its_return(node, stream, client, start_node, start_camera):
    camera = start_camera()
    frames_until_usual(stream.infos, len(stream.infos), client)
    node.kill()
    client.spin(2.0)
    images: list[Image] = []
    client.create_subscription(Image, "/hdr/image_raw", images.append, 10)
    again = start_node(**USUAL).wait_for("waiting for events")
    ready = time.monotonic()
    assert client.wait_until(lambda: images)
    print(f"{time.monotonic() - ready:.2f} s")
    assert time.monotonic() - ready < 10.0
    assert np.isfinite(pixels(images[0])).all()
    assert camera.poll() is None
    assert again.end() == 0
    assert "Traceback" not in again.log
