"""evt3 (Prophesee): 16-bit words {code 15-12, payload 11-0}; only what changes is sent.

Codes and payloads: the EVT 3.0 description in Prophesee's documentation. Time is {high, low} of 12 bits each
in us and wraps every 2^24 us (16.78 s).
"""

from __future__ import annotations

import numpy as np

from rehdr_ros.errors import InputError
from rehdr_ros.events.codecs import stream
from rehdr_ros.events.jit import kernel, sealed
from rehdr_ros.events.packet import Events, Packet

ADDR_Y, ADDR_X, VECT_BASE_X, VECT_12, VECT_8, TIME_LOW, TIME_HIGH = 0, 2, 3, 4, 5, 6, 8
CONTINUED_4, TRIGGER, OTHERS, CONTINUED_12 = 7, 10, 14, 15
ON = 1 << 11

# What crosses a packet's border, as indices of an int64 array; HIGH counts its wraps, unknown is UNKNOWN.
HIGH, TIME, ROW, BASE, POLARITY, LOCKED, EXPECTED, FIRST = range(8)
UNKNOWN = -1
GLITCH = 10  # a TIME_HIGH that steps back by no more than this is a glitch of the sensor, by more a wrap

_MAX_EVENTS_A_WORD = 12
_VECTOR = 32  # pixels of a VECT_12, VECT_12, VECT_8 group, the only form that Prophesee's own decoder takes


class Decoder(stream.Decoder):
    """Events before the stream's first time, row and vector base, or the first after a gap, are skipped."""

    word = np.dtype("<u2")

    def __init__(self, width: int, height: int) -> None:
        self._scratch = _scratch(0)
        super().__init__(width, height)

    def reset(self) -> None:
        super().reset()
        self._state = np.full(8, UNKNOWN, np.int64)
        self._state[[POLARITY, LOCKED]] = 0
        self._anchor: tuple[int, int] | None = None

    def _resynchronize(self) -> None:
        self._state[[TIME, ROW, BASE]] = UNKNOWN
        self._state[LOCKED] = 0

    def _decode(self, words: np.ndarray, packet: Packet) -> Events:
        room = _MAX_EVENTS_A_WORD * (len(words) + 1)
        if len(self._scratch[0]) < room:
            self._scratch = _scratch(room)
        self._state[EXPECTED] = self._expected_us(packet.stamp_ns)
        self._state[FIRST] = UNKNOWN
        count, outside, unsynchronized, unknown = _decode(
            sealed(words), self.width, self.height, self._state, *self._scratch
        )
        self.counters["out_of_bounds"] += outside
        self.counters["unsynchronized"] += unsynchronized
        self.counters["unknown_words"] += unknown
        if self._state[FIRST] != UNKNOWN:
            self._anchor = packet.stamp_ns, int(self._state[FIRST])
        return Events(*(column[:count].copy() for column in self._scratch))

    def _expected_us(self, stamp_ns: int) -> int:
        """The sensor's time by the stamps: the data can't tell how often time wrapped in a long gap."""
        if self._anchor is None:
            return UNKNOWN
        stamp, first_us = self._anchor
        return first_us + (stamp_ns - stamp) // 1000


class Encoder(stream.Encoder):
    """Exact in us, and in the order given, which must be that of time; a decoder starts below 2^24 us.

    Every packet repeats its time and row, so that the loss of one costs only its own events. Consecutive
    events of one time, row and polarity with rising x are sent as vectors where that takes fewer words.
    """

    encoding = "evt3"

    def __init__(self, width: int, height: int) -> None:
        if max(width, height) > 2048:
            raise InputError(f"evt3 holds images of at most 2048x2048, not {width}x{height}")
        super().__init__(width, height)
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
        count = _encode(sealed(us), sealed(events.x), sealed(events.y), sealed(events.p), self.width, previous, words)
        self._last_us = int(us[-1])
        return 0, words[:count].view(np.uint8)


def _scratch(room: int) -> tuple[np.ndarray, ...]:
    return tuple(np.empty(room, dtype) for dtype in (np.int64, np.uint16, np.uint16, np.uint8))


@kernel
def _decode(words, width, height, state, t, x, y, p):
    high, time, row, base = state[HIGH], state[TIME], state[ROW], state[BASE]
    polarity, locked, expected = state[POLARITY], state[LOCKED], state[EXPECTED]
    count, outside, unsynchronized, unknown = 0, 0, 0, 0
    for word in words:
        code = word >> 12
        payload = np.int64(word & 0xFFF)
        if code == ADDR_X:
            column = payload & 0x7FF
            if time >= 0 and 0 <= row < height and column < width:
                t[count] = time * 1000
                x[count] = column
                y[count] = row
                p[count] = payload >> 11
                count += 1
            elif time < 0 or row < 0:
                unsynchronized += 1
            else:
                outside += 1
        elif code == TIME_LOW:
            if locked:
                time = high << 12 | payload
        elif code == ADDR_Y:
            row = payload & 0x7FF
        elif code in (VECT_12, VECT_8):
            size = 12 if code == VECT_12 else 8
            for bit in range(size):
                if payload >> bit & 1:
                    if time >= 0 and 0 <= row < height and base >= 0 and base + bit < width:
                        t[count] = time * 1000
                        x[count] = base + bit
                        y[count] = row
                        p[count] = polarity
                        count += 1
                    elif time < 0 or row < 0 or base < 0:
                        unsynchronized += 1
                    else:
                        outside += 1
            if base >= 0:
                base += size
        elif code == VECT_BASE_X:
            base = payload & 0x7FF
            polarity = payload >> 11
        elif code == TIME_HIGH:
            previous = high
            if high < 0:
                high = payload
            else:
                step = (payload - high) & 0xFFF
                back = 4096 - step
                high += -back if back <= min(GLITCH, high) else step
            if state[FIRST] < 0:
                late = expected - (high << 12)
                if late > 1 << 23:
                    high += (late + (1 << 23) >> 24) << 12
                state[FIRST] = high << 12
            if time >= 0 and high != previous:
                time = high << 12
            locked = 1
        elif code not in (TRIGGER, CONTINUED_4, CONTINUED_12, OTHERS):
            unknown += 1
    state[HIGH], state[TIME], state[ROW], state[BASE] = high, time, row, base
    state[POLARITY], state[LOCKED] = polarity, locked
    return count, outside, unsynchronized, unknown


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
