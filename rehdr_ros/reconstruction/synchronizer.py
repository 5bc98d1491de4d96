"""Which events belong to which frame, and when a frame may go."""

import time
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rehdr_ros.errors import InputError
from rehdr_ros.events import EventBuffer, Events

_EAGER = 32  # waiting frames from which the oldest goes without its last events
CROWDED = 64  # waiting frames from which the oldest is skipped
_RESTART_NS = 1_000_000_000  # events that step back further than this start a new stream
_OVERTAKEN_NS = 250_000_000  # frames no further back may have changed places on their way
_SHUFFLED_NS = 50_000_000  # and packets
_PATIENCE = 2.0  # s that a frame waits where another clock than the wall's tells the timeout, and may stand still


STAMPS = {"start": 0.0, "middle": 0.5, "end": 1.0}
"""What frames' stamps may mean, as the share of the exposure that has passed."""


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
class PendingFrame:
    """A frame that waits. image: (H, W) or (H, W, 3); exposure: time x gain in s, or None; arrived: monotonic s.

    exposure_seconds: the time alone, None where unknown. exposed: when, with the events' latency then, latency_ns, both
    of which the synchroniser tells.
    complete: monotonic s at which its last event had arrived too; None while some may be missing. since: s, by the
    clock that tells the timeout, from which it waits; None: that clock is the monotonic one. grid: of its events, where
    they come as one, so that there is nothing to wait for.
    """

    stamp_ns: int
    image: np.ndarray
    frame_id: str
    exposure: float | None
    arrived: float
    complete: float | None = None
    since: float | None = None
    grid: np.ndarray | None = None
    exposure_seconds: float | None = None
    exposed: Exposed | None = None
    latency_ns: int = 0


@dataclass(frozen=True)
class Job:
    """A frame and the events since the frame `before`, None for the first after a reset, by their stamps.

    events: of the exposures of both and what lies between, so that those within one are in two jobs; none after a
    reset. taken: those that no job before had, without what came too late.
    reset_reason: why the hidden state must be forgotten before this frame, else empty. ready_at: monotonic s at
    which the last message that the frame needed had arrived.
    """

    frame: PendingFrame
    before: Exposed | None
    events: Events
    taken: Events
    reset_reason: str
    ready_at: float

    @property
    def t0_ns(self) -> int | None:
        """The time of the frame before."""
        return self.before and self.before.middle


