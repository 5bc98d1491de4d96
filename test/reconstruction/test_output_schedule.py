"""Outputs between the frames: when they are due, what they rest on, and which events they get."""

import time
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from rehdr_ros.events import Events, Frame
from rehdr_ros.network.event_fit import initial_sums, read
from rehdr_ros.reconstruction import FrameInfo, PipelineConfig
from rehdr_ros.reconstruction.front_end import FrontEnd
from rehdr_ros.reconstruction.keyframe import Keyframe

MS = 1_000_000
START = 10**18
IMAGE = np.zeros((4, 6, 3), np.uint8)
CONFIG = PipelineConfig(output_rate=100.0, policy="all")
PATIENT = replace(CONFIG, output_timeout=10.0)  # longer than a busy machine takes for a test
LATEST = replace(PATIENT, policy="latest")
LONG = 100.0  # s, after which even those don't wait


def keyframe_of(job) -> Keyframe:
    counted = dict.fromkeys(("events", "dropped_events", "late_events", "lost_packets", "skipped_frames"), 0)
    figures = {"clipped_fraction": 0.0, "tonemapped_clipped_fraction": 0.0, "state_age": 0.0}
    info = FrameInfo(0, **counted, **figures, reset_reason=job.reset_reason, radiance="", ready_at=0.0)
    radiance, fit = np.ones((3, 4, 6), np.float32), read(initial_sums(torch.zeros(1)))
    exposed, planes = (job.exposed, job.latency_ns, job.passed_ns), (None, None, None)
    return Keyframe(job.frame, 255.0, *exposed, radiance, *planes, fit, None, True, info)


def events(*ms: float) -> Events:
    """One each, at those ms from START."""
    t = START + (np.array(ms) * MS).astype(np.int64)
    return Events(t, np.zeros(len(t)), np.zeros(len(t)), np.ones(len(t)))


def steadily(begin: int, end: int) -> list[Events]:
    """Packets of one event, one a ms."""
    return [events(ms) for ms in range(begin, end)]


def frame(ms: float, exposure_ms: float | None = None) -> Frame:
    return Frame(START + round(ms * MS), IMAGE, exposure_time_s=exposure_ms and exposure_ms * 1e-3)


