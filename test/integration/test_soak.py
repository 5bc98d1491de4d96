"""Hours in the field: make soak. REHDR_SOAK_FRAMES changes how long."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
from live import CAMERA_INFO, Camera, Client, stamp
from sensor_msgs.msg import CameraInfo, Image

from rehdr_ros.msg import FrameInfo
from rehdr_ros.node.conversions import ns_to_stamp

pytestmark = pytest.mark.soak

FRAMES = int(os.environ.get("REHDR_SOAK_FRAMES", 50_000))
WARM_UP = 2_000  # frames after which the memory counts
REPORT = 5_000  # frames between two lines
GROWTH = 0.01  # of the resident memory that passes
IN_FLIGHT = 8  # frames at once: fewer than any queue on their way holds, so that none may get lost
EVENTS = 100  # in each frame's packet, before the one that follows the frame
OUTPUTS = {
    "/rehdr_node/frame_info": FrameInfo,
    "/hdr/image_raw": Image,
    "/hdr/camera_info": CameraInfo,
    "/tonemapped/image_raw": Image,
    "/tonemapped/camera_info": CameraInfo,
}


class Traffic:
    """Frames to a node, and a check of everything that comes back, as it comes."""

    def __init__(self, client: Client):
        self._client, self._camera = client, Camera(client)
        self._camera_infos = client.create_publisher(CameraInfo, CAMERA_INFO, 10)
        rng = np.random.default_rng(0)
        self._images = [rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(16)]
        self._first = self._camera.now + 100_000_000
        self.sent, self.back = 0, dict.fromkeys(OUTPUTS, 0)
        for topic, kind in OUTPUTS.items():
            client.create_subscription(
                kind, topic, lambda message, topic=topic: self._check(topic, message), 100
            )
        assert client.wait_until(self._camera_infos.get_subscription_count)
        self._camera.wait_for_listener()

    @property
    def done(self) -> int:
        """Frames of which everything has come back."""
        return min(self.back.values())

    def send(self) -> None:
        """Publish a frame, once few enough are under way."""
        assert self._client.wait_until(lambda: self.sent - self.done < IN_FLIGHT), self.lost()
        at = self._camera.step()
        info = CameraInfo(width=64, height=48)
        info.header.stamp = ns_to_stamp(at)
        self._camera_infos.publish(info)
        self._camera.image(at, self._images[self.sent % len(self._images)], "rgb8")
        self._camera.events(*range(at - 900_000 * EVENTS, at, 900_000), at + 1_000_000)
        self.sent += 1

    def finish(self) -> None:
        """Wait for what is under way."""
        assert self._client.wait_until(lambda: self.done == self.sent), self.lost()

    def lost(self) -> str:
        return f"{self.sent} frames sent; came back: {self.back}"

    def _check(self, topic: str, message) -> None:
        index = self.back[topic]
        expected = self._first + 100_000_000 * index
        assert stamp(message) == expected, f"{topic}: frame {index} is missing or came twice"
        if isinstance(message, FrameInfo):
            assert message.index == index
            assert message.events == (EVENTS + 1 if index else 0)
            assert message.dropped_events == message.lost_packets == message.skipped_frames == 0
            assert message.reset_reason == ("" if index else "activation")
        self.back[topic] += 1


def resident(pid: int) -> int:
    """Bytes of a process that are in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_memory_stays_and_no_frame_is_lost(client, start_node):
    assert FRAMES > WARM_UP, "REHDR_SOAK_FRAMES"
    node = start_node(policy="all", event_timeout=30.0).wait_for("waiting for events")
    traffic = Traffic(client)
    start, began = None, time.monotonic()
    while traffic.sent < FRAMES:
        traffic.send()
        if traffic.sent == WARM_UP:
            start = resident(node.process.pid)
        if traffic.sent in (WARM_UP, FRAMES) or traffic.sent % REPORT == 0:
            rate, now = traffic.sent / (time.monotonic() - began), resident(node.process.pid)
            print(f"{traffic.sent} frames, {rate:.0f} a second, {now / 1e6:.2f} MB", flush=True)
    traffic.finish()
    end = resident(node.process.pid)
    figures = f"{start / 1e6:.2f} MB, at the end {end / 1e6:.2f} MB, {end / start - 1:+.3%}"
    print(f"memory from frame {WARM_UP} on: {figures}")
    assert node.end() == 0
    assert f"stopped after {FRAMES} frames" in node.log and "lost: nothing" in node.log
    assert end <= start * (1 + GROWTH)