class Synchronizer:
    """Pairs frames with events by their stamps. Not thread-safe.

    A frame may go when the event stream has passed the end of its exposure, or event_timeout s after its arrival.
    stamp_is: what stamps mean, one of STAMPS; where the exposure time is unknown they are the exposure. A frame that
    tells none has that of the one before. latency_ns: how much later than the light events are stamped. Policy "all"
    keeps every frame, up to 64 that wait; "latest" skips frames that a newer one has overtaken. The events of a
    skipped frame join the next grid.
    max_frame_gap: s between two stamps from which on the stream counts as interrupted.
    """

    def __init__(
        self,
        policy: str,
        event_timeout: float,
        max_frame_gap: float,
        buffer_megabytes: float,
        stamp_is: str = "start",
    ):
        self.configure(policy, event_timeout, max_frame_gap, stamp_is)
        self._buffer = EventBuffer(buffer_megabytes)
        self._frames: deque[PendingFrame] = deque()
        self._last: PendingFrame | None = None  # skipped or processed
        self._overtaken_ns: int | None = None  # the stamp of a frame that stepped back and was skipped
        self._passed_ns: int | None = None  # where the event stream is
        self._passed_at = 0.0  # monotonic s at which it came there
        self._processed = Exposed(0, 0)
        self._shared = Events.empty()  # of the last frame's exposure: the next frame's, too
        self._exposure_ns = 0
        self._latency_ns = 0
        self._reset_reason = "start"
        self.skipped_frames = self.duplicate_frames = self.overtaken_frames = 0
        self.late_events = 0

    def configure(self, policy: str, event_timeout: float, max_frame_gap: float, stamp_is: str = "start") -> None:
        """Go on with other settings. Raises ValueError for an unknown policy."""
        if policy not in ("all", "latest"):
            raise InputError(f"policy is 'all' or 'latest', not {policy!r}")
        self._policy, self._event_timeout = policy, event_timeout
        self._max_gap_ns = int(max_frame_gap * 1e9)
        self._passed_share = STAMPS[stamp_is]

    @property
    def latency_ns(self) -> int:
        return self._latency_ns

    @latency_ns.setter
    def latency_ns(self, latency_ns: int) -> None:
        # What waits follows: when a frame came must not tell which events it gets.
        if latency_ns != self._latency_ns:
            self._latency_ns = latency_ns
            for frame in self._frames:
                self._place(frame, frame.exposed.length)

    @property
    def dropped_events(self) -> int:
        """Events lost since construction: to the bound on memory, or because they came after their frame had gone."""
        return self._buffer.dropped + self.late_events

    def reset(self, reason: str) -> None:
        """The next frame starts anew and says why; what waits goes on waiting."""
        self._last = self._overtaken_ns = None
        self._reset_reason = reason

    def clear(self) -> None:
        """Forget what waits."""
        self._passed_ns, self._exposure_ns = None, 0
        self._buffer.clear()
        self._frames.clear()

    def drop_events(self) -> None:
        """Forget the events that wait, and count them."""
        self.late_events += len(self._buffer)
        self._buffer.clear()
        self._shared = Events.empty()

    def add_events(self, events: Events, arrived: float, restarted: bool = False) -> None:
        """Events in ROS ns. restarted: their packets are numbered anew, so that a step back in time is no shuffling."""
        if not len(events):
            return
        latest = self._buffer.latest
        if latest is not None and int(events.t[-1]) < latest - (_SHUFFLED_NS if restarted else _RESTART_NS):
            self.drop_events()
            self._overtaken_ns = -(1 << 63)  # a frame that steps back now starts over too, however little
        self._buffer.append(events)
        newest, passed = int(events.t.max()), self._passed_ns
        # A packet that lies ahead of the stream, damaged, must not let frames go early once the stream goes on.
        shuffled = passed is not None and passed - _SHUFFLED_NS <= newest < passed
        if not shuffled:
            self._passed_ns, self._passed_at = newest, arrived
        for frame in self._frames:
            self._complete(frame)

    def add_frame(self, frame: PendingFrame) -> None:
        """Queue a frame. A duplicate is skipped, and so is one that was overtaken on its way."""
        last = self._frames[-1] if self._frames else self._last
        if last is not None and self._is_stray(frame.stamp_ns, last.stamp_ns):
            self.skipped_frames += 1
            return
        if len(self._frames) >= CROWDED:
            self._skip()
        self._expose(frame)
        self._frames.append(frame)

    def set_exposure(self, stamp_ns: int, seconds: float) -> bool:
        """The exposure time of a frame that waits; False where none of that stamp does."""
        for frame in self._frames:
            if frame.stamp_ns == stamp_ns:
                frame.exposure_seconds = seconds
                self._expose(frame)
                return True
        return False

    def _expose(self, frame: PendingFrame) -> None:
        if frame.exposure_seconds is not None:
            self._exposure_ns = round(frame.exposure_seconds * 1e9)
        self._place(frame, self._exposure_ns)

    def _place(self, frame: PendingFrame, exposure_ns: int) -> None:
        frame.latency_ns = self._latency_ns
        start = frame.stamp_ns - round(self._passed_share * exposure_ns) + frame.latency_ns
        frame.exposed = Exposed(start, start + exposure_ns)
        frame.complete = None
        self._complete(frame)

    def _complete(self, frame: PendingFrame) -> None:
        if frame.complete is not None:
            return
        if frame.grid is not None:
            frame.complete = frame.arrived
        elif self._passed_ns is not None and self._passed_ns >= frame.exposed.end:
            frame.complete = max(frame.arrived, self._passed_at)

    def _is_stray(self, stamp_ns: int, last_ns: int) -> bool:
        """A duplicate, or a small step back; a second one that goes on from there is no longer an accident."""
        if stamp_ns == last_ns:
            self.duplicate_frames += 1
            return True
        goes_on = self._overtaken_ns is not None and stamp_ns > self._overtaken_ns
        if 0 < last_ns - stamp_ns <= _OVERTAKEN_NS and not goes_on:
            self._overtaken_ns = stamp_ns
            self.overtaken_frames += 1
            return True
        self._overtaken_ns = None
        return False

    def next(self, now: float | None = None, flush: bool = False) -> Job | None:
        """The next frame that may go, else None. now: s by the clock of `since`, None: no timeout; flush: all go."""
        ready = [f for f in self._frames if self._may_go(f, now, flush)]
        if not ready:
            return None
        if self._policy == "latest":
            while self._frames[0] is not ready[-1]:
                self._skip()
        return self._make_job(self._pop())

    def _may_go(self, frame: PendingFrame, now: float | None, flush: bool) -> bool:
        oldest_of_many = len(self._frames) >= _EAGER and frame is self._frames[0]
        if flush or oldest_of_many or frame.complete is not None:
            return True
        if now is None:
            return False
        if frame.since is None:
            return now - frame.arrived >= self._event_timeout
        # A clock that steps back, or stands still as a paused bag's does, must not hold frames for ever.
        stuck = time.monotonic() - frame.arrived >= max(_PATIENCE, self._event_timeout)
        return stuck or not -_PATIENCE <= now - frame.since < self._event_timeout

    def _skip(self) -> None:
        self._pop()
        self.skipped_frames += 1

    def _pop(self) -> PendingFrame:
        """The oldest frame; the stream's continuity is judged from each to the next, whether skipped or not."""
        frame = self._frames.popleft()
        if self._last is not None:
            self._reset_reason = self._interruption(self._last, frame) or self._reset_reason
        self._last = frame
        return frame

    def _interruption(self, last: PendingFrame, frame: PendingFrame) -> str:
        gap = frame.stamp_ns - last.stamp_ns
        if gap < 0:
            if (self._buffer.latest or 0) > frame.stamp_ns + _RESTART_NS:
                self._buffer.clear()
                self._passed_ns = None
            return "time stepped back"
        if gap > self._max_gap_ns:
            return f"gap of {gap * 1e-9:.3g} s"
        return "new resolution" if frame.image.shape != last.image.shape else ""

    def _make_job(self, frame: PendingFrame) -> Job:
        before, reason = self._processed, self._reset_reason
        events = taken = self._buffer.take_until(frame.exposed.end)
        if not reason:
            late = int(np.searchsorted(taken.t, before.end, side="right"))
            self.late_events += late
            events = taken = taken[late:]
            if len(self._shared):
                events = Events.concatenate([self._shared, taken])
        self._shared = events[np.searchsorted(events.t, frame.exposed.start, side="right") :]
        self._processed, self._reset_reason = frame.exposed, ""
        if reason:
            before, events = None, Events.empty()
        return Job(frame, before, events, taken, reason, frame.complete or frame.arrived)
