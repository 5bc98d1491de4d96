"""The node's threads, with a real pipeline and without ROS."""

import logging
import threading
import time
from collections import Counter

import numpy as np
import pytest

from rehdr_ros.events import Events, Frame
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

    def run(publish, policy="all", now=lambda: None, event_timeout=0.001):
        config = {"weights": str(tiny_weights), "device": "cpu", "policy": policy}
        pipeline = Watched(PipelineConfig(**config, event_timeout=event_timeout))
        tally = Counter()
        complaints = Complaints(logging.getLogger("rehdr test"))
        workers.append(Worker(pipeline, publish, now, tally, complaints))
        return workers[-1], pipeline, tally

    yield run
    for worker in workers:
        assert worker.stop(SECONDS)


@pytest.fixture
def run_between(tiny_weights):
    """As `run`, with outputs at 100 Hz that wait as long as it takes."""
    workers = []

    def run(publish, **config):
        settings = {"weights": str(tiny_weights), "device": "cpu", "policy": "all", "output_rate": 100.0}
        pipeline = HdrPipeline(PipelineConfig(**{**settings, "output_timeout": SECONDS, **config}))
        complaints = Complaints(logging.getLogger("rehdr test"))
        workers.append(Worker(pipeline, publish, lambda: None, Counter(), complaints))
        return workers[-1], pipeline

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


def test_by_simulated_time_frames_wait_for_their_events_however_busy_the_worker_is(run):
    """Ten times as fast as the clock on the wall; every frame takes longer than it is to the next."""
    begin, published = time.monotonic(), []

    def now():
        return 1000 + 10 * (time.monotonic() - begin)

    def publish(frame):
        time.sleep(0.05)
        published.append(frame.stamp_ns)

    worker, pipeline, _ = run(publish, "latest", now, event_timeout=10.0 * SECONDS)
    image, frames, packets = np.full((16, 16, 3), 100, np.uint8), 0, 0
    while len(published) < 20 and time.monotonic() < begin + SECONDS:
        if now() > 1000 + 0.1 * frames:
            frames += 1
            pipeline.add(Frame(round(1e9 * (1000 + 0.1 * frames)), image), now=now())
        if now() > 1000.3 + 0.1 * packets:  # three frames late
            packets += 1
            t = round(1e9 * (1000 + 0.1 * packets)) + np.arange(3)
            pipeline.add(Events(t, np.zeros(3), np.zeros(3), np.ones(3)), (16, 16))
        worker.wake()
        time.sleep(0.002)
    assert len(published) >= 20
    assert not pipeline.counters["late_events"]


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
    time.sleep(0.01)  # they wait a millisecond for events: a first one that may go alone is not overtaken
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


# Outputs between the frames


MS = 1_000_000


def between_messages():
    """Events of three quarters of a second at random pixels, one packet a ms, and a frame every 40 ms."""
    rng = np.random.default_rng(0)
    for ms in range(1, 750):
        x, y, p = (rng.integers(0, n, 20) for n in (32, 24, 2))
        yield Events(np.full(20, ms * MS), x, y, p)
        if ms % 40 == 12:  # 12 ms late
            yield Frame((ms - 12) * MS + MS, rng.integers(0, 256, (24, 32, 3), np.uint8))


def test_outputs_between_the_frames_are_those_of_a_replay(run_between, tiny_weights):
    published = []
    worker, pipeline = run_between(published.append)
    offline = HdrPipeline(pipeline.config)
    expected = []
    for message in between_messages():  # first, for kernels are compiled by it, longer than an output waits
        offline.add(message)
        expected += offline.take()
    for message in between_messages():
        pipeline.add(message)
        worker.wake()
    assert until(lambda: len(published) >= len(expected))
    assert [frame.stamp_ns for frame in published] == [frame.stamp_ns for frame in expected]
    assert [frame.stamp_ns for frame in published] == [k * 10 * MS for k in range(2, 75)]
    for live, replayed in zip(published, expected, strict=True):
        assert live.info.frame_age == replayed.info.frame_age
        np.testing.assert_array_equal(live.radiance, replayed.radiance)
        np.testing.assert_array_equal(live.tonemapped, replayed.tonemapped)
    assert pipeline.counters["skipped_frames"] == pipeline.counters["skipped_outputs"] == 0


def test_where_the_publication_is_slow_outputs_are_skipped_and_no_frame(run_between):
    published = []

    def publish(frame):
        time.sleep(0.05)
        published.append(frame.stamp_ns)

    worker, pipeline = run_between(publish, policy="latest", output_timeout=0.01)
    for message in between_messages():
        pipeline.add(message)
        worker.wake()
        time.sleep(0.002)
    assert until(lambda: published and published[-1] >= 740 * MS) and worker.stop(SECONDS)
    counters = pipeline.counters
    assert counters["skipped_outputs"] > 0 and counters["skipped_frames"] == 0
    steps = np.diff(published) // (10 * MS)
    assert (steps >= 1).all() and published[0] % (10 * MS) == 0
    assert steps.sum() + 1 - len(published) <= counters["skipped_outputs"]


def test_an_output_that_takes_too_long_to_publish_is_told_at_the_end(run_between):
    release, begun = threading.Event(), []

    def publish(frame):
        begun.append(frame)
        release.wait(SECONDS)

    worker, pipeline = run_between(publish)
    for message in between_messages():
        pipeline.add(message)
        worker.wake()
    assert until(lambda: begun)
    assert not worker.stop(0.2)
    release.set()
    assert worker.stop(SECONDS)
