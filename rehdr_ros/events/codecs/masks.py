"""Words that stand for several neighbours: bit i of the mask is an event at base + i."""

from __future__ import annotations

import numpy as np

from rehdr_ros.jit import kernel


@kernel
def bit_count(word):
    """Ones in a word of up to 16 bits, in 16-bit arithmetic: many words fit a vector register."""
    word = np.uint16(word)
    word = np.uint16(word - np.uint16((word >> np.uint16(1)) & np.uint16(0x5555)))
    pairs = np.uint16((word >> np.uint16(2)) & np.uint16(0x3333))
    word = np.uint16(np.uint16(word & np.uint16(0x3333)) + pairs)
    word = np.uint16(np.uint16(word + np.uint16(word >> np.uint16(4))) & np.uint16(0x0F0F))
    return np.uint16(np.uint16(word + np.uint16(word >> np.uint16(8))) & np.uint16(0xFF))


@kernel
def within(mask, base, size):
    """The bits of a mask, of up to 32, whose events lie before `size`."""
    return mask & ((1 << max(0, min(32, size - base))) - 1)


@kernel
def unfold(mask, bits, base, line, polarity, time_ns, t, along, across, p, count):
    """Write the events of a mask of `bits` bits to t, along, across, p from `count` on, and one behind them.

    Returns the new count.
    """
    for bit in range(bits):
        t[count] = time_ns
        along[count] = base + bit
        across[count] = line
        p[count] = polarity
        count += np.uint64(mask >> bit & 1)
    return count
