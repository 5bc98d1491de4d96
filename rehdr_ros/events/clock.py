"""Sensor time -> ROS time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rehdr_ros.errors import InputError
from rehdr_ros.events.codecs import CODECS
from rehdr_ros.events.packet import Decoded, Events, Packet
from rehdr_ros.jit import kernel, sealed

_BLOCK_NS = 100_000_000  # of sensor time, of which only the least delayed packet counts
_MEMORY_NS = 10_000_000_000  # of the estimate
_SETTLED_NS = 3_000_000_000  # of sensor time from which on a drift can be told
_MOST_DRIFT = 2e-4  # no crystals are further apart
_EARLY_NS = 50_000_000  # earlier than any packet so far can't come by chance,
_LATE_NS = 1_000_000_000  # nor later than this:
_CONVINCING = 3  # so many packets in a row that say so have found another clock
_STEPPED = 10  # blocks in a row whose least delayed packets are all so late, and alike: the host's
_STEP_NS, _ALIKE_NS = 30_000_000, 10_000_000  # clock was set forward; a queue's delays vary, and it drains
_LONGEST_NS = 5_000_000_000  # no packet spans more, but one whose time was damaged on the way
_FARTHEST_NS = 1 << 62  # between sensor and host; 146 years
_HALF = 1 << 63


class Clock:
    """Brings the events of one stream from the sensor's clock to the one that the frames are stamped in.

    frame_clock "sensor": the sensor stamps the frames, no shift. "host": where the encoding says that
    header.stamp is the time of time_base, by (header.stamp - time_base) of each packet; else estimated from
    the differences (header.stamp - sensor time of the packet's first event). A packet can only come late:
    each difference is the offset, with its drift, and a delay >= 0. The estimate is the line below those of
    the last 10 s whose slope is the median between the least delayed packets of each tenth of a second (Sen
    1968). It knows stamps and data only: a recording gives the same times however fast it is played.

    `offset_ns` is added in both. A packet whose sensor time contradicts its stamp (damaged data) is put where
    its own stamp says, and counted in `contradictions`. The estimate starts anew after three of those in a
    row, a second of packets that are all late by the same 30 ms or more (the host's clock was set forward;
    one contradiction), a pause of 10 s, or a sequence number that steps back (the driver restarted, the bag
    looped), and with `reset`. Events more than 5 s from their packet's first are left out and counted in
    `misdated`.
    `estimate`: (offset in ns at the latest packet, drift of the host's clock against the sensor's), or None;
    the drift is None while the stream is too short to tell it.
    Raises ValueError for another frame_clock.
    """

    def __init__(self, frame_clock: str = "host", offset_ns: int = 0) -> None:
        if frame_clock not in ("host", "sensor"):
            raise InputError(f"frame_clock is 'host' or 'sensor', not {frame_clock!r}")
        self.frame_clock, self.offset_ns = frame_clock, offset_ns
        self.contradictions = self.misdated = 0
        self.reset()

    def reset(self) -> None:
        """Forget the stream: the next packet anchors the clock."""
        self._seq = -1
        self._in_a_row = 0
        self._forget()

    def set_offset(self, offset_ns: int) -> None:
        """Add another offset from the next packet on."""
        self.offset_ns = offset_ns

    @property
    def estimate(self) -> tuple[int, float | None] | None:
        if not self._blocks:
            return None
        return self._line(self._blocks[-1][0]), self._drift if self._span() >= _SETTLED_NS else None

    def to_ros(self, packet: Packet, events: Events) -> Events:
        """The events decoded from `packet`, t in ROS ns, but for those that lie far from its first one."""
        return self.run_to_ros([packet], Decoded(events, np.array([len(events)]))).events

    def run_to_ros(self, packets: Sequence[Packet], decoded: Decoded) -> Decoded:
        """What `to_ros` gives for packets of which each follows the one before (Packet.follows), at once."""
        events, ends = decoded
        t = sealed(events.t)
        first, misdated = _look(t, ends)
        if misdated.any():
            self.misdated += int(misdated.sum())
            events = events[np.abs(t - np.repeat(first, np.diff(ends, prepend=0))) <= _LONGEST_NS]
            t, ends = sealed(events.t), ends - np.cumsum(misdated)
        begin, shifts = 0, []
        for packet, end, first_ns in zip(packets, ends.tolist(), first.tolist(), strict=True):
            shift = self._shift(packet, first_ns if end > begin else None) + self.offset_ns
            shifts.append((shift + _HALF) % (2 * _HALF) - _HALF)  # times wrap, as only damaged packets' do
            begin = end
        if any(shifts):
            events = Events.of(_shifted(t, ends, np.array(shifts, np.int64)), events.x, events.y, events.p)
        return Decoded(events, ends)

    def _shift(self, packet: Packet, first_ns: int | None) -> int:
        """first_ns: the sensor's time of its first event, None without events."""
        if self.frame_clock == "sensor":
            return 0
        if CODECS[packet.encoding].Decoder.stamped_at_time_base:
            return packet.stamp_ns - packet.time_base
        if packet.seq < self._seq:
            self.reset()
        self._seq = packet.seq
        if first_ns is None:
            return 0
        return self._follow(first_ns, packet.stamp_ns - first_ns)

    def _follow(self, sensor_ns: int, difference: int) -> int:
        if abs(difference) > _FARTHEST_NS:
            self.contradictions += 1
            return difference
        if self._blocks:
            delay = difference - self._line(sensor_ns)
            if not -_EARLY_NS <= delay <= _LATE_NS:
                self.contradictions += 1
                self._in_a_row += 1
                if self._in_a_row < _CONVINCING:
                    return difference
                self._forget()
        self._in_a_row = 0
        self._note(sensor_ns, difference)
        return self._line(sensor_ns)

    def _forget(self) -> None:
        self._blocks: list[tuple[int, int]] = []  # (sensor time, difference) of the least delayed packets
        self._anchor, self._drift = (0, 0), 0.0  # a point of the line, and its slope

    def _span(self) -> int:
        return self._blocks[-1][0] - self._blocks[0][0]

    def _line(self, sensor_ns: int) -> int:
        start, offset = self._anchor
        return offset + round(self._drift * (sensor_ns - start))

    def _note(self, sensor_ns: int, difference: int) -> None:
        if not self._blocks or sensor_ns // _BLOCK_NS != self._blocks[-1][0] // _BLOCK_NS:
            recent = [block for block in self._blocks if abs(sensor_ns - block[0]) < _MEMORY_NS]
            if self._has_stepped():
                self.contradictions += 1
                recent = recent[-_STEPPED:]
            self._blocks = [*recent[1 - _MEMORY_NS // _BLOCK_NS :], (sensor_ns, difference)]
            self._fit()
        elif difference - self._line(sensor_ns) < self._blocks[-1][1] - self._line(self._blocks[-1][0]):
            self._blocks[-1] = sensor_ns, difference
        if difference < self._line(sensor_ns):
            self._anchor = sensor_ns, difference

    def _has_stepped(self) -> bool:
        """Whether the host's clock was set forward a while ago: the packets since are late, all alike."""
        delays = [difference - self._line(time) for time, difference in self._blocks[-_STEPPED:]]
        is_late = len(self._blocks) > _STEPPED and min(delays) > _STEP_NS
        return is_late and max(delays) - min(delays) < _ALIKE_NS

    def _fit(self) -> None:
        times, differences = np.array(self._blocks, np.int64).T
        # float64 holds these differences from the first to a ns, but not the times themselves.
        x, y = (times - times[0]).astype(np.float64), (differences - differences[0]).astype(np.float64)
        self._drift = _median_slope(x, y) if self._span() >= _SETTLED_NS else 0.0
        self._anchor = self._blocks[int(np.argmin(y - self._drift * x))]


@kernel
def _look(t, ends):
    """Of each packet: its first time, 0 without events, and how many lie far from that."""
    first, far = np.zeros(len(ends), np.int64), np.zeros(len(ends), np.int64)
    begin = 0
    for k in range(len(ends)):
        if ends[k] > begin:
            first[k] = t[begin]
            least, most = t[begin], t[begin]
            for i in range(begin, ends[k]):
                least, most = min(least, t[i]), max(most, t[i])
            # Differences that don't fit are negative.
            if not (0 <= most - first[k] <= _LONGEST_NS and 0 <= first[k] - least <= _LONGEST_NS):
                for i in range(begin, ends[k]):
                    far[k] += abs(t[i] - first[k]) > _LONGEST_NS
        begin = ends[k]
    return first, far


@kernel
def _shifted(t, ends, shifts):
    shifted = np.empty_like(t)
    begin = 0
    for k in range(len(ends)):
        for i in range(begin, ends[k]):
            shifted[i] = t[i] + shifts[k]
        begin = ends[k]
    return shifted


def _median_slope(x: np.ndarray, y: np.ndarray) -> float:
    """Median of the slopes between all pairs: a few packets of less delay than ever don't turn the line.

    P. K. Sen, "Estimates of the Regression Coefficient Based on Kendall's Tau", 1968.
    """
    a, b = np.triu_indices(len(x), 1)
    apart = x[a] != x[b]
    slopes = (y[b] - y[a])[apart] / (x[b] - x[a])[apart]
    return float(np.clip(np.median(slopes), -_MOST_DRIFT, _MOST_DRIFT))
