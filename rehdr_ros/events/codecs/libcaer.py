"""libcaer (iniVation): 64-bit events {valid 0, polarity 1, y 16-2, x 31-17, time in us 63-32}, time signed.

An event's time is time_base + time; where time falls within a packet, its 31 bits have wrapped.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rehdr_ros.events.codecs import stream
from rehdr_ros.events.codecs.stream import INVALID, OUT_OF_BOUNDS, TIME_GLITCHES
from rehdr_ros.events.packet import Decoded, Events, Packet
from rehdr_ros.jit import kernel

_HALF_PERIOD = 1 << 30  # a smaller step back is no wrap


class Decoder(stream.Decoder):
    """Every packet stands alone: a gap costs only the packets that are missing."""

    word, word_bytes = np.dtype("<u4"), 8

    def _decode(self, words: np.ndarray, ends: np.ndarray, packets: Sequence[Packet]) -> Decoded:
        bases = stream.time_bases(packets)
        *columns, borders = decode_words(words, ends, bases, self.width, self.height, self._counts)
        return Decoded(Events.of(*columns), borders)


@kernel
def decode_words(words, ends, time_bases, width, height, counts):
    room = len(words) // 2 + 1  # what isn't kept is written, too
    t, x, y, p = stream.columns(room)
    invalid, outside, glitches = 0, 0, 0
    count = np.uint64(0)
    borders, start = np.empty(len(ends), np.int64), 0
    for number in range(len(ends)):
        last = 0
        begin = time_bases[number]
        for k in range(start, ends[number]):
            word, us = words[np.uint64(2 * k)], np.int64(np.int32(words[np.uint64(2 * k + 1)]))
            column, row = np.int64(word >> np.uint32(17)), np.int64(word >> np.uint32(2) & np.uint32(0x7FFF))
            valid = (word & np.uint32(1) != 0) & (us >= 0)
            if us < last and valid:
                if last - us > _HALF_PERIOD:
                    begin += np.int64(1 << 31) * 1000
                else:
                    glitches += 1
            last = us if valid else last
            t[count] = begin + us * 1000
            x[count] = column
            y[count] = row
            p[count] = word >> np.uint32(1) & np.uint32(1)
            inside = (column < width) & (row < height)
            invalid += not valid
            outside += valid & (not inside)
            count += np.uint64(valid & inside)
        start, borders[number] = ends[number], count
    counts[INVALID] += invalid
    counts[OUT_OF_BOUNDS] += outside
    counts[TIME_GLITCHES] += glitches
    return t[:count], x[:count], y[:count], p[:count], borders
