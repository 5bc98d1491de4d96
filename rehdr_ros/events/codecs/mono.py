"""mono: 64-bit words {polarity 63, y 62-48, x 47-32, dt in ns 31-0}; an event's time is time_base + dt."""

from __future__ import annotations

import numpy as np

from rehdr_ros.errors import InputError
from rehdr_ros.events.codecs import stream
from rehdr_ros.events.jit import kernel, sealed
from rehdr_ros.events.packet import Events, Packet


class Decoder(stream.Decoder):
    """Every packet stands alone: a gap costs only the packets that are missing."""

    word = np.dtype("<u8")

    def _decode(self, words: np.ndarray, packet: Packet) -> Events:
        t, x, y, p = (np.empty(len(words), dtype) for dtype in (np.int64, np.uint16, np.uint16, np.uint8))
        time_base = np.uint64(packet.time_base).astype(np.int64)
        count = _decode(sealed(words), time_base, self.width, self.height, t, x, y, p)
        self.counters["out_of_bounds"] += len(words) - count
        return Events(t, x, y, p)[:count]


class Encoder(stream.Encoder):
    """Exact in ns, in any order; a packet spans less than 2^32 ns (4.29 s)."""

    encoding = "mono"

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
def _decode(words, time_base, width, height, t, x, y, p):
    count = 0
    for word in words:
        column = np.int64(word >> np.uint64(32) & np.uint64(0xFFFF))
        row = np.int64(word >> np.uint64(48) & np.uint64(0x7FFF))
        t[count] = time_base + np.int64(word & np.uint64(0xFFFFFFFF))
        x[count] = column
        y[count] = row
        p[count] = word >> np.uint64(63)
        count += column < width and row < height
    return count
