"""Runs of single events in 16-bit words {code 15-12, payload 11-0}, as evt3 and libcaer_cmp have them.

Which word comes next can't be predicted, and a branch a word would cost more than the work. So where a block
of words holds single events alone, each word only falls into its slot of a 64-bit integer: the time's low
bits into 47-32, the line (the coordinate that an address word announces) into 31-16, all others into 15-0.
Behind an event's word the slots are an event.
"""

from __future__ import annotations

import numpy as np

from rehdr_ros.jit import kernel

BLOCK = 32  # words


def slot_tables(low: int, line: int) -> tuple[np.ndarray, np.ndarray]:
    """By code, how far its words are shifted and what they leave; `low`, `line`: the codes with own slots."""
    shift = np.zeros(16, np.uint64)
    shift[low], shift[line] = 32, 16
    return shift, ~(np.uint64(0xFFFF) << shift)


@kernel
def plain_end(words, start, low, line, event, repeated):
    """Where a run from `start` ends: blocks of these codes and of `repeated`, a word that changes nothing."""
    repeated = np.uint16(repeated)
    low, line, event = np.uint16(low << 12), np.uint16(line << 12), np.uint16(event << 12)
    end = start
    while end + BLOCK <= len(words):
        others = np.uint16(0)
        for k in range(BLOCK):
            word = words[np.uint64(end + k)]
            code = np.uint16(word & np.uint16(0xF000))
            known = min(np.uint16(code ^ low), min(np.uint16(code ^ line), np.uint16(code ^ event)))
            others = np.uint16(others | min(known, np.uint16(word ^ repeated)))
        if others:
            break
        end += BLOCK
    return end


@kernel
def gather(words, time, line, shift, keep, event, t, count):
    """Write the slots of each event to t[count:], and behind them once more; t must have room for it.

    Returns the new count, the last time and the last line.
    """
    slots = np.uint64((time & 0xFFF) << 32 | line << 16)
    for each in words:
        word = np.uint64(each)
        code = word >> np.uint64(12)
        slots = slots & keep[code] | word << shift[code]
        t[count] = np.int64(slots)
        count += np.uint64(code == np.uint64(event))
    low = np.int64(slots >> np.uint64(32) & np.uint64(0xFFF))
    return count, time & ~0xFFF | low, np.int64(slots >> np.uint64(16) & np.uint64(0x7FF))


@kernel
def unpack(t, along, across, p, start, end, begin_ns, along_size, across_size):
    """The events of the slots in t[start:end] but outside ones; `across` is the line, `along` runs in it.

    Returns the new end.
    """
    last_along, last_across = np.uint16(0), np.uint16(0)
    for k in range(start, end):
        slots = t[k]
        t[k] = begin_ns + (slots >> 32 & 0xFFF) * 1000
        along[k] = slots & 0x7FF
        across[k] = slots >> 16 & 0x7FF
        p[k] = slots >> 11 & 1
        last_along, last_across = max(last_along, along[k]), max(last_across, across[k])
    if last_along < along_size and last_across < across_size:
        return end
    kept = start
    for k in range(start, end):
        t[kept], along[kept], across[kept], p[kept] = t[k], along[k], across[k], p[k]
        kept += np.uint64(along[kept] < along_size and across[kept] < across_size)
    return kept
