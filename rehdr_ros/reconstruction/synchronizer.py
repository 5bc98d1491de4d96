"""Which events belong to which frame, and when a frame may go."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from rehdr_ros.events import Decoded, EventBuffer, Events, Exposure, Frame
from rehdr_ros.events.buffer import in_time_order
from rehdr_ros.reconstruction.config import STAMPS, PipelineConfig
from rehdr_ros.reconstruction.recent import Recent

_EAGER = 32  # waiting frames from which the oldest goes without its last events
CROWDED = 64  # waiting frames from which the oldest is skipped
RESTART_NS = 1_000_000_000  # events that step back further than this start a new stream
_OVERTAKEN_NS = 250_000_000  # frames no further back may have changed places on their way
_SHUFFLED_NS = 50_000_000  # and packets
AHEAD_NS = 500_000_000  # one packet so far ahead of all else may be damaged; the next one tells
_FEW, _LATELY = 0.1, 300  # share of the last so many frames up to which left out ones are no problem
_SOME = 10  # exposures, up to which it is no problem if they meet no frame
_FEW_TOLD = 8  # frames, of which more than half must have had an exposure for the next to wait for its own
_KEPT_NS = 500_000_000  # before the first frame, of whose events the latency is measured
_PATIENCE = 2.0  # s that a frame waits where the timeout goes by another clock, which may stand still


class Exposed(NamedTuple):
    """From when to when a frame was exposed, ns, by the events' stamps; an instant where that is unknown."""

    start: int
    end: int

    @property
    def middle(self) -> int:
        """The frame's time: it is the mean over its exposure."""
        return (self.start + self.end) // 2

    @property
    def length(self) -> int:
        return self.end - self.start


@dataclass(eq=False)
class _Waiting:
    """A frame that waits. arrived: monotonic s; since: s, by the clock of the timeout, None: the same.

    passed_ns: where the event stream was then, None where there was none. exposed: when, with the events'
    latency then, latency_ns; told_ns: how long, 0 where nothing tells. complete: monotonic s at which its
    last event had arrived too; None while some may be missing. in_turn_until: monotonic s up to
    which it goes though a newer one may go too.
    """

    frame: Frame
    arrived: float
    since: float | None
    passed_ns: int | None = None
    exposed: Exposed = Exposed(0, 0)
    latency_ns: int = 0
    told_ns: int = 0
    complete: float | None = None
    in_turn_until: float = 0.0


def _let_go_in_turn(ready: list[_Waiting]) -> None:
    """Of frames that one packet has completed each goes until its successor would have followed it anyway.

    The events had paused, while nobody was busy: the machine may be fast enough for all.
    """
    for each, successor in pairwise(ready):
        if each.complete is not None and each.complete == successor.complete:
            each.in_turn_until = each.complete + (successor.frame.stamp_ns - each.frame.stamp_ns) * 1e-9


@dataclass(frozen=True, eq=False)
class Job:
    """A frame and the events since the frame `before`, None for the first after a reset, by their stamps.

    exposed, before: when both were exposed, with the events' latency then; latency_ns: that of this frame.
    events: of the exposures of both and what lies between, so that those within one are in two jobs; none
    after a reset. taken: those that no job before had, without what came too late. event_size: width and
    height of their camera, None where unknown. reset_reason: why the hidden state must be forgotten before
    this frame, else empty. ready_at: monotonic s at which the last message that it needed had arrived.
    passed_ns: where the event stream was when the frame came, None where there was none.
    """

    frame: Frame
    exposed: Exposed
    before: Exposed | None = None
    events: Events = field(default_factory=Events.empty)
    taken: Events = field(default_factory=Events.empty)
    event_size: tuple[int, int] | None = None
    reset_reason: str = ""
    ready_at: float = 0.0
    latency_ns: int = 0
    passed_ns: int | None = None

    @property
    def interval_ns(self) -> tuple[int, int]:
        """From the time of the frame before to that of this one; empty after a reset."""
        return (self.before or self.exposed).middle, self.exposed.middle

    @property
    def exposures_ns(self) -> tuple[int, int]:
        """How long both were exposed around these times, see voxel_grid."""
        return self.before.length if self.before else 0, self.exposed.length


