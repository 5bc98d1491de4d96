"""Events as they come, encoded or not -> events in ROS time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rehdr_ros.errors import InputError
from rehdr_ros.events.clock import Clock
from rehdr_ros.events.codecs import Decoder, make_decoder, require_codec, require_sensor
from rehdr_ros.events.packet import Decoded, Events, Packet

Size = tuple[int, int]  # width, height


class Receiver:
    """Decodes one stream of packets after the other, and brings their events to ROS time by its `clock`.

    A packet of another encoding or size than the one before begins another stream: with another decoder, and
    the clock anew; the counters go on.
    frame_clock, offset_ns: as of Clock. accept_triggers: whether packets may hold external triggers in place
    of events. size: of the event camera, None where unknown. restarted: whether the packet received last was
    numbered lower than the one before it. triggers: how many external triggers came with it.
    """

    def __init__(self, frame_clock: str = "host", offset_ns: int = 0, accept_triggers: bool = False) -> None:
        self.clock, self._accept_triggers = Clock(frame_clock, offset_ns), accept_triggers
        self._decoder: Decoder | None = None
        self._stream: tuple[str, int, int] | None = None
        self._earlier: Counter[str] = Counter()  # what the decoders of earlier streams counted
        self._seq, self.restarted, self.triggers = -1, False, 0
        self.size: Size | None = None

    @property
    def counters(self) -> dict[str, int]:
        """Since construction, by cause: what decoders and clock lost or found odd."""
        total = Counter(self._earlier)
        total.update(self._decoder.counters if self._decoder else {})
        clock = self.clock
        return {**total, "time_contradictions": clock.contradictions, "misdated_events": clock.misdated}

    def restart(self) -> None:
        """Expect a new stream."""
        self.clock.reset()
        self._seq = -1
        if self._decoder:
            self._decoder.reset()

    def receive(self, message: Packet | Events, size: Size | None = None) -> Events:
        """t in ROS ns. Events come decoded, in ROS time but for the offset; size: of their camera.

        Raises ValueError for an unknown encoding, an impossible size, and triggers that aren't accepted.
        """
        if isinstance(message, Events):
            self.size, self.restarted = message.size or size, False
            return message.shifted(self.clock.offset_ns)
        self.expect(message)
        return self.receive_run([message]).events

    def receive_run(self, packets: Sequence[Packet]) -> Decoded:
        """What `receive` gives for packets of which each follows the one before (Packet.follows), at once.

        The first of them must have been expected. restarted, triggers: of all.
        """
        decoded = self._decoder.decode_run(packets)
        self.triggers = len(self._decoder.triggers)
        self.restarted, self._seq = packets[0].seq < self._seq, packets[-1].seq
        return self.clock.run_to_ros(packets, decoded)

    def expect(self, packet: Packet) -> None:
        """Get ready for the stream of this packet, where it is another. Raises as `receive`."""
        stream = packet.encoding, packet.width, packet.height
        if stream == self._stream:
            return
        require_events(packet, self._accept_triggers)
        decoder = make_decoder(*stream)
        self._earlier.update(self._decoder.counters if self._decoder else {})
        self._decoder, self._stream, self.size = decoder, stream, stream[1:]
        self.clock.reset()


def require_events(packet: Packet, accept_triggers: bool = False) -> None:
    """Raise ValueError for a packet that a Receiver would not take."""
    if packet.encoding == "trigger" and not accept_triggers:
        raise InputError("these packets hold external triggers, not events: is this the right topic?")
    require_codec(packet.encoding)
    require_sensor(packet.width, packet.height)
