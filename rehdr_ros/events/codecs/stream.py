"""What the codecs of all encodings share: sequence numbers, word views, counters."""

from __future__ import annotations

import numpy as np

from rehdr_ros.errors import InputError
from rehdr_ros.events.packet import Events, Packet


class Decoder:
    """Streaming decoder of one encoding: packets in their order -> events in sensor time.

    `counters` (since construction) tells what was lost: events `out_of_bounds` and `unsynchronized` (their
    time, row or vector base was not known yet), `unknown_words`, `truncated` packets (a part of a word at the
    end) and `lost_packets` (gaps in seq). Damaged data is skipped and counted; it never raises.
    """

    word: np.dtype

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        causes = ("out_of_bounds", "unsynchronized", "unknown_words", "truncated", "lost_packets")
        self.counters = dict.fromkeys(causes, 0)
        self.reset()

    def reset(self) -> None:
        """Forget the stream, as at its start; the counters go on."""
        self._seq: int | None = None

    def decode(self, packet: Packet) -> Events:
        """The events of `packet`, in its order, t in ns of the sensor's clock; the caller owns the arrays."""
        self._follow(packet.seq)
        return self._decode(self._words(packet), packet)

    def _follow(self, seq: int) -> None:
        if self._seq is not None and seq < self._seq:
            self.reset()
        elif self._seq is not None and seq > self._seq + 1:
            self.counters["lost_packets"] += seq - self._seq - 1
            self._resynchronize()
        self._seq = seq

    def _words(self, packet: Packet) -> np.ndarray:
        octets = np.frombuffer(packet.data, np.uint8)
        whole = len(octets) - len(octets) % self.word.itemsize
        self.counters["truncated"] += whole != len(octets)
        words = octets[:whole].view(self.word)
        return words.byteswap() if packet.is_bigendian else words

    def _resynchronize(self) -> None:
        """Packets are missing: forget what they may have changed."""

    def _decode(self, words: np.ndarray, packet: Packet) -> Events:
        raise NotImplementedError


class Encoder:
    """Streaming encoder of one encoding: events in sensor time -> packets, numbered from 0."""

    encoding: str

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._seq = 0

    def encode(self, events: Events, stamp_ns: int | None = None) -> Packet:
        """One packet with all `events`, stamped `stamp_ns`, by default with the time of its first event.

        Raises ValueError for events outside the image, for times that the encoding cannot hold or whose order
        it cannot keep, and for no events without a stamp.
        """
        if stamp_ns is None:
            if not len(events):
                raise ValueError("a packet without events needs a stamp")
            stamp_ns = int(events.t[0])
        if len(events) and (events.x.max() >= self.width or events.y.max() >= self.height):
            raise InputError(f"events outside the image of {self.width}x{self.height}")
        time_base, data = self._encode(events)
        packet = Packet(stamp_ns, self.width, self.height, self._seq, time_base, self.encoding, data)
        self._seq += 1
        return packet

    def _encode(self, events: Events) -> tuple[int, np.ndarray]:
        raise NotImplementedError
