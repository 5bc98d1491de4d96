"""The node's two threads, with a real pipeline and without ROS."""

import logging
import threading
import time
from collections import Counter

import numpy as np
import pytest

from rehdr_ros.node.complaints import Complaints
from rehdr_ros.node.worker import Worker
from rehdr_ros.reconstruction import HdrPipeline, PipelineConfig

IN_FLIGHT = 3  # one being published, one that waits, one that the network has just done
SECONDS = 30  # for a busy machine


class Watched(HdrPipeline):
    """A pipeline that tells what has been taken from it."""

    def __init__(self, config):
        super().__init__(config)
        self.taken = []
        self.fails_at = None

    def take(self, *args, **kwargs):
        for frame in super().take(*args, **kwargs):
            if frame.stamp_ns == self.fails_at:
                raise RuntimeError("a bad frame")
            self.taken.append(frame.stamp_ns)
            yield frame


def until(condition):
    """Whether it becomes true in time."""
    deadline = time.monotonic() + SECONDS
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


@pytest.fixture
def run(tiny_weights):
    """A function that starts a worker on a new pipeline; all end with the test."""
    workers = []

    def run(publish, policy="all"):
        config = {"weights": str(tiny_weights), "device": "cpu", "policy": policy}
        pipeline = Watched(PipelineConfig(**config, event_timeout=0.001))
        tally = Counter()
        complaints = Complaints(logging.getLogger("rehdr test"))
        workers.append(Worker(pipeline, publish, lambda: None, tally, complaints))
        return workers[-1], pipeline, tally

    yield run
    for worker in workers:
        assert worker.stop(SECONDS)


def feed(worker, pipeline, stamps):
    for stamp in stamps:
        pipeline.add_frame(stamp, np.full((16, 16, 3), 100, np.uint8))
        worker.wake()


def stamps(count, first=1):
    return [k * 10_000_000 for k in range(first, first + count)]


def test_frames_are_published_in_order_and_before_the_end(run):
    published = []

    def publish(frame):
        time.sleep(0.02)
        published.append(frame.stamp_ns)

    worker, pipeline, tally = run(publish)
    feed(worker, pipeline, stamps(20))
    assert until(lambda: len(published) > 5)
    assert worker.stop(SECONDS)
    assert published == pipeline.taken == stamps(len(published))
    assert len(published) < 20 and not tally["lost_frames"]


def test_the_network_runs_beside_the_publication_but_not_far_ahead(run):
    release, published = threading.Event(), []

    def publish(frame):
        release.wait(SECONDS)
        published.append(frame)

    worker, pipeline, _ = run(publish)
    feed(worker, pipeline, stamps(10))
    assert until(lambda: len(pipeline.taken) == IN_FLIGHT)
    time.sleep(0.2)
    assert len(pipeline.taken) == IN_FLIGHT and not published
    release.set()
    assert until(lambda: len(published) == 10)
    # Each frame keeps its own pixels, whatever the network has done since.
    assert len({frame.radiance.ctypes.data for frame in published}) == 10


def test_where_the_publication_is_slow_old_frames_are_skipped(run):
    release, published = threading.Event(), []

    def publish(frame):
        release.wait(SECONDS)
        published.append(frame.stamp_ns)

    worker, pipeline, _ = run(publish, policy="latest")
    for k in range(IN_FLIGHT):
        feed(worker, pipeline, stamps(1, 1 + k))
        assert until(lambda k=k: len(pipeline.taken) == k + 1)
    feed(worker, pipeline, stamps(10, 1 + IN_FLIGHT))
    release.set()
    assert until(lambda: published[-1:] == stamps(10, 1 + IN_FLIGHT)[-1:])
    assert published == stamps(IN_FLIGHT) + stamps(1, 10 + IN_FLIGHT)
    assert pipeline.counters["skipped_frames"] == 9


@pytest.mark.parametrize("frames", [1, 10])
def test_an_end_that_takes_too_long_is_told(run, frames):
    release, published = threading.Event(), []

    def publish(frame):
        release.wait(SECONDS)
        published.append(frame.stamp_ns)

    worker, pipeline, _ = run(publish)
    feed(worker, pipeline, stamps(frames))
    assert until(lambda: len(pipeline.taken) == min(frames, IN_FLIGHT))
    started = time.monotonic()
    assert not worker.stop(0.2)
    assert time.monotonic() - started < 5
    release.set()
    assert worker.stop(SECONDS)
    assert published == pipeline.taken


def test_what_can_not_be_published_is_counted_and_the_stream_goes_on(run):
    published = []

    def publish(frame):
        if frame.stamp_ns == stamps(4)[2]:
            raise RuntimeError("cannot publish data")
        published.append(frame.stamp_ns)

    worker, pipeline, tally = run(publish)
    feed(worker, pipeline, stamps(4))
    assert until(lambda: len(published) == 3)
    assert tally["lost_frames"] == 1


def test_a_frame_that_can_not_be_reconstructed_is_counted_and_the_next_starts_anew(run):
    published = []
    worker, pipeline, tally = run(published.append)
    pipeline.fails_at = stamps(4)[1]
    feed(worker, pipeline, stamps(4))
    assert until(lambda: len(published) == 3)
    assert tally["lost_frames"] == 1
    assert [frame.info.reset_reason for frame in published] == ["start", "error", ""]


def test_an_idle_worker_ends_at_once(run):
    worker, _, _ = run(lambda frame: None)
    assert worker.stop(5)
