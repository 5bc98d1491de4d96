"""A node that lives in simulated time: a frame without events waits by /clock, but not for ever."""

import time

import numpy as np
import pytest
from live import Client, Stream
from rosgraph_msgs.msg import Clock

from rehdr_ros.node.conversions import ns_to_stamp

GREY = np.full((48, 64, 3), 128, np.uint8)
TIMEOUT, PATIENCE = 0.3, 2.0  # s of /clock; s of the wall's, if that stands still


@pytest.fixture(scope="module")
def node(start_node):
    node = start_node(use_sim_time="true", event_timeout=TIMEOUT).wait_for("waiting for events")
    yield node
    assert node.end() == 0, node.log


class World:
    """Publishes /clock, and sends frames that wait for their events in vain."""

    def __init__(self, client: Client, stream: Stream):
        self._client, self._stream = client, stream
        self._clock = client.create_publisher(Clock, "/clock", 10)
        self._now = 5_000_000_000
        assert client.wait_until(self._clock.get_subscription_count)
        client.spin(1.0)

    def clock(self, seconds: float) -> None:
        """Let simulated time pass."""
        self._now += round(seconds * 1e9)
        self._clock.publish(Clock(clock=ns_to_stamp(self._now)))
        self._client.spin(0.2)


def send_alone(stream: Stream) -> int:
    """A frame whose events never come."""
    at = stream.camera.step()
    stream.camera.image(at, GREY, "rgb8")
    return at


def test_frame_goes_though_nobody_publishes_the_clock_and_that_is_said(stream, node, diagnosis):
    sent = time.monotonic()
    stream.info(send_alone(stream))
    assert time.monotonic() - sent >= PATIENCE
    diagnosis.says("reconstruction", "nobody publishes /clock")
    assert "nobody publishes /clock" in node.log


def test_frame_with_its_events_goes_though_nobody_publishes_the_clock(stream):
    assert stream.send().latency < PATIENCE


def test_frame_waits_by_the_clock(stream, client):
    world = World(client, stream)
    world.clock(0.0)
    at = send_alone(stream)
    for _ in range(4):  # less than PATIENCE
        world.clock(TIMEOUT / 6)
    assert not any(info.header.stamp == ns_to_stamp(at) for info in stream.infos)
    world.clock(TIMEOUT)
    info = stream.info(at)
    assert info.latency < PATIENCE


def test_frames_go_on_after_the_clock_has_stepped_back(stream, client, node, assert_recovers):
    world = World(client, stream)
    world.clock(100.0)
    assert_recovers(stream, node)
    world.clock(-99.0)
    assert_recovers(stream, node)
    assert stream.info(send_alone(stream)).latency >= PATIENCE  # it stands still
