from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rehdr_ros.events import Packet, make_decoder

WRAP_US = 2**31
NS = 1000


def event(us, x=1, y=2, p=1, valid=1):
    return us % 2**32 << 32 | x << 17 | y << 2 | p << 1 | valid


def packet(*words, seq=0, time_base=0, size=(640, 480)):
    return Packet(0, *size, seq, time_base, "libcaer", np.array(words, "<u8").tobytes())


@pytest.fixture
def decoder():
    return make_decoder("libcaer", 640, 480)


def test_word_layout(decoder):
    words = 123_456 << 32 | 500 << 17 | 300 << 2 | 0b11, 123_457 << 32 | 639 << 17 | 479 << 2 | 0b01
    events = decoder.decode(packet(*words, time_base=10**18))
    assert events.t.tolist() == [10**18 + 123_456_000, 10**18 + 123_457_000]
    assert (events.x.tolist(), events.y.tolist(), events.p.tolist()) == ([500, 639], [300, 479], [1, 0])


def test_a_fall_within_a_packet_is_a_wrap(decoder):
    moments = WRAP_US - 1, WRAP_US, 2 * WRAP_US - 1, 2 * WRAP_US + 5
    events = decoder.decode(packet(*(event(us % WRAP_US) for us in moments), time_base=7))
    assert events.t.tolist() == [us * NS + 7 for us in moments]
    assert not any(decoder.counters.values())


def test_a_small_fall_is_counted_and_no_wrap(decoder):
    moments = 1000, 999, 1001, 1001, WRAP_US // 2, 0, 5
    events = decoder.decode(packet(*(event(us) for us in moments)))
    assert events.t.tolist() == [us * NS for us in moments]
    assert decoder.counters["time_glitches"] == 2


def test_a_fall_between_packets_is_none(decoder):
    decoder.decode(packet(event(WRAP_US - 1), seq=0))
    assert decoder.decode(packet(event(3), seq=1, time_base=9)).t.tolist() == [3 * NS + 9]
    assert not any(decoder.counters.values())


@pytest.mark.parametrize("invalid", [event(5, valid=0), event(-1), event(-WRAP_US)], ids=hex)
def test_invalid_events_are_counted_and_move_no_time(decoder, invalid):
    events = decoder.decode(packet(event(WRAP_US - 9), invalid, event(WRAP_US - 8), invalid))
    assert events.t.tolist() == [(WRAP_US - 9) * NS, (WRAP_US - 8) * NS]
    assert decoder.counters == {**dict.fromkeys(decoder.counters, 0), "invalid": 2}


def test_events_outside_the_image_are_dropped_and_counted(decoder):
    words = event(1, 639, 479), event(1, 640, 0), event(1, 0, 480), event(1, 32767, 32767), event(1, 0, 0)
    events = decoder.decode(packet(*words))
    assert (events.x.tolist(), events.y.tolist()) == ([639, 0], [479, 0])
    assert decoder.counters["out_of_bounds"] == 3


def test_a_gap_costs_nothing_else(decoder):
    decoder.decode(packet(event(WRAP_US - 1), seq=0))
    assert decoder.decode(packet(event(3), event(4), seq=5)).t.tolist() == [3 * NS, 4 * NS]
    assert decoder.counters == {**dict.fromkeys(decoder.counters, 0), "lost_packets": 4}


# The same, event by event


def reference(words, time_base, width, height):
    """What plain Python makes of the encoding's facts: events as rows, counters."""
    rows, counters, last, wraps = [], Counter(), 0, 0
    for word in words:
        x, y, p, us = word >> 17 & 0x7FFF, word >> 2 & 0x7FFF, word >> 1 & 1, word >> 32
        if not word & 1 or us >= WRAP_US:
            counters["invalid"] += 1
            continue
        wraps += last - us > WRAP_US // 2
        counters["time_glitches"] += 0 < last - us <= WRAP_US // 2
        last = us
        if x < width and y < height:
            rows.append((time_base + (wraps * WRAP_US + us) * NS, x, y, p))
        else:
            counters["out_of_bounds"] += 1
    return rows, counters


TIMES = st.integers(0, 300) | st.integers(0, WRAP_US - 1) | st.integers(WRAP_US - 300, WRAP_US - 1)
WORDS = st.integers(0, 2**64 - 1) | st.builds(
    event, TIMES, st.integers(0, 330), st.integers(0, 250), st.integers(0, 1), st.sampled_from([1, 1, 1, 0])
)


SIZES = st.sampled_from([(320, 240), (33, 7), (4096, 4096)])


@given(st.lists(WORDS, max_size=60), st.integers(0, 2**62), SIZES)
@settings(deadline=None)
def test_words_decode_as_the_facts_have_it(words, time_base, size):
    rows, counters = reference(words, time_base, *size)
    decoder = make_decoder("libcaer", *size)
    events = decoder.decode(packet(*words, time_base=time_base))
    columns = (events.t.tolist(), events.x.tolist(), events.y.tolist(), events.p.tolist())
    assert list(zip(*columns, strict=True)) == rows
    assert decoder.counters == {**dict.fromkeys(decoder.counters, 0), **counters}
