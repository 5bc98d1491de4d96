"""What the kernels are measured against: the same in NumPy, without a loop over words or events."""

import numpy as np

from rehdr_ros.events import Events, Packet


def decode_evt3(packet: Packet) -> Events:
    """One packet whose state is complete in itself; wraps, triggers and damage are left out."""
    time, x, y, p = _decode_words(packet, high=8, low=6, line=0, single=2, base=3, masks={4: 12, 5: 8})
    return Events(time * 1000, x, y, p)


def decode_libcaer_cmp(packet: Packet) -> Events:
    """Damage left out."""
    time, y, x, p = _decode_words(packet, high=0, low=1, line=2, single=3, base=4, masks={5: 8})
    return Events(packet.time_base + time * 1000, x, y, p)


def decode_libcaer(packet: Packet) -> Events:
    """Wraps within the packet left out."""
    data, time = np.frombuffer(packet.data, "<u4").reshape(-1, 2).T
    t = packet.time_base + time.astype(np.int64) * 1000
    return Events(t, data >> 17, data >> 2 & 0x7FFF, data >> 1 & 1)


def decode_evt2(packet: Packet) -> Events:
    """One packet that begins with its TIME_HIGH."""
    words = np.frombuffer(packet.data, "<u4")
    code = (words >> 28).astype(np.uint8)
    place = np.flatnonzero(code <= 1)
    event = words[place]
    time = (_latest(code, words & 0xFFFFFFF, 8, place).astype(np.int64) << 6) | (event >> 22 & 0x3F)
    return Events(time * 1000, event >> 11 & 0x7FF, event & 0x7FF, code[place])


def voxel_grid(events: Events, t0: int, t1: int, bins: int, height: int, width: int) -> np.ndarray:
    """All events must lie in [t0, t1] and in the image."""
    position = (events.t - t0) * ((bins - 1) / (t1 - t0))
    lower = np.minimum(position.astype(np.int32), bins - 2)
    polarity = 2.0 * events.p - 1
    share = polarity * (position - lower)
    size = height * width
    cell = lower * size + events.y.astype(np.int32) * width + events.x
    grid = np.bincount(cell, polarity - share, bins * size)
    grid[size:] += np.bincount(cell, share, (bins - 1) * size)
    return grid.reshape(bins, height, width).astype(np.float32)


def _decode_words(packet: Packet, high: int, low: int, line: int, single: int, base: int, masks: dict):
    """Time in us, coordinate along the line, line and polarity of 16-bit words that send only what changes.

    The arguments are codes; masks: code of a vector -> its length.
    """
    words = np.frombuffer(packet.data, "<u2")
    code, payload = (words >> 12).astype(np.uint8), words & 0xFFF
    length = np.zeros(16, np.uint16)
    length[list(masks)] = list(masks.values())
    is_vector = length[code] > 0
    if is_vector.any():
        sources = np.flatnonzero(is_vector | (code == single))
        mask = np.where(code[sources] == single, 1, payload[sources] & ((1 << length[code[sources]]) - 1))
        bits = np.unpackbits(mask.astype("<u2").view(np.uint8), bitorder="little")
        ones = np.flatnonzero(bits)
        place, offset = sources[ones >> 4], ones & 15
        passed = np.cumsum(length[code], dtype=np.int32) - length[code]
        start = _latest(code, payload, base, place)
        in_vector = (start & 0x7FF) + (passed[place] - _latest(code, passed, base, place)) + offset
        alone = code[place] == single
        along = np.where(alone, payload[place] & 0x7FF, in_vector)
        polarity = np.where(alone, payload[place], start) >> 11
    else:
        place = np.flatnonzero(code == single)
        along, polarity = payload[place] & 0x7FF, payload[place] >> 11
    time = (_latest(code, payload, high, place).astype(np.int64) << 12) | _latest(code, payload, low, place)
    return time, along, _latest(code, payload, line, place) & 0x7FF, polarity


def _latest(code: np.ndarray, values: np.ndarray, kind: int, place: np.ndarray) -> np.ndarray:
    """The value of the last word of a kind, at each place; zero before the first."""
    of_kind = code == kind
    seen = np.cumsum(of_kind, dtype=np.int32)[place]
    return np.concatenate((np.zeros(1, values.dtype), values[of_kind]))[seen]
