from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rehdr_ros.events import Packet, make_decoder

TIME_HIGH, TIME_LOW, ADDR_X, ADDR_Y, VECT_BASE_Y, VECT_8 = range(6)
NS = 1000


def word(code, payload=0):
    return code << 12 | payload


def packet(*words, seq=0, time_base=0, size=(640, 480)):
    return Packet(0, *size, seq, time_base, "libcaer_cmp", np.array(words, "<u2").tobytes())


def time(us):
    return word(TIME_HIGH, us >> 12), word(TIME_LOW, us & 0xFFF)


def column(x):
    return word(ADDR_X, x)


def event(y, p=1):
    return word(ADDR_Y, p << 11 | y)


@pytest.fixture
def decoder():
    return make_decoder("libcaer_cmp", 640, 480)


# What the words mean


def test_word_layout(decoder):
    events = decoder.decode(packet(0x0002, 0x1003, 0x21F4, 0x392C, 0x31DF, time_base=10**18))
    assert events.t.tolist() == [10**18 + (2 * 4096 + 3) * NS] * 2
    assert (events.x.tolist(), events.y.tolist(), events.p.tolist()) == ([500, 500], [300, 479], [1, 0])


def test_vectors_run_along_y_and_advance_their_base(decoder):
    base = word(VECT_BASE_Y, 1 << 11 | 100)
    vectors = word(VECT_8, 0b10000001), word(VECT_8), word(VECT_8, 2)
    events = decoder.decode(packet(*time(7), column(3), base, *vectors))
    assert events.y.tolist() == [100, 107, 117]
    assert set(events.x) == {3} and set(events.p) == {1} and set(events.t) == {7 * NS}


def test_a_single_event_leaves_the_vector_base_alone(decoder):
    events = decoder.decode(packet(column(7), word(VECT_BASE_Y, 100), event(5), word(VECT_8, 1)))
    assert (events.y.tolist(), events.p.tolist()) == ([5, 100], [1, 0])


def test_the_high_bits_of_a_vector_are_no_events(decoder):
    assert len(decoder.decode(packet(column(7), word(VECT_BASE_Y, 100), word(VECT_8, 0xF00)))) == 0


def test_high_and_low_bits_of_time_stand_alone(decoder):
    words = column(0), event(0), word(TIME_LOW, 5), event(1)
    words += word(TIME_HIGH, 2), event(2), word(TIME_HIGH, 1), event(3)
    events = decoder.decode(packet(*words))
    assert events.t.tolist() == [0, 5 * NS, (2 * 4096 + 5) * NS, (4096 + 5) * NS]


def test_events_outside_the_image_are_dropped_and_counted(decoder):
    vectors = word(VECT_BASE_Y, 476), word(VECT_8, 0xFF)
    words = column(639), event(479), event(480), *vectors, column(640), event(1), word(VECT_8, 0xF)
    events = decoder.decode(packet(*words))
    assert events.y.tolist() == [479, 476, 477, 478, 479]
    assert decoder.counters["out_of_bounds"] == 1 + 4 + 1 + 4


def test_events_without_a_column_or_a_base_are_counted(decoder):
    words = event(1), word(VECT_BASE_Y, 100), word(VECT_8, 3), column(5), word(VECT_8, 1)
    events = decoder.decode(packet(*words))
    assert (events.x.tolist(), events.y.tolist()) == ([5], [108])
    assert len(decoder.decode(packet(column(5), word(VECT_8, 0b111), seq=1))) == 0
    assert decoder.counters["unsynchronized"] == 1 + 2 + 3


def test_unknown_words_are_counted(decoder):
    decoder.decode(packet(*(word(code) for code in range(16))))
    assert decoder.counters["unknown_words"] == 10


# What crosses a packet's border: nothing


@pytest.mark.parametrize("seq", [1, 5])
def test_every_packet_stands_alone(decoder, seq):
    decoder.decode(packet(*time(5 << 12 | 77), column(3), word(VECT_BASE_Y, 10), event(1), seq=0))
    events = decoder.decode(packet(event(1), word(VECT_8, 1), column(4), event(2), seq=seq, time_base=9))
    assert (events.t.tolist(), events.x.tolist(), events.y.tolist()) == ([9], [4], [2])
    assert decoder.counters["lost_packets"] == seq - 1


# The same, word by word


def reference(packets, width, height):
    """What plain Python makes of the encoding's facts: events as rows, counters."""
    rows, counters = [], Counter()
    for packet in packets:
        high = low = polarity = 0
        x = base = None
        for each in np.frombuffer(packet.data, "<u2").tolist():
            code, payload = each >> 12, each & 0xFFF
            if code == 0:
                high = payload
            elif code == 1:
                low = payload
            elif code == 2:
                x = payload % 2048
            elif code == 4:
                base, polarity = payload % 2048, payload >> 11
            elif code in (3, 5):
                lines, p = [payload % 2048], payload >> 11
                if code == 5:
                    lines, p = [(base or 0) + bit for bit in range(8) if payload >> bit & 1], polarity
                if x is None or (code == 5 and base is None):
                    counters["unsynchronized"] += len(lines)
                else:
                    t = packet.time_base + (high << 12 | low) * NS
                    inside = [y for y in lines if x < width and y < height]
                    rows += [(t, x, y, p) for y in inside]
                    counters["out_of_bounds"] += len(lines) - len(inside)
                if code == 5 and base is not None:
                    base += 8
            else:
                counters["unknown_words"] += 1
    return rows, counters


OTHERS = st.one_of(
    st.integers(0, 0xFFFF),
    st.builds(word, st.sampled_from([TIME_HIGH, VECT_BASE_Y, VECT_8]), st.integers(0, 0xFFF)),
)


@st.composite
def packets(draw):
    """Runs of single events, some outside the image, a few other words between them, cut into packets."""
    words, high = draw(st.sampled_from([[], [column(7)]])), 0
    for _ in range(draw(st.integers(1, 6))):
        random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        count, bits = draw(st.integers(0, 150)), draw(st.sampled_from([0x87F, 0x9FF, 0xFFF]))
        codes = random.choice([TIME_HIGH, TIME_LOW, ADDR_X, ADDR_Y, ADDR_Y, ADDR_Y], count)
        payloads = np.where(codes == TIME_HIGH, high, random.integers(0, 4096, count) & bits)
        words = [*words, *(codes << 12 | payloads).tolist(), *draw(st.lists(OTHERS, max_size=3))]
        high = next((each & 0xFFF for each in reversed(words) if each >> 12 == TIME_HIGH), 0)
    borders = [0, *sorted(draw(st.lists(st.integers(0, len(words)), max_size=3))), len(words)]
    bases = [draw(st.integers(0, 2**62)) for _ in borders[1:]]
    parts = zip(borders, borders[1:], bases, strict=False)
    return [packet(*words[a:b], seq=seq, time_base=base) for seq, (a, b, base) in enumerate(parts)]


@given(packets(), st.sampled_from([(320, 240), (127, 128), (128, 127), (2048, 2048)]))
@settings(deadline=None, max_examples=300)
def test_words_decode_as_the_facts_have_it(packets, size):
    rows, counters = reference(packets, *size)
    decoder = make_decoder("libcaer_cmp", *size)
    events = []
    for each in packets:
        part = decoder.decode(each)
        events += zip(part.t.tolist(), part.x.tolist(), part.y.tolist(), part.p.tolist(), strict=True)
    assert events == rows
    assert decoder.counters == {**dict.fromkeys(decoder.counters, 0), **counters}