class Stream:
    """Messages through a front end, as HdrPipeline.take reconstructs frames and takes outputs."""

    def __init__(self, config: PipelineConfig = CONFIG):
        self.front_end, self.outputs = FrontEnd(config), []

    def add(self, *messages, take: bool = True, flush: bool = False):
        for message in messages:
            self.front_end.add(message, arrived=time.monotonic())
            if take:
                self.take()
        if flush:
            self.take(flush=True)
        return self

    def take(self, flush: bool = False):
        for job in iter(partial(self.front_end.next, flush=flush), None):
            self.front_end.add_keyframe(keyframe_of(job))
            self._take_outputs(flush)
        self._take_outputs(flush)

    def _take_outputs(self, flush):
        self.outputs += iter(partial(self.front_end.next_output, flush=flush), None)

    @property
    def rests(self) -> dict[int, int]:
        """The stamp of the frame that each output rests on, by the output's stamp, ms from START."""
        return {(o.stamp_ns - START) // MS: (o.keyframe.frame.stamp_ns - START) // MS for o in self.outputs}


@pytest.mark.parametrize("ahead", [700, 10_000])
def test_a_packet_ahead_of_the_stream_makes_no_outputs_of_the_future(ahead):
    stream = Stream().add(frame(0), *steadily(0, 45), frame(43), *steadily(45, 48), events(48 + ahead))
    assert max(stream.rests) == 40
    stream.add(*steadily(49, 75))
    assert list(stream.rests) == [0, 10, 20, 30, 40, 50, 60, 70]


def test_a_jump_within_a_packet_makes_no_outputs_of_the_future():
    stream = Stream().add(
        frame(0), *steadily(0, 45), frame(43), *steadily(45, 48), events(48, 49, 2050, 2051)
    )
    assert max(stream.rests) == 40
    stream.add(*steadily(50, 75))
    assert list(stream.rests) == [0, 10, 20, 30, 40, 50, 60, 70]


def test_a_latency_that_falls_before_the_first_output_does_not_hold_it_up():
    stream = Stream()
    for latency_ms, come in ((20, (events(5), frame(10), events(31))), (18, (frame(50), events(69)))):
        stream.front_end.synchronizer.latency_ns = latency_ms * MS
        for message in come:
            stream.front_end.add(message)
        stream.front_end.add_keyframe(keyframe_of(stream.front_end.next()))
    stream.take()
    assert list(stream.rests) == [20, 30, 40, 50]


def test_an_output_tells_of_a_start_before_the_frame_that_it_rests_on():
    stream = Stream(replace(CONFIG, output_rate=10.0)).add(frame(0), *steadily(0, 125))
    stream.front_end.synchronizer.reset("asked")
    for ms in range(110, 210, 30):
        stream.add(frame(ms), *steadily(max(ms, 125), ms + 30))
    told = {(o.stamp_ns - START) // MS: o.started and o.started.info.reset_reason for o in stream.outputs}
    assert told == {0: "start", 100: None, 200: "asked"}
    assert stream.rests[200] == 200 and stream.outputs[2].started.frame.stamp_ns == START + 110 * MS


def test_stamps_are_regular_and_rest_on_the_last_frame():
    stream = Stream().add(frame(0), *steadily(0, 45), frame(43), *steadily(45, 75))
    assert stream.rests == {0: 0, 10: 0, 20: 0, 30: 0, 40: 0, 50: 43, 60: 43, 70: 43}
    assert [o.is_first for o in stream.outputs] == [True] + [False] * 4 + [True] + [False] * 2


@pytest.mark.parametrize("rate", [3.0, 29.97, 100.0, 333.3])
def test_a_rate_needs_no_whole_nanoseconds(rate):
    stream = Stream(replace(CONFIG, output_rate=rate)).add(frame(0), *steadily(0, 900))
    steps = np.diff([o.stamp_ns for o in stream.outputs])
    assert len(steps) > 1 and np.ptp(steps) <= 1 and abs(steps.mean() - 1e9 / rate) < 1
    assert all(abs(o.stamp_ns * rate / 1e9 - round(o.stamp_ns * rate / 1e9)) < 0.3 for o in stream.outputs)


def test_every_event_is_in_one_output_and_those_since_the_frame_come_again_with_it():
    stream = Stream().add(frame(0), *steadily(0, 45), frame(43), *steadily(45, 75))
    times = [((o.events.t - START) // MS).tolist() for o in stream.outputs]
    assert sum(times, []) == list(range(1, 71))
    assert times[1] == list(range(1, 11))
    assert ((stream.outputs[5].since.t - START) // MS).tolist() == list(range(44, 51))


def test_a_frame_that_comes_late_corrects_the_next_output():
    stream = Stream().add(frame(0), *steadily(0, 66), frame(35), *steadily(66, 90))
    assert stream.rests == {0: 0, 10: 0, 20: 0, 30: 0, 40: 0, 50: 0, 60: 0, 70: 35, 80: 35}
    assert ((stream.outputs[7].since.t - START) // MS).tolist() == list(range(36, 71))


def test_a_frame_counts_from_the_end_of_its_exposure():
    stream = Stream().add(frame(0, 8), *steadily(0, 31), frame(20, 15), *steadily(31, 60))
    assert stream.rests == {10: 0, 20: 0, 30: 0, 40: 20, 50: 20}
    assert stream.outputs[3].since.t[0] > START + 27.5 * MS  # the middle


@pytest.mark.parametrize("seed", range(3))
def test_when_outputs_are_taken_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    messages = steadily(0, 400)
    for ms in range(360, 0, -40):  # that came up to 30 ms late
        messages.insert(ms + int(rng.integers(0, 30)), frame(ms, 5))
    expected, actual = Stream().add(*messages, flush=True), Stream()
    for message in messages:
        actual.add(message, take=bool(rng.random() < 0.1))
    actual.take(flush=True)
    assert len(expected.outputs) > 30 and actual.rests == expected.rests
    for one, other in zip(actual.outputs, expected.outputs, strict=True):
        np.testing.assert_array_equal(one.events.t, other.events.t)
        np.testing.assert_array_equal(one.since.t, other.since.t)


def test_events_are_late_by_the_latency():
    stream = Stream()
    stream.front_end.synchronizer.latency_ns = 4 * MS
    stream.add(frame(0), *steadily(0, 33))
    assert list(stream.rests) == [0, 10, 20]
    assert stream.outputs[1].events.t[-1] == START + 14 * MS


def test_no_output_beyond_a_gap_and_the_stream_goes_on_behind_it():
    stream = Stream(replace(CONFIG, max_frame_gap=0.05)).add(frame(0), *steadily(0, 121), frame(120))
    stream.add(*steadily(121, 145))
    assert list(stream.rests) == [0, 10, 20, 30, 40, 50, 130, 140]


def test_time_that_steps_back_starts_anew():
    again = [Events(e.t - 2000 * MS, e.x, e.y, e.p) for e in steadily(0, 40)]
    stream = Stream().add(frame(0), *steadily(0, 35), frame(-2000), *again)
    assert [(o.stamp_ns - START) // MS for o in stream.outputs] == [0, 10, 20, 30, -2000, -1990, -1980, -1970]


@pytest.mark.parametrize("step", [300, 600])
def test_time_that_steps_back_by_less_than_a_second_starts_anew_though_a_frame_comes_first(step):
    again = [Events(e.t - step * MS, e.x, e.y, e.p) for e in steadily(545, 580)]
    stream = Stream().add(
        frame(0), *steadily(0, 505), frame(500), *steadily(505, 545), frame(540 - step), *again
    )
    stamps = [(o.stamp_ns - START) // MS for o in stream.outputs]
    assert stamps == [*range(0, 550, 10), *range(540 - step, 580 - step, 10)]


@pytest.mark.parametrize("wrong", [820, -400])
def test_one_frame_stamped_wrong_makes_no_output_twice(wrong):
    stream = Stream().add(frame(0), *steadily(0, 45), take=True)
    stream.add(frame(wrong), frame(100), *steadily(45, 126), take=False)
    front_end, running = stream.front_end, []
    running += iter(front_end.next, None)
    stream.outputs += iter(front_end.next_output, None)  # while the network works on both
    for job in running:
        front_end.add_keyframe(keyframe_of(job))
    stream.add(*steadily(126, 165), frame(160), *steadily(165, 185))
    assert [(o.stamp_ns - START) // MS for o in stream.outputs] == list(range(0, 190, 10))


@pytest.mark.parametrize("wrong", [(60_000,), (820, 500), (60_000, 30_000)])
def test_frames_stamped_ahead_silence_no_later_outputs(wrong):
    stream = Stream().add(*map(frame, wrong), frame(1), *steadily(0, 125), frame(124), *steadily(125, 165))
    assert [(o.stamp_ns - START) // MS for o in stream.outputs] == list(range(10, 170, 10))


@pytest.mark.parametrize("with_events", [False, True])
def test_without_events_frames_that_step_back_start_anew(with_events):
    stream, made = Stream(replace(CONFIG, max_frame_gap=0.11, event_timeout=0.0)), []
    if with_events:  # before the frames
        stream.front_end.add(events(1900), arrived=0.0)
    for ms in (*range(2000, 2500, 100), *range(0, 800, 100)):
        stream.front_end.add(frame(ms), arrived=0.0)
        for job in iter(partial(stream.front_end.next, now=LONG), None):
            stream.front_end.add_keyframe(keyframe_of(job))
        made.append([(o.stamp_ns - START) // MS for o in iter(partial(live, stream), None)])
    assert made[4][-1] == 2510
    assert [len(part) for part in made[9:]] == [10, 10, 10, 10] and made[12][-1] == 810


def test_a_packet_ahead_changes_no_time_at_which_later_events_had_come():
    front_end = Stream().front_end
    front_end.add(frame(0), arrived=0.0)
    for ms in range(40):
        front_end.add(events(ms + 400 * (ms == 20)), arrived=1e-3 * ms)
        for job in iter(front_end.next, None):
            front_end.add_keyframe(keyframe_of(job))
    late = {(o.stamp_ns - START) // MS: o.ready_at for o in iter(front_end.next_output, None)}
    assert late[30] == pytest.approx(0.03, abs=2e-3)


# Live


def live(stream, running=None):
    return stream.front_end.next_output(running, now=time.monotonic())


def test_live_an_output_waits_for_a_frame_but_not_for_long():
    config = replace(CONFIG, output_timeout=0.2)
    stream = Stream(config).add(frame(0), *steadily(0, 12))
    assert list(stream.rests) == [0, 10]
    now = time.monotonic()
    stream.front_end.add(frame(12), arrived=now)
    for packet in steadily(12, 22):
        stream.front_end.add(packet, arrived=now)
    running = stream.front_end.next()
    assert live(stream, running) is None
    time.sleep(0.21)
    output = live(stream, running)
    assert output.keyframe.frame.stamp_ns == START
    stream.front_end.add_keyframe(keyframe_of(running))
    for packet in steadily(22, 32):
        stream.front_end.add(packet, arrived=time.monotonic())
    assert live(stream).keyframe.frame is running.frame


def test_live_without_events_outputs_go_by_the_clock():
    stream = Stream(replace(CONFIG, output_timeout=0.05))
    stream.front_end.add(events(1), arrived=time.monotonic())
    stream.front_end.add(frame(0), arrived=time.monotonic())
    stream.front_end.add_keyframe(keyframe_of(stream.front_end.next()))
    assert live(stream) is None
    time.sleep(0.08)
    assert (live(stream).stamp_ns - START) // MS == 10


def test_live_overload_skips_outputs_but_the_last_ones_and_counts_them():
    stream = Stream(LATEST).add(frame(0), *steadily(0, 5))
    long_ago = time.monotonic() - LONG
    for packet in steadily(5, 65):
        stream.front_end.add(packet, arrived=long_ago)
    assert [(o.stamp_ns - START) // MS for o in iter(lambda: live(stream), None)] == [50, 60]
    assert stream.front_end.counters["skipped_outputs"] == 4


def test_live_policy_all_skips_no_output():
    stream = Stream(PATIENT).add(frame(0), *steadily(0, 5))
    long_ago = time.monotonic() - LONG
    for packet in steadily(5, 65):
        stream.front_end.add(packet, arrived=long_ago)
    outputs = iter(lambda: live(stream), None)
    assert [(o.stamp_ns - START) // MS for o in outputs] == [10, 20, 30, 40, 50, 60]


def test_live_outputs_make_way_for_frames_that_wait():
    stream = Stream(LATEST).add(frame(0), *steadily(0, 5))
    now = time.monotonic()
    for message in (*steadily(5, 12), frame(11), *steadily(12, 13)):
        stream.front_end.add(message, arrived=now if isinstance(message, Frame) else now - LONG)
    running = stream.front_end.next()
    for message in (frame(13), *steadily(13, 25)):
        stream.front_end.add(message, arrived=now if isinstance(message, Frame) else now - LONG)
    assert live(stream, running) is None and stream.front_end.counters["skipped_outputs"] == 2
    stream.front_end.add_keyframe(keyframe_of(running))
    stream.front_end.add_keyframe(keyframe_of(stream.front_end.next()))
    stream.front_end.add(events(31), arrived=time.monotonic())
    assert live(stream).keyframe.frame.stamp_ns == START + 13 * MS


def test_live_a_frame_has_but_one_output_while_frames_are_skipped_and_a_second_longer():
    stream = Stream(LATEST).add(frame(0), *steadily(0, 5))
    add = partial(stream.front_end.add, arrived=time.monotonic())
    for message in (frame(5), *steadily(5, 11)):
        add(message)
    running = stream.front_end.next(time.monotonic())
    for message in (frame(11), *steadily(11, 15), frame(21), *steadily(15, 25)):
        add(message)
    stream.front_end.add_keyframe(keyframe_of(running))
    newest = stream.front_end.next(time.monotonic())
    assert stream.front_end.counters["skipped_frames"] == 1
    stream.front_end.add_keyframe(keyframe_of(newest))
    for packet in steadily(25, 55):
        add(packet)
    assert [(o.stamp_ns - START) // MS for o in iter(lambda: live(stream), None)] == [10, 30]
    assert stream.front_end.counters["skipped_outputs"] == 3
    time.sleep(1.01)
    for packet in steadily(55, 75):
        add(packet)
    assert [(live(stream).stamp_ns - START) // MS for _ in range(2)] == [60, 70]


def test_live_frames_that_waited_for_events_alone_cost_no_outputs():
    stream = Stream(LATEST).add(frame(0), *steadily(0, 5))
    for message in (frame(11), frame(21)):
        stream.front_end.add(message, arrived=time.monotonic())
    assert stream.front_end.next(time.monotonic()) is None
    for packet in steadily(5, 55):
        stream.front_end.add(packet, arrived=time.monotonic())
    for job in iter(lambda: stream.front_end.next(time.monotonic()), None):
        stream.front_end.add_keyframe(keyframe_of(job))
    assert [(o.stamp_ns - START) // MS for o in iter(lambda: live(stream), None)] == [10, 20, 30, 40, 50]


@pytest.mark.parametrize("ahead", [150, 2000])
def test_live_a_frame_stamped_ahead_makes_no_outputs_of_the_future(ahead):
    stream, now = Stream(), time.monotonic()
    for message in (frame(0), *steadily(0, 25), frame(20), frame(30 + ahead)):
        stream.front_end.add(message, arrived=now)
        for job in iter(partial(stream.front_end.next, now), None):
            stream.front_end.add_keyframe(keyframe_of(job))
    assert [(o.stamp_ns - START) // MS for o in iter(lambda: live(stream), None)] == [0, 10, 20]
