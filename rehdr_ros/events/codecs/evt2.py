"""evt2 (Prophesee): 32-bit words {type 31-28, ...}, one event each.

Types: EVT 2.0 in Prophesee's documentation. OFF, ON: time 27-22, x 21-11, y 10-0. TIME_HIGH: 27-0.
TRIGGER: time 27-22, id 12-8, edge 0. Time: {high, low} of 28 and 6 bits in us, wraps every 2^34 us (4.77 h).
"""

from __future__ import annotations

import numpy as np

from rehdr_ros.errors import InputError
from rehdr_ros.events.codecs import prophesee, stream
from rehdr_ros.events.codecs.prophesee import HIGH, LOCKED, add_counts, begin_packet, end_packet, take_high
from rehdr_ros.events.packet import Events
from rehdr_ros.jit import kernel, sealed

OFF, ON, TIME_HIGH, TRIGGER, OTHERS, CONTINUED = 0, 1, 8, 10, 14, 15
HIGH_BITS, LOW_BITS = 28, 6
RAW = prophesee.RawFormat("EVT2", "<u4", 28, 0, HIGH_BITS, LOW_BITS)
GLITCH = 1 << HIGH_BITS - 1  # in half a period no sensor is silent: what steps back less is no wrap


class Encoder(stream.Encoder):
    """Exact in us, in any order with steps below half a period of 2^34 us; a decoder starts in the first one.

    A packet begins with the high bits of its time, and repeats them when they change.
    """

    encoding = "evt2"

    def __init__(self, width: int, height: int) -> None:
        super().__init__(width, height)
        self._require_size(2048)

    def _encode(self, events: Events) -> tuple[int, np.ndarray]:
        if not len(events):
            return 0, np.empty(0, np.uint8)
        us = events.t // 1000
        if us.min() < 0:
            raise InputError("evt2 needs times >= 0")
        words = np.empty(2 * len(events), "<u4")
        count = _encode(sealed(us), sealed(events.x), sealed(events.y), sealed(events.p), words)
        return 0, words[:count].view(np.uint8)


@kernel
def decode_words(words, ends, stamps, width, height, state, counts):
    room, triggers = 0, 0
    for word in words:
        room += np.uint32(word >> np.uint32(28)) <= np.uint32(ON)
        triggers += np.uint32(word >> np.uint32(28)) == np.uint32(TRIGGER)
    t, x, y, p = stream.columns(room)
    rows = np.empty((triggers, 3), np.int64)

    high, locked = state[HIGH], state[LOCKED]
    outside, unsynchronized, unknown, glitches, fired = 0, 0, 0, 0, 0
    count = np.uint64(0)
    borders, begin = np.empty(len(ends), np.int64), 0
    for number in range(len(ends)):
        begin_packet(state, stamps[number])
        for each in words[begin : ends[number]]:
            word = np.int64(each)
            kind = word >> 28
            if kind <= ON:
                column, row = word >> 11 & 0x7FF, word & 0x7FF
                if not locked:
                    unsynchronized += 1
                elif column < width and row < height:
                    t[count] = (high << LOW_BITS | word >> 22 & 0x3F) * 1000
                    x[count] = column
                    y[count] = row
                    p[count] = kind
                    count += np.uint64(1)
                else:
                    outside += 1
            elif kind == TIME_HIGH:
                high, glitch = take_high(state, high, word & 0xFFFFFFF, HIGH_BITS, LOW_BITS, GLITCH)
                glitches += glitch
                locked = 1
            elif kind == TRIGGER:
                if locked:
                    rows[fired, 0] = (high << LOW_BITS | word >> 22 & 0x3F) * 1000
                    rows[fired, 1] = word >> 8 & 0x1F
                    rows[fired, 2] = word & 1
                    fired += 1
            elif kind != OTHERS and kind != CONTINUED:
                unknown += 1
        end_packet(state, stamps[number])
        begin, borders[number] = ends[number], count
    state[HIGH], state[LOCKED] = high, locked
    add_counts(counts, outside, unsynchronized, unknown, glitches)
    return t[:count], x[:count], y[:count], p[:count], rows[:fired], borders


class Decoder(prophesee.Decoder):
    """Events before the stream's first TIME_HIGH, or the first after a gap, are skipped."""

    word, word_bytes = np.dtype("<u4"), 4
    kernel = staticmethod(decode_words)


@kernel
def _encode(us, x, y, p, words):
    count, high = 0, -1
    for i in range(len(us)):
        if us[i] >> LOW_BITS != high:
            high = us[i] >> LOW_BITS
            words[count] = TIME_HIGH << 28 | high & 0xFFFFFFF
            count += 1
        polarity = ON if p[i] else OFF
        words[count] = polarity << 28 | (us[i] & 0x3F) << 22 | np.int64(x[i]) << 11 | np.int64(y[i])
        count += 1
    return count
