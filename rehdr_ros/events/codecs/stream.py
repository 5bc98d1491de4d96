"""What the codecs of all encodings share: sequence numbers, word views, counters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rehdr_ros.errors import InputError
from rehdr_ros.events.packet import Decoded, Events, Packet, Triggers
from rehdr_ros.jit import kernel, sealed

_IN_WORDS = ("out_of_bounds", "unsynchronized", "invalid", "unknown_words", "time_glitches")
CAUSES = (*_IN_WORDS, "truncated", "lost_packets")
OUT_OF_BOUNDS, UNSYNCHRONIZED, INVALID, UNKNOWN_WORDS, TIME_GLITCHES, TRUNCATED, LOST_PACKETS = range(7)
NO_TRIGGERS = np.empty((0, 3), np.int64)
_MANY = 1 << 32


class Decoder:
    """Streaming decoder of one encoding: packets in their order -> events in sensor time.

    `counters` (since construction) tells what was lost or odd: events `out_of_bounds`, `unsynchronized`
    (their time, row or vector base was not known yet) and `invalid` (so marked by the driver),
    `unknown_words`, `time_glitches` (the sensor's time stepped back a little), `truncated` packets (a part of
    a word at the end) and `lost_packets` (gaps in seq). Damaged data is skipped and counted; it never raises.
    """

    word: np.dtype  # what one word is, or the parts of it whose bytes a big-endian sender swaps
    word_bytes: int  # of a whole word
    stamped_at_time_base = False  # header.stamp: the time of time_base, and not of the host's reception

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._counts = np.zeros(len(CAUSES), np.int64)
        self._trigger_rows = NO_TRIGGERS
        self.reset()

    @property
    def triggers(self) -> Triggers:
        """The external triggers of the packets decoded last, t in ns of the sensor's clock."""
        return Triggers.of(self._trigger_rows)

    @property
    def counters(self) -> dict[str, int]:
        return dict(zip(CAUSES, self._counts.tolist(), strict=True))

    def reset(self) -> None:
        """Forget the stream, as at its start; the counters go on."""
        self._seq: int | None = None

    def decode(self, packet: Packet) -> Events:
        """The events of `packet`, in its order, t in ns of the sensor's clock; the caller owns the arrays."""
        return self.decode_run([packet]).events

    def decode_run(self, packets: Sequence[Packet]) -> Decoded:
        """What `decode` gives for packets of which each follows the one before (Packet.follows), at once."""
        self._follow(packets[0].seq)
        self._seq = packets[-1].seq
        data, ends = self._join(packets)
        return self._decode(self._words(data, packets[0].is_bigendian), ends, packets)

    def _follow(self, seq: int) -> None:
        last, self._seq = self._seq, seq
        if last is None or seq == last + 1:
            return
        if seq < last:
            self.reset()
            self._seq = seq
        elif seq > last:
            self._counts[LOST_PACKETS] += min(seq - last - 1, _MANY)  # a damaged number may say anything
            self._resynchronize()

    def _join(self, packets: Sequence[Packet]) -> tuple[bytes | memoryview, np.ndarray]:
        """The whole words of all packets, and (N,) int64 how many they are up to each packet's end."""
        parts, ends, end = [], [], 0
        for packet in packets:
            part = memoryview(packet.data)
            count, rest = divmod(part.nbytes, self.word_bytes)
            if rest:
                self._counts[TRUNCATED] += 1
                part = part.cast("B")[:-rest]
            end += count
            parts.append(part)
            ends.append(end)
        return parts[0] if len(parts) == 1 else b"".join(parts), np.array(ends, np.int64)

    def _words(self, data: bytes | memoryview, is_bigendian: bool) -> np.ndarray:
        words = np.frombuffer(data, self.word) if len(data) else np.empty(0, self.word)
        return sealed(words.byteswap() if is_bigendian else words)

    def _resynchronize(self) -> None:
        """Packets are missing: forget what they may have changed."""

    def _decode(self, words: np.ndarray, ends: np.ndarray, packets: Sequence[Packet]) -> Decoded:
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

    def _require_size(self, largest: int) -> None:
        if max(self.width, self.height) > largest:
            size = f"{self.width}x{self.height}"
            raise InputError(f"{self.encoding} holds images of at most {largest}x{largest}, not {size}")


@kernel
def columns(room):
    """Unwritten t, x, y and p for `room` events."""
    x, y = np.empty(room, np.uint16), np.empty(room, np.uint16)
    return np.empty(room, np.int64), x, y, np.empty(room, np.uint8)


def time_bases(packets: Sequence[Packet]) -> np.ndarray:
    """(N,) ns, in the range of int64 whatever a damaged packet says."""
    return np.array([packet.time_base for packet in packets], np.uint64).view(np.int64)
