"""More than the node can do: what it leaves out is counted, and what it keeps is complete and in time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import pytest
import torch
from live import Camera, Client, Manager, Stream, stamp

from rehdr_ros.msg import FrameInfo
from rehdr_ros.network import Rehdr, RehdrConfig, save_checkpoint

pytestmark = pytest.mark.long
SECONDS = 60.0  # of overload
OVERLOAD = 10.0
EVENTS = 20  # a frame
BUFFER = 1.0  # MB
CAPACITY = 76_923  # events of 13 bytes


@pytest.fixture(scope="module")
def node(start_node, tmp_path_factory):
    """With a slow network, and a queue that holds every burst: what overflows there nobody counts."""
    torch.manual_seed(0)
    weights = tmp_path_factory.mktemp("weights") / "slow.safetensors"
    save_checkpoint(Rehdr(RehdrConfig(base_channels=16)), weights)
    settings = {"event_timeout": 3.0, "buffer_megabytes": BUFFER, "image_depth": 200}
    settings["expected_size"] = "[160, 120]"
    node = start_node(weights=weights, **settings).wait_for("waiting for events")
    yield node
    assert node.end() == 0, node.log


@pytest.fixture(scope="module")
def camera(client) -> Camera:
    camera = Camera(client)
    camera.width, camera.height = 160, 120
    camera.change_sensor(160, 120)
    return camera


@pytest.fixture
def manager(client, node) -> Iterator[Manager]:
    manager = Manager(client)
    yield manager
    assert manager.set("policy", "latest").successful


def microseconds(after: int, until: int, count: int) -> list[int]:
    """Evenly spaced times, ns, as evt3 can tell them."""
    return (np.linspace(after, until, count + 1)[1:] // 1000 * 1000).astype(np.int64).tolist()


class Load:
    """Frames at a rate, s apart, each with EVENTS events up to its stamp, while the client spins.

    published: when, monotonic s, by stamp; back: when its info came.
    """

    def __init__(self, client: Client, stream: Stream):
        self._client, self._stream = client, stream
        self.published: dict[int, float] = {}
        self.back: dict[int, float] = {}

        def note(info: FrameInfo) -> None:
            self.back[stamp(info)] = time.monotonic()

        client.create_subscription(FrameInfo, "/rehdr_node/frame_info", note, 1000)
        client.spin(1.0)

    def frame(self, period: float) -> None:
        camera = self._stream.camera
        before, at = camera.now, camera.step(round(period, 6))
        camera.image(at, camera.grey(), "rgb8")
        camera.events(*microseconds(before, at, EVENTS))
        self.published[at] = time.monotonic()

    @contextmanager
    def at(self, period: float) -> Iterator[None]:
        timer = self._client.create_timer(period, lambda: self.frame(period))
        yield
        self._client.destroy_timer(timer)

    def burst(self, count: int) -> None:
        for _ in range(count):
            self.frame(0.01)

    def infos(self) -> list[FrameInfo]:
        """Of all frames, as soon as the last has come back."""
        last = max(self.published)
        assert self._client.wait_until(lambda: last in self.back, seconds=300), "the last frame never came"
        self._stream.info(last)
        return [info for info in self._stream.infos if stamp(info) in self.published]


def assert_events_are_all_there(infos: list[FrameInfo], before: FrameInfo, frames: int) -> None:
    """In a grid, or counted as dropped."""
    dropped = infos[-1].dropped_events - before.dropped_events
    assert sum(info.events for info in infos) + dropped == frames * EVENTS


def assert_in_order(infos: list[FrameInfo]) -> None:
    assert all(stamp(a) < stamp(b) for a, b in pairwise(infos))
    assert not any(info.reset_reason for info in infos)


def network_seconds(info: FrameInfo) -> float:
    return dict(zip(info.stages, info.stage_durations, strict=True))["network"]


def test_overload_skips_frames_and_loses_nothing_else(stream, node, client, diagnosis, assert_recovers):
    stream.frames_until_good()
    period = float(np.median([network_seconds(stream.info(stream.whole_frame())) for _ in range(9)]))
    before, memory = stream.infos[-1], node.memory_bytes()
    load = Load(client, stream)
    with load.at(period / OVERLOAD):
        client.spin(SECONDS)
        status = diagnosis.now()["frames"]
    infos = load.infos()
    skipped = infos[-1].skipped_frames - before.skipped_frames
    ages = [load.back[stamp(info)] - load.published[stamp(info)] for info in infos]
    sent, hz = len(load.published), OVERLOAD / period
    print(f"{sent} frames at {hz:.0f} Hz, {len(infos)} came back, {skipped} skipped")
    print(f"ages: median {np.median(ages):.2f} s, worst {max(ages):.2f} s; network {period:.2f} s")
    print(f"memory: {memory / 1e6:.0f} MB, then {node.memory_bytes() / 1e6:.0f} MB")
    print(status.message, {v.key: v.value for v in status.values})
    assert skipped > len(load.published) / 2
    assert len(infos) + skipped == len(load.published)
    assert_events_are_all_there(infos, before, len(load.published))
    assert_in_order(infos)
    assert "skipped frames" in status.message
    assert node.memory_bytes() - memory < 100e6
    assert max(ages) < 10 * period + 2.0
    assert_recovers(stream, node)

    before, load = stream.infos[-1], Load(client, stream)
    with load.at(4 * period):
        client.wait_until(lambda: len(load.published) >= 5)
    assert len(load.infos()) == len(load.published)
    assert stream.infos[-1].skipped_frames == before.skipped_frames


@pytest.mark.parametrize(("burst", "kept"), [(40, 40), (100, 65)])
def test_policy_all_keeps_a_burst_up_to_64(stream, node, client, manager, assert_recovers, burst, kept):
    stream.frames_until_good()
    assert manager.set("policy", "all").successful
    before, load = stream.infos[-1], Load(client, stream)
    load.burst(burst)
    infos = load.infos()
    skipped = infos[-1].skipped_frames - before.skipped_frames
    print(len(infos), skipped)
    assert len(infos) + skipped == burst
    assert abs(len(infos) - kept) <= (burst > kept)  # one more where the first was done already
    assert_events_are_all_there(infos, before, burst)
    assert_in_order(infos)
    assert_recovers(stream, node)


def test_flood_of_events_drops_the_oldest_and_counts_them(stream, node, assert_recovers):
    stream.frames_until_good()
    before, memory, camera = stream.infos[-1], node.memory_bytes(), stream.camera
    first, at = camera.now, camera.step()
    for part in np.split(np.array(microseconds(first, at, 100_000)), 20):
        camera.events(*part.tolist())
    camera.image(at, camera.grey(), "rgb8")
    info = stream.info(at)
    assert info.events == CAPACITY
    assert info.dropped_events - before.dropped_events == 100_000 - CAPACITY
    assert node.memory_bytes() - memory < 50e6
    assert_recovers(stream, node)
