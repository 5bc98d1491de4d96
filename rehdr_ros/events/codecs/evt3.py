"""evt3 (Prophesee): 16-bit words {code 15-12, payload 11-0}; only what changes is sent.

Codes and payloads: the EVT 3.0 description in Prophesee's documentation. Time is {high, low} of 12 bits each
in us and wraps every 2^24 us (16.78 s).
"""

from __future__ import annotations

import numpy as np

from rehdr_ros.errors import InputError
from rehdr_ros.events.codecs import prophesee, stream
from rehdr_ros.events.codecs.masks import bit_count, unfold, within
from rehdr_ros.events.codecs.plain import BLOCK, gather, plain_end, slot_tables, unpack
from rehdr_ros.events.codecs.prophesee import BASE, FIRST, HIGH, LOCKED, POLARITY, ROW, TIME
from rehdr_ros.events.packet import Events
from rehdr_ros.jit import kernel, sealed

ADDR_Y, ADDR_X, VECT_BASE_X, VECT_12, VECT_8, TIME_LOW, TIME_HIGH = 0, 2, 3, 4, 5, 6, 8
CONTINUED_4, PADDING, TRIGGER, OTHERS, CONTINUED_12 = 7, 9, 10, 14, 15
ON = 1 << 11
GLITCH = 10  # steps of TIME_HIGH, 41 ms, as in event_camera_codecs
RAW = prophesee.RawFormat("EVT3", "<u2", 12, 0, 12, 12, steps_back=1)

_VECTOR = 32  # pixels of a VECT_12, VECT_12, VECT_8 group, the only form that Prophesee's own decoder takes

_SHIFT, _KEEP = slot_tables(TIME_LOW, ADDR_Y)


class Encoder(stream.Encoder):
    """Exact in us, and in the order given, which must be that of time; a decoder starts below 2^24 us.

    Every packet repeats its time and row, so that the loss of one costs only its own events. Consecutive
    events of one time, row and polarity with rising x are sent as vectors where that takes fewer words.
    """

    encoding = "evt3"

    def __init__(self, width: int, height: int) -> None:
        super().__init__(width, height)
        self._require_size(2048)
        self._last_us: int | None = None

    def _encode(self, events: Events) -> tuple[int, np.ndarray]:
        if not len(events):
            return 0, np.empty(0, np.uint8)
        us = events.t // 1000
        previous = us[0] if self._last_us is None else self._last_us
        if us[0] < previous or (us[1:] < us[:-1]).any() or us[0] < 0:
            raise InputError("evt3 needs events in the order of time, from packet to packet, and times >= 0")
        high_words = (us[-1] >> 12) - (previous >> 12) + 1
        words = np.empty(3 * len(events) + high_words, "<u2")
        columns = sealed(us), sealed(events.x), sealed(events.y), sealed(events.p)
        count = _encode(*columns, self.width, previous, words)
        self._last_us = int(us[-1])
        return 0, words[:count].view(np.uint8)


@kernel
def _count(words):
    total, triggers = 0, 0
    for start in range(0, len(words), 1024):  # what 16 bits can count
        events, fired = np.uint16(0), np.uint16(0)
        for k in range(start, min(start + 1024, len(words))):
            word = words[np.uint64(k)]
            code = np.uint16(word >> np.uint16(12))
            single = np.uint16(code == np.uint16(ADDR_X))
            short = np.uint16(word & np.uint16(0xFF)) if code == np.uint16(VECT_8) else single
            mask = np.uint16(word & np.uint16(0xFFF)) if code == np.uint16(VECT_12) else short
            events = np.uint16(events + bit_count(mask))
            fired = np.uint16(fired + np.uint16(code == np.uint16(TRIGGER)))
        total += np.int64(events)
        triggers += np.int64(fired)
    return total, triggers


