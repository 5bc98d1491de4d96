"""Sensor time -> ROS time."""

from __future__ import annotations

from rehdr_ros.errors import InputError
from rehdr_ros.events.packet import Events, Packet

# header.stamp belongs to time_base itself, packet by packet, instead of to a moment in the host's reception.
_STAMPED_AT_TIME_BASE = {"mono", "trigger"}
# Stamps come milliseconds late, not seconds: beyond this the sensor's time itself is damaged.
_IMPLAUSIBLE_NS = 1_000_000_000


class Clock:
    """Brings the events of one stream from the sensor's clock to the one that the frames are stamped in.

    frame_clock "host": sensor time is shifted by (header.stamp - sensor time) of the stream's first event or,
    where the encoding says that header.stamp is the time of time_base, by (header.stamp - time_base) of each
    packet. frame_clock "sensor": the sensor stamps the frames, no shift. `offset_ns` is added in both.
    A sequence number that steps back (the driver restarted, the bag looped) anchors anew, as do `reset` and a packet
    whose events are more than a second away from its stamp (damaged data moved the sensor's time).
    Raises ValueError for another frame_clock.
    """

    def __init__(self, frame_clock: str = "host", offset_ns: int = 0) -> None:
        if frame_clock not in ("host", "sensor"):
            raise InputError(f"frame_clock is 'host' or 'sensor', not {frame_clock!r}")
        self.frame_clock, self.offset_ns = frame_clock, offset_ns
        self.reset()

    def reset(self) -> None:
        """Forget the stream: the next packet anchors the clock."""
        self._anchor_ns: int | None = None
        self._seq = -1

    def to_ros(self, packet: Packet, events: Events) -> Events:
        """The events decoded from `packet`, with t in ROS ns."""
        return events.shifted(self._shift(packet, events) + self.offset_ns)

    def _shift(self, packet: Packet, events: Events) -> int:
        if self.frame_clock == "sensor":
            return 0
        if packet.encoding in _STAMPED_AT_TIME_BASE:
            return packet.stamp_ns - packet.time_base
        if packet.seq < self._seq:
            self.reset()
        self._seq = packet.seq
        if len(events):
            anchor_ns = packet.stamp_ns - int(events.t[0])
            if self._anchor_ns is None or abs(anchor_ns - self._anchor_ns) > _IMPLAUSIBLE_NS:
                self._anchor_ns = anchor_ns
        return self._anchor_ns or 0
