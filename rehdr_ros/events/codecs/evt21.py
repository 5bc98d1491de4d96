"""evt21 (Prophesee EVT 2.1): 64-bit words {type 63-60, ...}, up to 32 neighbours of a row each.

Types: EVT 2.1 in Prophesee's documentation. OFF, ON: time 59-54, x 53-43, y 42-32, mask 31-0, whose
bit i is an event at x + i. TIME_HIGH: 59-32. TRIGGER: time 59-54, id 44-40, edge 32. Time as in evt2.
"""

from __future__ import annotations

import numpy as np

from rehdr_ros.events.codecs import evt2, prophesee, stream
from rehdr_ros.events.codecs.masks import bit_count, within
from rehdr_ros.events.codecs.prophesee import HIGH, LOCKED, add_counts, begin_packet, end_packet, take_high
from rehdr_ros.jit import kernel

RAW = prophesee.RawFormat("EVT21", "<u8", 60, 32, evt2.HIGH_BITS, evt2.LOW_BITS)

# A power of two times a de Bruijn sequence has its exponent's own five bits on top.
_DE_BRUIJN = 0x077CB531
_EXPONENT = np.zeros(32, np.int64)
_EXPONENT[[(_DE_BRUIJN << k & 0xFFFFFFFF) >> 27 for k in range(32)]] = np.arange(32)


@kernel
def _ones(mask):
    return np.int64(bit_count(mask & 0xFFFF)) + np.int64(bit_count(mask >> 16))


@kernel
def decode_words(words, ends, stamps, width, height, state, counts):
    room, triggers = 0, 0
    for each in words:
        kind = each >> np.uint64(60)
        if kind <= np.uint64(evt2.ON):
            room += _ones(np.int64(each & np.uint64(0xFFFFFFFF)))
        triggers += kind == np.uint64(evt2.TRIGGER)
    t, x, y, p = stream.columns(room)
    rows = np.empty((triggers, 3), np.int64)

    high, locked = state[HIGH], state[LOCKED]
    outside, unsynchronized, unknown, glitches, fired = 0, 0, 0, 0, 0
    count = np.uint64(0)
    borders, begin = np.empty(len(ends), np.int64), 0
    for number in range(len(ends)):
        begin_packet(state, stamps[number])
        for each in words[begin : ends[number]]:
            word, mask = np.int64(each >> np.uint64(32)), np.int64(each & np.uint64(0xFFFFFFFF))
            kind = word >> 28
            time = (high << evt2.LOW_BITS | word >> 22 & 0x3F) * 1000
            if kind <= evt2.ON:
                column, row = word >> 11 & 0x7FF, word & 0x7FF
                if not locked:
                    unsynchronized += _ones(mask)
                    continue
                inside = within(mask, column, width) if row < height else 0
                if inside != mask:
                    outside += _ones(mask ^ inside)
                while inside:
                    lowest = inside & -inside
                    t[count] = time
                    x[count] = column + _EXPONENT[np.uint64((lowest * _DE_BRUIJN & 0xFFFFFFFF) >> 27)]
                    y[count] = row
                    p[count] = kind
                    count += np.uint64(1)
                    inside ^= lowest
            elif kind == evt2.TIME_HIGH:
                payload = word & 0xFFFFFFF
                high, glitch = take_high(state, high, payload, evt2.HIGH_BITS, evt2.LOW_BITS, evt2.GLITCH)
                glitches += glitch
                locked = 1
            elif kind == evt2.TRIGGER:
                if locked:
                    rows[fired, 0] = time
                    rows[fired, 1] = word >> 8 & 0x1F
                    rows[fired, 2] = word & 1
                    fired += 1
            elif kind != evt2.OTHERS and kind != evt2.CONTINUED:
                unknown += 1
        end_packet(state, stamps[number])
        begin, borders[number] = ends[number], count
    state[HIGH], state[LOCKED] = high, locked
    add_counts(counts, outside, unsynchronized, unknown, glitches)
    return t[:count], x[:count], y[:count], p[:count], rows[:fired], borders


class Decoder(prophesee.Decoder):
    """Events before the stream's first TIME_HIGH, or the first after a gap, are skipped."""

    word, word_bytes = np.dtype("<u8"), 8
    kernel = staticmethod(decode_words)
