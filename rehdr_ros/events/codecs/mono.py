"""mono: 64-bit words {polarity 63, y 62-48, x 47-32, dt in ns 31-0}; an event's time is time_base + dt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rehdr_ros.errors import InputError
from rehdr_ros.events.codecs import stream
from rehdr_ros.events.codecs.stream import OUT_OF_BOUNDS
from rehdr_ros.events.packet import Decoded, Events, Packet
from rehdr_ros.jit import kernel


class Decoder(stream.Decoder):
    """Every packet stands alone: a gap costs only the packets that are missing."""

    word, word_bytes = np.dtype("<u8"), 8
    stamped_at_time_base = True

    def _decode(self, words: np.ndarray, ends: np.ndarray, packets: Sequence[Packet]) -> Decoded:
        bases = stream.time_bases(packets)
        *columns, borders = decode_words(words, ends, bases, self.width, self.height, self._counts)
        return Decoded(Events.of(*columns), borders)


class Encoder(stream.Encoder):
    """Exact in ns, in any order; a packet spans less than 2^32 ns (4.29 s)."""

    encoding = "mono"

    def __init__(self, width: int, height: int) -> None:
        super().__init__(width, height)
        self._require_size(4096)

    def _encode(self, events: Events) -> tuple[int, np.ndarray]:
        if not len(events):
            return 0, np.empty(0, np.uint8)
        time_base = int(events.t.min())
        dt = (events.t - time_base).astype(np.uint64)
        if time_base < 0 or dt.max() >= 2**32:
            raise InputError("the events of a mono packet span less than 2^32 ns, from a time >= 0 on")
        polarity, y, x = (column.astype(np.uint64) for column in (events.p != 0, events.y, events.x))
        words = (polarity << np.uint64(63)) | (y << np.uint64(48)) | (x << np.uint64(32)) | dt
        return time_base, words.astype("<u8").view(np.uint8)


@kernel
def decode_words(words, ends, time_bases, width, height, counts):
    room = len(words) + 1  # what isn't kept is written, too
    t, x, y, p = stream.columns(room)
    count = np.uint64(0)
    borders, begin = np.empty(len(ends), np.int64), 0
    for number in range(len(ends)):
        time_base = time_bases[number]
        for word in words[begin : ends[number]]:
            column = np.int64(word >> np.uint64(32) & np.uint64(0xFFFF))
            row = np.int64(word >> np.uint64(48) & np.uint64(0x7FFF))
            t[count] = time_base + np.int64(word & np.uint64(0xFFFFFFFF))
            x[count] = column
            y[count] = row
            p[count] = word >> np.uint64(63)
            count += np.uint64((column < width) & (row < height))
        begin, borders[number] = ends[number], count
    counts[OUT_OF_BOUNDS] += len(words) - np.int64(count)
    return t[:count], x[:count], y[:count], p[:count], borders