@kernel
def decode_words(words, ends, stamps, width, height, state, counts):
    most, triggers = _count(words)
    room = most + 1  # a block of single events writes one more than it has
    t, x, y, p = stream.columns(room)
    rows = np.empty((triggers, 3), np.int64)
    high, locked, time = state[HIGH], state[LOCKED], state[TIME]
    row, base, polarity = state[ROW], state[BASE], state[POLARITY]
    outside, unsynchronized, unknown, glitches, fired = 0, 0, 0, 0, 0
    count = np.uint64(0)  # unsigned: numba would otherwise allow for indices from the end
    borders, begin = np.empty(len(ends), np.int64), 0
    for number in range(len(ends)):
        part = words[begin : ends[number]]
        prophesee.begin_packet(state, stamps[number])
        i = 0
        while i < len(part):
            if time >= 0 and row >= 0:
                # a packet's first TIME_HIGH, though repeated, may tell of whole wraps
                repeated = TIME_HIGH << 12 | high & 0xFFF if state[FIRST] >= 0 else TIME_LOW << 12
                end = plain_end(part, i, TIME_LOW, ADDR_Y, ADDR_X, repeated)
                start = count
                count, time, row = gather(part[i:end], time, row, _SHIFT, _KEEP, ADDR_X, t, count)
                kept = unpack(t, x, y, p, start, count, (high << 12) * 1000, width, height)
                outside += np.int64(count - kept)
                count, i = kept, end

            for k in range(i, min(i + BLOCK, len(part))):
                word = np.int64(part[np.uint64(k)])
                code, payload = word >> 12, word & 0xFFF
                if code == ADDR_X:
                    column = payload & 0x7FF
                    if time < 0 or row < 0:
                        unsynchronized += 1
                    elif column < width and row < height:
                        t[count] = time * 1000
                        x[count] = column
                        y[count] = row
                        p[count] = payload >> 11
                        count += np.uint64(1)
                    else:
                        outside += 1
                elif code == TIME_LOW:
                    if locked:
                        time = high << 12 | payload
                elif code == ADDR_Y:
                    row = payload & 0x7FF
                elif code in (VECT_12, VECT_8):
                    size = 12 if code == VECT_12 else 8
                    mask = payload & ((1 << size) - 1)
                    if time < 0 or row < 0 or base < 0:
                        unsynchronized += bit_count(mask)
                    else:
                        inside = within(mask, base, width) if row < height else 0
                        outside += bit_count(mask ^ inside)
                        count = unfold(inside, size, base, row, polarity, time * 1000, t, x, y, p, count)
                    if base >= 0:
                        base += size
                elif code == VECT_BASE_X:
                    base = payload & 0x7FF
                    polarity = payload >> 11
                elif code == TIME_HIGH:
                    previous = high
                    high, glitch = prophesee.take_high(state, high, payload, 12, 12, GLITCH)
                    glitches += glitch
                    if time >= 0 and high != previous:
                        time = high << 12
                    locked = 1
                elif code == TRIGGER:
                    if time >= 0:
                        rows[fired, 0] = time * 1000
                        rows[fired, 1] = payload >> 8
                        rows[fired, 2] = payload & 1
                        fired += 1
                elif code not in (CONTINUED_4, PADDING, OTHERS, CONTINUED_12):
                    unknown += 1
            i += BLOCK
        prophesee.end_packet(state, stamps[number])
        begin, borders[number] = ends[number], count
    state[HIGH], state[LOCKED], state[TIME] = high, locked, time
    state[ROW], state[BASE], state[POLARITY] = row, base, polarity
    prophesee.add_counts(counts, outside, unsynchronized, unknown, glitches)
    return t[:count], x[:count], y[:count], p[:count], rows[:fired], borders


class Decoder(prophesee.Decoder):
    """Events before the stream's first time, row and vector base, or the first after a gap, are skipped."""

    word, word_bytes = np.dtype("<u2"), 2
    kernel = staticmethod(decode_words)


@kernel
def _encode(us, x, y, p, width, previous_us, words):
    count = 0
    high, time, row = (previous_us >> 12) - 1, -1, -1
    i = 0
    while i < len(us):
        while high < us[i] >> 12:
            high += 1
            words[count] = TIME_HIGH << 12 | high & 0xFFF
            count += 1
        if us[i] != time:
            time = us[i]
            words[count] = TIME_LOW << 12 | time & 0xFFF
            count += 1
        if y[i] != row:
            row = y[i]
            words[count] = ADDR_Y << 12 | row
            count += 1

        polarity = ON if p[i] else 0
        end = i + 1
        while end < len(us) and us[end] == time and y[end] == row and x[end] > x[end - 1]:
            if (ON if p[end] else 0) != polarity:
                break
            end += 1
        base = -1
        while i < end:
            follows = 0 <= base <= width - _VECTOR and x[i] < base + _VECTOR
            origin = base if follows else min(x[i], width - _VECTOR)
            next_i = i
            mask = 0
            while origin >= 0 and next_i < end and x[next_i] < origin + _VECTOR:
                mask |= 1 << (x[next_i] - origin)
                next_i += 1
            if next_i - i > (3 if follows else 4):
                if not follows:
                    words[count] = VECT_BASE_X << 12 | polarity | origin
                    count += 1
                words[count] = VECT_12 << 12 | mask & 0xFFF
                words[count + 1] = VECT_12 << 12 | mask >> 12 & 0xFFF
                words[count + 2] = VECT_8 << 12 | mask >> 24
                count += 3
                base = origin + _VECTOR
                i = next_i
            else:
                words[count] = ADDR_X << 12 | polarity | x[i]
                count += 1
                base = -1
                i += 1
    return count
