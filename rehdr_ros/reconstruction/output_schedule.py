"""When outputs between the frames are due, which frame each rests on, and the events since."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from rehdr_ros.events import EventBuffer, Events
from rehdr_ros.reconstruction.config import PipelineConfig
from rehdr_ros.reconstruction.keyframe import Keyframe
from rehdr_ros.reconstruction.synchronizer import AHEAD_NS, RESTART_NS, Job, Synchronizer, precedes

_KEYFRAMES = 4  # an output never rests on one before these
_WAITING = 2  # outputs that are due besides the next one, with which that is left out
_RECOVERY = 1.0  # s after a skipped frame in which each frame has but one output
_GONE_ON_NS = 250_000_000  # since frames stepped back, without events to contradict them
_MARK_NS, _MARKS = 1_000_000, 4000  # how finely, and how far back, it is known when events came


@dataclass(frozen=True, eq=False)
class OutputJob:
    """An output at a regular stamp.

    instant_ns: the stamp on the events' clock, by which they are late. keyframe: the reconstructed frame that
    it rests on. is_first: on which no output before rested. events: since the output before. since: those
    since the keyframe's time, where is_first, else as events. ready_at: monotonic s at which its last event
    had arrived. started: the keyframe, this or one before it, with which the hidden state started anew since
    the output before; None where it didn't.
    """

    stamp_ns: int
    instant_ns: int
    keyframe: Keyframe
    is_first: bool
    events: Events
    since: Events
    ready_at: float
    started: Keyframe | None = None


class OutputSchedule:
    """Outputs at whole multiples of 1 / output_rate s, strictly increasing within a stream. Not thread-safe.

    An output is due when the event stream has passed it, or by the clock of the frames' waiting
    output_timeout s after it should have. It rests on the last frame that had been exposed, and had come, by
    then. Live, where that frame is still being reconstructed output_timeout s later, it rests on the one
    before. skipped: with policy "latest", outputs left out because the machine is too slow; those go before
    any frame, and where frames go too, but one output a frame stays.
    """

    def __init__(self, config: PipelineConfig) -> None:
        self.configure(config)
        self._period = 10**9 / Fraction(config.output_rate).limit_denominator(1000)  # ns
        self._buffer = EventBuffer(config.ring_megabytes)
        self.skipped = 0
        self._frames_skipped, self._recovered_at = 0, -math.inf
        self.clear()

    def configure(self, config: PipelineConfig) -> None:
        """Go on with other settings, those of a pipeline that are not fixed."""
        self._timeout, self._gap_ns = config.output_timeout, int(config.max_frame_gap * 1e9)
        self._skips = config.policy == "latest"

    def clear(self) -> None:
        """Expect a new stream."""
        self._buffer.clear()
        self._keyframes: deque[Keyframe] = deque(maxlen=_KEYFRAMES)
        self._last: Keyframe | None = None  # on which an output rested
        self._started: Keyframe | None = None  # that starts, which no output has told yet
        self._since: list[Events] = []  # its time, up to the output before
        self._number: int | None = None  # of the next output
        self._done: int | None = None  # of the last one that went, or was skipped
        self._passed_ns = -(1 << 63)  # the farthest that the stream was when one went
        # Where frames have stepped back: from when, to when, and where the event stream was.
        self._back: tuple[int, int, int | None] | None = None
        self._marks: deque[tuple[int, float]] = deque(maxlen=_MARKS)
        self._came: deque[tuple[int, float | None, float]] = deque(maxlen=2)  # frames

    def add_events(
        self, events: Events, ends: Sequence[int], arrived: Sequence[float], passed_ns: int | None
    ) -> None:
        """Of packets, in ROS ns. ends: how many up to the end of each; arrived: of each, monotonic s.

        passed_ns: where the stream is now, None without events; a packet beyond it tells nothing of when
        events come.
        """
        latest = self._buffer.latest
        if len(events) and latest is not None and int(events.t[-1]) < latest - RESTART_NS:
            self._buffer.clear()
            self._marks.clear()
        self._buffer.append(events)
        while self._marks and passed_ns is not None and self._marks[-1][0] > passed_ns:
            self._marks.pop()  # of a packet that was ahead
        begin = 0
        for end, at in zip(ends, arrived, strict=True):
            if end > begin:
                newest = int(events.t[end - 1])
                follows = not self._marks or newest - self._marks[-1][0] >= _MARK_NS
                if follows and newest <= passed_ns:
                    self._marks.append((newest, at))
            begin = end

    def add_frame(self, stamp_ns: int, arrived: float, since: float | None) -> None:
        """That a frame came, as of Synchronizer."""
        self._came.append((stamp_ns, since, arrived))

    def add_keyframe(self, keyframe: Keyframe, passed_ns: int | None) -> None:
        """A frame that has been reconstructed. passed_ns: where the event stream is."""
        if self._keyframes and keyframe.time_ns < self._keyframes[-1].time_ns:
            self._back = self._keyframes[-1].time_ns, keyframe.time_ns, passed_ns
            self._keyframes.clear()
            self._last, self._since = None, []
            self._number = None if self._done is None else self._done + 1  # as if they had never been ahead
        elif self._back is not None:
            from_ns, to_ns, passed_then = self._back
            if keyframe.time_ns > from_ns:
                self._back = None
            elif keyframe.time_ns - to_ns >= _GONE_ON_NS and passed_ns == passed_then:
                self._number_anew(passed_ns)
        self._keyframes.append(keyframe)
        if keyframe.starts:
            self._started = keyframe

    def next(
        self, synchronizer: Synchronizer, running: Job | None, now: float | None, flush: bool
    ) -> OutputJob | None:
        """The next output that is due. running: the frame that is being reconstructed.

        now: s by the clock of the frames' waiting, None: no timeout, and no output is skipped; flush: nothing
        more comes.
        """
        passed_ns = synchronizer.passed_ns
        if self._back is not None and self._is_another_stream(passed_ns):
            self._number_anew(passed_ns)
        while self._keyframes:
            stamp_ns, instant_ns = self._next_times()
            if not self._is_due(stamp_ns, instant_ns, passed_ns, now, flush):
                return None
            keyframe = self._keyframe_of(instant_ns)
            if keyframe is None:  # the stream begins, or was interrupted
                later = [k for k in self._keyframes if k.usable_from > instant_ns]
                if not later:
                    return None
                self._number = self._first_from(later[0])
                continue
            ready_at = self._ready_at(instant_ns)
            waited = time.monotonic() - ready_at
            expected = synchronizer.expects(instant_ns) or _expects(running, instant_ns)
            if expected and (now is None or waited < self._timeout):
                return None
            if now is not None and self._skips:
                late = waited > self._timeout and self._is_passed(_WAITING, passed_ns)
                waits = running is not None and synchronizer.crowded
                behind = (waits or self._recovers(synchronizer)) and keyframe is self._last
                if late or behind:
                    self._count()
                    self.skipped += 1
                    continue
            self._passed_ns = max(self._passed_ns, instant_ns if passed_ns is None else passed_ns)
            return self._make_job(stamp_ns, instant_ns, keyframe, ready_at)
        return None

    def _is_another_stream(self, passed_ns: int | None) -> bool:
        """Whether the events have stepped back as the frames have: those alone may be stamped wrong.

        Or whether outputs of the future went, by such a frame.
        """
        if passed_ns is None or passed_ns < self._passed_ns:
            return True
        return self._done is not None and self._stamp(self._done) > passed_ns + AHEAD_NS

    def _number_anew(self, passed_ns: int | None) -> None:
        self._back = self._number = self._done = None
        self._passed_ns = -(1 << 63) if passed_ns is None else passed_ns

    def _count(self) -> None:
        self._done, self._number = self._number, self._number + 1

    def _recovers(self, synchronizer: Synchronizer) -> bool:
        """Whether frames were skipped lately because the machine is too slow."""
        skipped, now = synchronizer.outrun_frames, time.monotonic()
        if skipped > self._frames_skipped:
            self._frames_skipped, self._recovered_at = skipped, now + _RECOVERY
        return now < self._recovered_at

    def _make_job(self, stamp_ns: int, instant_ns: int, keyframe: Keyframe, ready_at: float) -> OutputJob:
        is_first, started = keyframe is not self._last, None
        starts = self._started is not None and self._started.time_ns <= keyframe.time_ns
        if is_first and starts:  # what came while there were no frames may be much
            self._buffer.drop_until(keyframe.time_ns)
        events = self._buffer.take_until(instant_ns)
        self._since.append(events)
        since = events
        if is_first:
            since = Events.concatenate(self._since)
            since = since[since.t > keyframe.time_ns]
            self._since, self._last = [since], keyframe
            if starts:
                started, self._started, events = self._started, None, since
        self._count()
        return OutputJob(stamp_ns, instant_ns, keyframe, is_first, events, since, ready_at, started)

    def _next_times(self) -> tuple[int, int]:
        """Stamp and instant of the next output."""
        if self._number is None:
            self._number = self._first_from(self._keyframes[0])
        stamp_ns = self._stamp(self._number)
        return stamp_ns, stamp_ns + self._keyframes[-1].latency_ns

    def _is_due(
        self, stamp_ns: int, instant_ns: int, passed_ns: int | None, now: float | None, flush: bool
    ) -> bool:
        newest = self._keyframes[-1]
        if passed_ns is not None and passed_ns >= instant_ns:
            return True
        if flush:
            return newest.usable_from >= instant_ns
        if now is None or not self._came or instant_ns - newest.time_ns > self._gap_ns:
            return False
        came_ns, since, arrived = self._usual_frame
        clock, began = (time.monotonic(), arrived) if since is None else (now, since)
        return clock >= began + (stamp_ns - came_ns) * 1e-9 + self._timeout

    @property
    def _usual_frame(self) -> tuple[int, float | None, float]:
        """Of the last two frames that whose stamp is less ahead of its arrival: one may be stamped wrong."""
        return max(self._came, key=lambda came: round(came[2] * 1e9) - came[0])

    def _keyframe_of(self, instant_ns: int) -> Keyframe | None:
        usable = [k for k in self._keyframes if precedes(k.exposed, k.passed_ns, instant_ns)]
        return usable[-1] if usable and instant_ns - usable[-1].time_ns <= self._gap_ns else None

    def _is_passed(self, ahead: int, passed_ns: int | None) -> bool:
        """Whether the stream has passed the output that is so many after the next one."""
        instant_ns = self._stamp(self._number + ahead) + self._keyframes[-1].latency_ns
        return passed_ns is not None and passed_ns >= instant_ns

    def _ready_at(self, instant_ns: int) -> float:
        """When the stream passed it; where it hasn't, when it should have by the last frame's arrival."""
        while self._marks and self._marks[0][0] < instant_ns:
            self._marks.popleft()
        if self._marks:
            return self._marks[0][1]
        came_ns, _, arrived = self._usual_frame
        return min(arrived + (instant_ns - came_ns) * 1e-9, time.monotonic())

    def _first_from(self, keyframe: Keyframe) -> int:
        """The number of the first output that rests on it, and follows those before."""
        first = self._numbered(keyframe.usable_from - self._keyframes[-1].latency_ns - 1) + 1
        return first if self._number is None else max(first, self._number)

    def _stamp(self, number: int) -> int:
        return number * self._period.numerator // self._period.denominator

    def _numbered(self, ns: int) -> int:
        """The last output up to that time."""
        return ((ns + 1) * self._period.denominator - 1) // self._period.numerator


def _expects(running: Job | None, instant_ns: int) -> bool:
    return running is not None and precedes(running.exposed, running.passed_ns, instant_ns)
