"""libcaer_cmp (libcaer_driver, compact): 16-bit words {code 15-12, payload 11-0}; only what changes is sent.

Time is time_base + {high, low} of 12 bits each in us, from zero in every packet; vectors run along y.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rehdr_ros.events.codecs import stream
from rehdr_ros.events.codecs.masks import bit_count, unfold, within
from rehdr_ros.events.codecs.plain import BLOCK, gather, plain_end, slot_tables, unpack
from rehdr_ros.events.codecs.stream import OUT_OF_BOUNDS, UNKNOWN_WORDS, UNSYNCHRONIZED
from rehdr_ros.events.packet import Decoded, Events, Packet
from rehdr_ros.jit import kernel

TIME_HIGH, TIME_LOW, ADDR_X, ADDR_Y, VECT_BASE_Y, VECT_8 = range(6)

_SHIFT, _KEEP = slot_tables(TIME_LOW, ADDR_X)


class Decoder(stream.Decoder):
    """Every packet stands alone: a gap costs only the packets that are missing."""

    word, word_bytes = np.dtype("<u2"), 2

    def _decode(self, words: np.ndarray, ends: np.ndarray, packets: Sequence[Packet]) -> Decoded:
        bases = stream.time_bases(packets)
        *columns, borders = decode_words(words, ends, bases, self.width, self.height, self._counts)
        return Decoded(Events.of(*columns), borders)


@kernel
def _count(words):
    total = 0
    for start in range(0, len(words), 4096):  # what 16 bits can count
        events = np.uint16(0)
        for k in range(start, min(start + 4096, len(words))):
            word = words[np.uint64(k)]
            code = np.uint16(word >> np.uint16(12))
            single = np.uint16(code == np.uint16(ADDR_Y))
            mask = np.uint16(word & np.uint16(0xFF)) if code == np.uint16(VECT_8) else single
            events = np.uint16(events + bit_count(mask))
        total += np.int64(events)
    return total


@kernel
def decode_words(words, ends, time_bases, width, height, counts):
    room = _count(words) + 1  # what isn't kept is written, too
    t, x, y, p = stream.columns(room)
    outside, unsynchronized, unknown = 0, 0, 0
    count = np.uint64(0)
    borders, begin = np.empty(len(ends), np.int64), 0
    for number in range(len(ends)):
        part, time_base = words[begin : ends[number]], time_bases[number]
        high, low, column, base, polarity = 0, 0, -1, -1, 0
        i = 0
        while i < len(part):
            if column >= 0:
                end = plain_end(part, i, TIME_LOW, ADDR_X, ADDR_Y, TIME_HIGH << 12 | high)
                start = count
                count, low, column = gather(part[i:end], low, column, _SHIFT, _KEEP, ADDR_Y, t, count)
                kept = unpack(t, y, x, p, start, count, time_base + (high << 12) * 1000, height, width)
                outside += np.int64(count - kept)
                count, i = kept, end

            for k in range(i, min(i + BLOCK, len(part))):
                word = np.int64(part[np.uint64(k)])
                code, payload = word >> 12, word & 0xFFF
                if code == ADDR_Y:
                    row = payload & 0x7FF
                    if column < 0:
                        unsynchronized += 1
                    elif row < height and column < width:
                        t[count] = time_base + (high << 12 | low) * 1000
                        x[count] = column
                        y[count] = row
                        p[count] = payload >> 11
                        count += np.uint64(1)
                    else:
                        outside += 1
                elif code == ADDR_X:
                    column = payload & 0x7FF
                elif code == TIME_LOW:
                    low = payload
                elif code == VECT_8:
                    mask = payload & 0xFF
                    if column < 0 or base < 0:
                        unsynchronized += bit_count(mask)
                    else:
                        inside = within(mask, base, height) if column < width else 0
                        outside += bit_count(mask ^ inside)
                        time = time_base + (high << 12 | low) * 1000
                        count = unfold(inside, 8, base, column, polarity, time, t, y, x, p, count)
                    if base >= 0:
                        base += 8
                elif code == VECT_BASE_Y:
                    base = payload & 0x7FF
                    polarity = payload >> 11
                elif code == TIME_HIGH:
                    high = payload
                else:
                    unknown += 1
            i += BLOCK
        begin, borders[number] = ends[number], count
    counts[OUT_OF_BOUNDS] += outside
    counts[UNSYNCHRONIZED] += unsynchronized
    counts[UNKNOWN_WORDS] += unknown
    return t[:count], x[:count], y[:count], p[:count], borders
