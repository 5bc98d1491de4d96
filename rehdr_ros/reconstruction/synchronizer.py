"""Which events belong to which frame, and when a frame may go."""

import time
from collections import deque
from dataclasses import dataclass

import numpy as np

from rehdr_ros.errors import InputError
from rehdr_ros.events import EventBuffer, Events

_EAGER = 32  # waiting frames from which the oldest goes without its last events
CROWDED = 64  # waiting frames from which the oldest is skipped
_RESTART_NS = 1_000_000_000  # events that step back further than this start a new stream
_OVERTAKEN_NS = 250_000_000  # frames no further back may have changed places on their way
_SHUFFLED_NS = 50_000_000  # and packets
_PATIENCE = 2.0  # s that a frame waits where another clock than the wall's tells the timeout, and may stand still


@dataclass(eq=False)
class PendingFrame:
    """A frame that waits. image: (H, W) or (H, W, 3); exposure: time x gain in s, or None; arrived: monotonic s.

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


@dataclass(frozen=True)
class Job:
    """A frame and the events of (t0_ns, frame.stamp_ns]; t0_ns is None for the first frame after a reset.

    reset_reason: why the hidden state must be forgotten before this frame, else empty. ready_at: monotonic s at
    which the last message that the frame needed had arrived.
    """

    frame: PendingFrame
    t0_ns: int | None
    events: Events
    reset_reason: str
    ready_at: float


class Synchronizer:
    """Pairs frames with events by their stamps. Not thread-safe.

    A frame may go when the event stream has passed its stamp, or event_timeout s after its arrival. Policy "all"
    keeps every frame, up to 64 that wait; "latest" skips frames that a newer one has overtaken. The events of a
    skipped frame join the next grid.
    max_frame_gap: s between two stamps from which on the stream counts as interrupted.
    """

    def __init__(self, policy: str, event_timeout: float, max_frame_gap: float, buffer_megabytes: float):
        self.configure(policy, event_timeout, max_frame_gap)
        self._buffer = EventBuffer(buffer_megabytes)
        self._frames: deque[PendingFrame] = deque()
        self._last: PendingFrame | None = None  # skipped or processed
        self._overtaken_ns: int | None = None  # the stamp of a frame that stepped back and was skipped
        self._passed_ns: int | None = None  # where the event stream is
        self._processed_ns = 0
        self._reset_reason = "start"
        self.skipped_frames = self.duplicate_frames = self.overtaken_frames = 0
        self.late_events = 0

    def configure(self, policy: str, event_timeout: float, max_frame_gap: float) -> None:
        """Go on with other settings. Raises ValueError for an unknown policy."""
        if policy not in ("all", "latest"):
            raise InputError(f"policy is 'all' or 'latest', not {policy!r}")
        self._policy, self._event_timeout = policy, event_timeout
        self._max_gap_ns = int(max_frame_gap * 1e9)

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
        self._passed_ns = None
        self._buffer.clear()
        self._frames.clear()

    def drop_events(self) -> None:
        """Forget the events that wait, and count them."""
        self.late_events += len(self._buffer)
        self._buffer.clear()

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
        self._passed_ns = passed if shuffled else newest
        for frame in self._frames:
            if frame.complete is None and self._passed_ns >= frame.stamp_ns:
                frame.complete = arrived

    def add_frame(self, frame: PendingFrame) -> None:
        """Queue a frame. A duplicate is skipped, and so is one that was overtaken on its way."""
        last = self._frames[-1] if self._frames else self._last
        if last is not None and self._is_stray(frame.stamp_ns, last.stamp_ns):
            self.skipped_frames += 1
            return
        if len(self._frames) >= CROWDED:
            self._skip()
        if frame.grid is not None or (self._passed_ns is not None and self._passed_ns >= frame.stamp_ns):
            frame.complete = frame.arrived
        self._frames.append(frame)

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
        t0, reason = self._processed_ns, self._reset_reason
        events = self._buffer.take_until(frame.stamp_ns)
        if reason:
            t0, events = None, Events.empty()
        else:
            late = int(np.searchsorted(events.t, t0, side="right"))
            self.late_events += late
            events = events[late:]
        self._processed_ns, self._reset_reason = frame.stamp_ns, ""
        return Job(frame, t0, events, reason, frame.complete or frame.arrived)
