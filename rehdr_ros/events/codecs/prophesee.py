"""What evt2, evt2.1, evt3 share: events carry time's low bits, TIME_HIGH words its high ones, which wrap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from rehdr_ros.events.codecs import stream
from rehdr_ros.events.packet import Decoded, Events, Packet
from rehdr_ros.jit import kernel

# What crosses a packet's border, as indices of an int64 array. HIGH counts its wraps. EXPECTED, FIRST (us):
# the sensor's time by the stamps, and what the packet's first TIME_HIGH said. ANCHOR (us), STAMP (ns): such a
# FIRST that is believed, and its packet's stamp. SURPRISES: in a row. What is not known is UNKNOWN.
HIGH, LOCKED, EXPECTED, FIRST, TIME, ROW, BASE, POLARITY, ANCHOR, STAMP, SURPRISES = range(11)
UNKNOWN = -1

_SURPRISE_US = 2_000_000  # between sensor and stamps: no jitter, but a damaged word or a sensor's reset
_CONVINCING = 3  # surprises in a row
_LATEST_US = 2**63 // 1000  # in ns, what int64 holds


class RawFormat(NamedTuple):
    """How Prophesee's RAW files name an encoding, and where their time begins.

    name: as behind "% format", and the endianness where they tell one. TIME_HIGH words: of `word`, their
    type 8 from bit `kind` on, the time's high `high_bits` from bit `high` on, in steps of 2**`low_bits` us.
    steps_back: steps before the first such word at which Prophesee's tools begin to count.
    """

    name: str
    word: str
    kind: int
    high: int
    high_bits: int
    low_bits: int
    steps_back: int = 0

    def start_ns(self, words: bytes) -> int | None:
        """The file's time 0 by the sensor's clock: `is_time_shifting_enabled` in OpenEB's decoders.

        None where no word tells the high bits of time.
        """
        values = np.frombuffer(words, self.word, len(words) // np.dtype(self.word).itemsize)
        told = values[(values >> self.kind & 0xF) == 8]
        if not len(told):
            return None
        high = int(told[0]) >> self.high & ((1 << self.high_bits) - 1)
        return (max(high - self.steps_back, 0) << self.low_bits) * 1000


class Decoder(stream.Decoder):
    """Around `kernel(words, ends, stamps, width, height, state, counts)`.

    ends, stamps: (N,) int64, of N packets. It returns t, x, y, p, rows of triggers, and where in the events
    each packet ends.
    """

    kernel: Callable

    def reset(self) -> None:
        super().reset()
        self._state = np.full(11, UNKNOWN, np.int64)
        self._state[[LOCKED, POLARITY, SURPRISES]] = 0

    def _resynchronize(self) -> None:
        self._state[[TIME, ROW, BASE]] = UNKNOWN
        self._state[LOCKED] = 0

    def _decode(self, words: np.ndarray, ends: np.ndarray, packets: Sequence[Packet]) -> Decoded:
        stamps = np.array([packet.stamp_ns for packet in packets], np.int64)
        decoded = self.kernel(words, ends, stamps, self.width, self.height, self._state, self._counts)
        *columns, self._trigger_rows, borders = decoded
        return Decoded(Events.of(*columns), borders)


@kernel
def begin_packet(state, stamp_ns):
    """EXPECTED by the stamps: the data can't tell how often time wrapped in a long gap."""
    state[FIRST] = state[EXPECTED] = UNKNOWN
    anchored_ns = state[STAMP]
    if state[ANCHOR] == UNKNOWN or stamp_ns == anchored_ns:  # stamps that stand still tell nothing
        return
    # The floor of the difference in us, which in ns might not fit.
    passed = stamp_ns // 1000 - anchored_ns // 1000 + (stamp_ns % 1000 - anchored_ns % 1000) // 1000
    expected = state[ANCHOR] + passed
    if 0 <= expected < _LATEST_US:
        state[EXPECTED] = expected


@kernel
def end_packet(state, stamp_ns):
    """Anchor the next expectation, but not at a time that only one damaged packet believes in."""
    first, expected = state[FIRST], state[EXPECTED]
    if first == UNKNOWN:
        return
    state[SURPRISES] += 1
    if expected == UNKNOWN or abs(first - expected) < _SURPRISE_US or state[SURPRISES] >= _CONVINCING:
        state[ANCHOR], state[STAMP], state[SURPRISES] = first, stamp_ns, 0


@kernel
def take_high(state, high, payload, bits, shift, glitch):
    """HIGH after a TIME_HIGH word of `bits` bits, which counts 2**shift us; and whether that glitched.

    A step back by no more than `glitch` is a glitch of the sensor, by more a wrap. In a packet's first such
    word the number of wraps is the one that comes closest to what the stamps let expect.
    """
    glitched = False
    if high < 0:
        high = payload
    else:
        step = (payload - high) & ((1 << bits) - 1)
        back = (1 << bits) - step
        glitched = step != 0 and back <= min(glitch, high)
        high += -back if glitched else step
    if state[FIRST] < 0:
        wraps = ((state[EXPECTED] >> shift) - high + (1 << bits - 1)) >> bits
        if state[EXPECTED] >= 0 and high + (wraps << bits) >= 0:
            high += wraps << bits
        state[FIRST] = high << shift
    return high, glitched


@kernel
def add_counts(counts, outside, unsynchronized, unknown, glitches):
    counts[stream.OUT_OF_BOUNDS] += outside
    counts[stream.UNSYNCHRONIZED] += unsynchronized
    counts[stream.UNKNOWN_WORDS] += unknown
    counts[stream.TIME_GLITCHES] += glitches