def precedes(exposed: Exposed, passed_ns: int | None, instant_ns: int) -> bool:
    """Whether an output for that time, by the events' stamps, rests on a frame exposed so or a later one.

    passed_ns: where the event stream was when the frame came. The order of the messages decides alone, not
    how long a frame takes: results are those of a replay.
    """
    return exposed.end <= instant_ns and (passed_ns is None or passed_ns < instant_ns)


class Synchronizer:
    """Pairs frames with events by their stamps. Not thread-safe.

    A frame may go when the event stream has passed the end of its exposure, or event_timeout s after it came.
    Its events are those up to that end that no frame before had; what comes when it has gone is dropped.
    stamp_is: what stamps mean, one of STAMPS; where the exposure time is unknown they are the exposure. A
    frame that tells none has that of the one before. estimated_exposure_ns: that of frames of which none ever
    told, 0: unknown; it lies around what a measured latency leads to, which is its middle. latency_ns: how
    much later than the light events are stamped. Where exposures come by themselves a frame waits for its
    own until the next frame comes, or event_timeout s. Policy "all" keeps every frame, up to 64 that wait;
    "latest" skips frames that a newer one has overtaken while another was computed, whose events join the
    next grid. Events of a camera of another size leave those before behind.
    max_frame_gap: s between two stamps from which on the stream counts as interrupted.
    """

    def __init__(self, config: PipelineConfig):
        self.configure(config)
        self._buffer = EventBuffer(config.ring_megabytes)
        self._waiting: deque[_Waiting] = deque()
        self._exposures: Recent[Exposure] = Recent()  # of frames that have not come yet
        self._told: deque[bool] = deque(maxlen=_FEW_TOLD)  # of frames that went: whether theirs came in time,
        self._went: int | None = None  # or behind the last one of them, whose stamp this is
        self._last: Frame | None = None  # skipped or processed
        self._overtaken_ns: int | None = None  # the stamp of a frame that stepped back and was skipped
        self._passed_ns: int | None = None  # where the event stream is
        self._passed_at = 0.0  # monotonic s at which it came there
        self._was_ahead = False  # the last packet, which waits for another to confirm it
        self._processed = Exposed(0, 0)
        self._shared = Events.empty()  # of the last frame's exposure: the next frame's, too
        self._exposure_ns = self._latency_ns = self._estimated_exposure_ns = 0
        self._event_size: tuple[int, int] | None = None
        self._reset_reason = "start"
        self._fates: deque[str] = deque(maxlen=_LATELY)  # of frames: why each was left out, or ""
        self._met: deque[bool] = deque(maxlen=_LATELY)  # of exposures: whether each met its frame
        self._idle = True  # what takes the frames had none when it last asked
        self.skipped_frames = self.duplicate_frames = self.overtaken_frames = self.late_events = 0
        self.unused_exposures = 0  # that came after their frame had gone, or have no frame's stamp
        self.outrun_frames = 0  # skipped since what takes the frames was busy

    def configure(self, config: PipelineConfig) -> None:
        """Go on with other settings."""
        self._policy, self._event_timeout = config.policy, config.event_timeout
        self._max_gap_ns = int(config.max_frame_gap * 1e9)
        self._passed_share = STAMPS[config.stamp_is]
        self._measures_latency = config.fixed_latency is None

    @property
    def share_of_estimated(self) -> float:
        """How much of an estimated exposure has passed at a frame's stamp and latency."""
        return STAMPS["middle"] if self._measures_latency else self._passed_share

    @property
    def latency_ns(self) -> int:
        return self._latency_ns

    @latency_ns.setter
    def latency_ns(self, latency_ns: int) -> None:
        # What waits follows: when a frame came must not tell which events it gets.
        if latency_ns != self._latency_ns:
            self._latency_ns = latency_ns
            self._place_all()

    @property
    def estimated_exposure_ns(self) -> int:
        return self._estimated_exposure_ns

    @estimated_exposure_ns.setter
    def estimated_exposure_ns(self, exposure_ns: int) -> None:
        if exposure_ns != self._estimated_exposure_ns:
            self._estimated_exposure_ns = exposure_ns
            self._place_all()

    def _place_all(self) -> None:
        for waiting in self._waiting:
            complete = waiting.complete
            self._place(waiting)
            if complete is not None and waiting.complete is not None:  # since then, not since what came last
                waiting.complete = complete

    @property
    def counters(self) -> dict[str, int]:
        """Since construction, by cause. dropped_events: to the bound on memory, and the late ones."""
        own = "late_events", "skipped_frames", "duplicate_frames", "overtaken_frames", "unused_exposures"
        dropped = self._buffer.dropped + self.late_events
        return {"dropped_events": dropped, **{name: getattr(self, name) for name in own}}

    @property
    def problem(self) -> str:
        """Why many frames or exposures are left out by their stamps lately, in words; empty where few are."""
        frames, exposures = len(self._fates), len(self._met)
        if (count := self._fates.count("duplicate")) > _FEW * frames:
            why = f"{count} of {frames} have that of the frame before and are left out"
            return f"frames repeat stamps: {why}; does their driver fill header.stamp?"
        if (count := self._fates.count("overtaken")) > _FEW * frames:
            why = f"{count} of {frames} are before the last frame's and are left out"
            return f"frames' stamps step back: {why}; do two cameras publish on the topic?"
        if (count := self._met.count(False)) > max(_FEW * exposures, _SOME):
            why = f"{count} of {exposures} have no frame's stamp, or came when that had gone"
            return f"exposures miss their frames: {why}; publish each before its frame, with its header"
        return ""

    @property
    def waits(self) -> bool:
        """Whether frames do."""
        return bool(self._waiting)

    @property
    def passed_ns(self) -> int | None:
        """Where the event stream is; None before it begins."""
        return self._passed_ns

    @property
    def crowded(self) -> bool:
        """Whether a frame that has all its events waits for another one that is being reconstructed."""
        return any(waiting.complete is not None for waiting in self._waiting)

    def expects(self, instant_ns: int) -> bool:
        """Whether a frame waits that an output between the frames would rest on, see `precedes`."""
        return any(precedes(w.exposed, w.passed_ns, instant_ns) for w in self._waiting)

    def reset(self, reason: str) -> None:
        """The next frame starts anew and says why; what waits goes on waiting."""
        self._last = self._overtaken_ns = None
        self._reset_reason = reason

    def clear(self) -> None:
        """Forget what waits."""
        self._passed_ns, self._exposure_ns = None, 0
        self._buffer.clear()
        self._waiting.clear()

    def _drop_events(self) -> None:
        self.late_events += len(self._buffer)
        self._buffer.clear()
        self._shared = Events.empty()

    def add_events(
        self, events: Events, arrived: float, restarted: bool = False, size: tuple[int, int] | None = None
    ) -> None:
        """Events in ROS ns. arrived: monotonic s; size: width and height of their camera, None: unknown.

        restarted: their packets are numbered anew, so that a step back in time is no shuffling.
        """
        self._expect_size(size)
        if not len(events):
            return
        latest = self._buffer.latest
        if latest is not None and int(events.t[-1]) < latest - (_SHUFFLED_NS if restarted else RESTART_NS):
            self._drop_events()
            self._passed_ns = None
            self._overtaken_ns = -(1 << 63)  # a frame that steps back now starts over too, however little
        self._buffer.append(events)
        self._pass(in_time_order(events).t, arrived)

    def add_run(
        self, decoded: Decoded, arrived: Sequence[float], restarted: bool, size: tuple[int, int] | None
    ) -> None:
        """As add_events for each packet of a run. arrived: when each came; restarted: numbered anew by it."""
        events, ends = decoded
        self._expect_size(size)
        in_order = self._buffer.append_in_order(events)
        begin = 0
        for end, at in zip(ends.tolist(), arrived, strict=True):
            if not in_order:
                self.add_events(events[begin:end], at, restarted, size)
            elif end > begin:
                self._pass(events.t[begin:end], at)
            begin, restarted = end, False

    def _expect_size(self, size: tuple[int, int] | None) -> None:
        if self._event_size not in (None, size):
            self._drop_events()
        self._event_size = size

    def _pass(self, times: np.ndarray, arrived: float) -> None:
        """A packet's times, in order: the event stream has come to the last one."""
        passed, newest = self._passed_ns, int(times[-1])
        # A damaged packet, ahead of the stream, must not let frames go early, nor outputs of the future.
        self._was_ahead = self._is_ahead(times) and not self._was_ahead
        shuffled = passed is not None and passed - _SHUFFLED_NS <= newest < passed
        if not shuffled and not self._was_ahead:
            self._passed_ns, self._passed_at = newest, arrived
        for waiting in self._waiting:
            self._complete(waiting)

    @property
    def _newest_frame(self) -> Frame | None:
        return self._waiting[-1].frame if self._waiting else self._last

    def _is_ahead(self, times: np.ndarray) -> bool:
        """Whether it has events, its first or after a jump within, long after stream and last frame."""
        last = self._newest_frame
        if self._passed_ns is None or last is None:
            return False
        far = max(self._passed_ns, last.stamp_ns + self._latency_ns) + AHEAD_NS
        if times[-1] <= far:
            return False
        first = int(np.searchsorted(times, far, side="right"))  # that is ahead
        return first == 0 or int(times[first] - times[first - 1]) > AHEAD_NS

    def add_frame(self, frame: Frame, arrived: float, since: float | None = None) -> None:
        """Queue a frame. A duplicate is skipped, and so is one that was overtaken on its way.

        arrived: monotonic s. since: s, by the clock whose time `next` gets, if not the monotonic one.
        """
        last = self._newest_frame
        fate = "" if last is None else self._fate(frame.stamp_ns, last.stamp_ns)
        self._fates.append(fate)
        if fate:
            self.skipped_frames += 1
            return
        if len(self._waiting) >= CROWDED:
            self._skip()
        exposure = self._exposures.take(frame.stamp_ns)
        if exposure is not None:
            self._met.append(True)
            frame = frame.exposed_as(exposure)
        passed = self._passed_ns
        if passed is not None:
            back = last is not None and frame.stamp_ns < last.stamp_ns
            # The events of a stream that has stepped back may not have come yet: where are those that have?
            before = back and passed - frame.stamp_ns > last.stamp_ns - passed
            if before or passed > frame.stamp_ns + RESTART_NS:
                passed = None
        waiting = _Waiting(frame, arrived, since, passed)
        self._expose(waiting)
        self._waiting.append(waiting)

    def add_exposure(self, exposure: Exposure, arrived: float = 0.0) -> None:
        """Of a frame that waits, or that has not come yet. arrived: monotonic s."""
        for waiting in self._waiting:
            if waiting.frame.stamp_ns == exposure.stamp_ns:
                self._met.append(True)
                waiting.frame = waiting.frame.exposed_as(exposure)
                if exposure.exposure_time_s is not None:
                    self._expose(waiting)
                if waiting.complete is not None:
                    waiting.complete = max(waiting.complete, arrived)
                return
        if exposure.stamp_ns == self._went:
            self._told[-1] = True
        if self._last is not None and 0 <= self._last.stamp_ns - exposure.stamp_ns < RESTART_NS:
            self._miss(1)
        else:
            self._miss(self._exposures.put(exposure.stamp_ns, exposure) is not None)

    def _miss(self, exposures: int) -> None:
        self.unused_exposures += exposures
        self._met.extend([False] * exposures)

    def _expose(self, waiting: _Waiting) -> None:
        if waiting.frame.exposure_time_s is not None:
            self._exposure_ns = round(waiting.frame.exposure_time_s * 1e9)
        waiting.told_ns = self._exposure_ns
        self._place(waiting)

    def _place(self, waiting: _Waiting) -> None:
        exposure_ns, passed = waiting.told_ns, self._passed_share
        if not exposure_ns:
            exposure_ns, passed = self._estimated_exposure_ns, self.share_of_estimated
        waiting.latency_ns = self._latency_ns
        start = waiting.frame.stamp_ns - round(passed * exposure_ns) + self._latency_ns
        waiting.exposed = Exposed(start, start + exposure_ns)
        waiting.complete = None
        self._complete(waiting)

    def _complete(self, waiting: _Waiting) -> None:
        if waiting.complete is not None:
            return
        if waiting.frame.grid is not None:
            waiting.complete = waiting.arrived
        elif self._passed_ns is not None and self._passed_ns >= waiting.exposed.end:
            waiting.complete = max(waiting.arrived, self._passed_at)

    def _fate(self, stamp_ns: int, last_ns: int) -> str:
        """Why a frame is left out: a duplicate, or overtaken; empty where it isn't.

        A second small step back that goes on from the first is no accident any more.
        """
        if stamp_ns == last_ns:
            self.duplicate_frames += 1
            return "duplicate"
        goes_on = self._overtaken_ns is not None and stamp_ns > self._overtaken_ns
        if 0 < last_ns - stamp_ns <= _OVERTAKEN_NS and not goes_on:
            self._overtaken_ns = stamp_ns
            self.overtaken_frames += 1
            return "overtaken"
        self._overtaken_ns = None
        return ""

    def next(self, now: float | None = None, flush: bool = False) -> Job | None:
        """The next frame that may go. now: s by the clock of `since`, None: no timeout; flush: all go."""
        ready = [each for each in self._waiting if self._may_go(each, now, flush)]
        if self._idle:
            _let_go_in_turn(ready)
        if ready and self._policy == "latest":
            in_turn = (each for each in ready if time.monotonic() < each.in_turn_until)
            chosen = next(in_turn, ready[-1])
            while self._waiting[0] is not chosen:
                self._skip()
        self._idle = not ready
        return self._make_job(self._pop()) if ready else None

    def _may_go(self, waiting: _Waiting, now: float | None, flush: bool) -> bool:
        oldest_of_many = len(self._waiting) >= _EAGER and waiting is self._waiting[0]
        if flush or oldest_of_many or waiting.complete is not None and not self._may_be_told(waiting):
            return True
        if now is None:
            return False
        if waiting.since is None:
            return now - waiting.arrived >= self._event_timeout
        # A clock that steps back, or stands still as a paused bag's does, must not hold frames for ever.
        stuck = time.monotonic() - waiting.arrived >= max(_PATIENCE, self._event_timeout)
        return stuck or not -_PATIENCE <= now - waiting.since < self._event_timeout

    def _may_be_told(self, waiting: _Waiting) -> bool:
        """Whether its exposure, which comes by itself, may be on its way; not behind the next frame."""
        untold, usual = waiting.frame.effective_time_s is None, 2 * sum(self._told) > len(self._told)
        return untold and usual and waiting is self._waiting[-1]

    def _skip(self) -> None:
        self._pop()
        self.skipped_frames += 1
        self.outrun_frames += not self._idle

    def _pop(self) -> _Waiting:
        """The oldest frame; the stream's continuity is judged from each to the next, skipped or not."""
        waiting = self._waiting.popleft()
        if self._last is not None:
            self._reset_reason = self._interruption(self._last, waiting.frame) or self._reset_reason
        self._last = waiting.frame
        stamp_ns = waiting.frame.stamp_ns
        self._miss(self._exposures.forget(stamp_ns - RESTART_NS, stamp_ns))  # no later frame's
        return waiting

    def _interruption(self, last: Frame, frame: Frame) -> str:
        gap = frame.stamp_ns - last.stamp_ns
        if gap < 0:
            if (self._buffer.latest or 0) > frame.stamp_ns + RESTART_NS:
                self._buffer.clear()
                self._passed_ns = None
            return "time stepped back"
        if gap > self._max_gap_ns:
            return f"gap of {gap * 1e-9:.3g} s"
        return "new resolution" if frame.image.shape != last.image.shape else ""

    def _make_job(self, waiting: _Waiting) -> Job:
        before, reason, exposed = self._processed, self._reset_reason, waiting.exposed
        if reason:  # what came while there were no frames may be much
            self._buffer.drop_until(exposed.start - _KEPT_NS)
        events = taken = self._buffer.take_until(exposed.end)
        if not reason:
            late = int(np.searchsorted(taken.t, before.end, side="right"))
            self.late_events += late
            events = taken = taken[late:]
            if len(self._shared):
                events = Events.concatenate([self._shared, taken])
        self._shared = events[np.searchsorted(events.t, exposed.start, side="right") :]
        self._processed, self._reset_reason = exposed, ""
        self._told.append(waiting.frame.effective_time_s is not None)
        self._went = waiting.frame.stamp_ns
        if reason:
            before, events = None, Events.empty()
        ready_at, latency_ns = waiting.complete or waiting.arrived, waiting.latency_ns
        size = self._event_size
        came = waiting.passed_ns
        return Job(waiting.frame, exposed, before, events, taken, size, reason, ready_at, latency_ns, came)
