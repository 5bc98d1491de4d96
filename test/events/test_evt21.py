from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rehdr_ros.events import Packet, make_decoder

OFF, ON, TIME_HIGH, TRIGGER, OTHERS, CONTINUED = 0, 1, 8, 10, 14, 15
ENCODINGS = ["evt21", "evt21_legacy"]
WRAP_US = 2**34
NS = 1000


def packet(encoding, *words, seq=0, stamp_ns=0, size=(640, 480)):
    data = np.array(words, "<u8")
    if encoding == "evt21_legacy":
        data = data << np.uint64(32) | data >> np.uint64(32)
    return Packet(stamp_ns, *size, seq, 0, encoding, data.tobytes())


def high(us):
    return TIME_HIGH << 60 | (us >> 6 & 0xFFFFFFF) << 32


def event(us, x, y=0, mask=1, kind=ON):
    return kind << 60 | us % 64 << 54 | x << 43 | y << 32 | mask


def trigger(us, number, edge):
    return TRIGGER << 60 | us % 64 << 54 | number << 40 | edge << 32


@pytest.fixture(params=ENCODINGS)
def encoding(request):
    return request.param


@pytest.fixture
def decoder(encoding):
    return make_decoder(encoding, 640, 480)


# What the words mean


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        ("evt21", [0x8000007B_00000000, 0x1B4FA12C_80000001]),
        ("evt21_legacy", [0x00000000_8000007B, 0x80000001_1B4FA12C]),
    ],
)
def test_word_layout(decoder, encoding, words):
    data = b"".join(word.to_bytes(8, "little") for word in words)
    events = decoder.decode(Packet(0, 640, 480, 0, 0, encoding, data))
    assert (events.x.tolist(), events.y.tolist(), events.p.tolist()) == ([500, 531], [300, 300], [1, 1])
    assert events.t.tolist() == [(123 << 6 | 45) * NS] * 2


def test_every_bit_of_the_mask_is_a_neighbour(decoder, encoding):
    words = [event(1, 100, mask=1 << bit, kind=bit % 2) for bit in range(32)]
    events = decoder.decode(packet(encoding, high(0), *words, event(2, 200, mask=2**32 - 1)))
    assert events.x.tolist() == [*range(100, 132), *range(200, 232)]
    assert events.p.tolist() == [0, 1] * 16 + [1] * 32


def test_an_empty_mask_is_no_event(decoder, encoding):
    assert len(decoder.decode(packet(encoding, high(0), event(1, 640, 480, mask=0)))) == 0
    assert not any(decoder.counters.values())


def test_time_wraps(decoder, encoding):
    within = 0, WRAP_US // 2 - 64, WRAP_US - 65
    moments = (*within, *(WRAP_US + us for us in within), 2 * WRAP_US)
    events = decoder.decode(packet(encoding, *(word for us in moments for word in (high(us), event(us, 1)))))
    assert events.t.tolist() == [us * NS for us in moments]
    assert not any(decoder.counters.values())


@pytest.mark.parametrize("start", [WRAP_US // 2, WRAP_US])
def test_a_step_back_is_no_wrap_and_counted(decoder, encoding, start):
    moments = start - 64, start, start - 64, start + 1, start - 10**6, start + 64
    events = decoder.decode(packet(encoding, *(word for us in moments for word in (high(us), event(us, 1)))))
    assert events.t.tolist() == [us * NS for us in moments]
    assert decoder.counters["time_glitches"] == 2


@pytest.mark.parametrize("seq", [1, 2])
@pytest.mark.parametrize(
    "quiet_us", [10, WRAP_US - 9, WRAP_US, WRAP_US + 9, 7 * WRAP_US - 9, 100 * WRAP_US + 5_000_000]
)
def test_a_gap_longer_than_a_wrap_is_told_by_the_stamps(decoder, encoding, quiet_us, seq):
    start, stamp = 3_000_000, 1_700_000_000 * 10**9
    decoder.decode(packet(encoding, high(start), event(start, 1), stamp_ns=stamp))
    late, late_stamp = start + quiet_us, stamp + (quiet_us + 2000) * NS  # 2 ms of jitter
    events = decoder.decode(packet(encoding, high(late), event(late, 1), seq=seq, stamp_ns=late_stamp))
    assert events.t.tolist() == [late * NS]


def test_triggers_are_no_events(decoder, encoding):
    words = trigger(9, 3, 1), high(640), trigger(649, 31, 1), event(650, 7), trigger(651, 0, 0)
    events, triggers = decoder.decode(packet(encoding, *words)), decoder.triggers
    assert (triggers.t.tolist(), triggers.id.tolist()) == ([649 * NS, 651 * NS], [31, 0])
    assert triggers.edge.tolist() == [1, 0]
    assert events.x.tolist() == [7]
    decoder.decode(packet(encoding, event(650, 7), seq=1))
    assert len(decoder.triggers) == 0 and len(triggers) == 2


def test_events_outside_the_image_are_dropped_and_counted(decoder, encoding):
    everywhere = 2**32 - 1
    words = event(0, 630, 479, everywhere), event(0, 640, 0, everywhere)
    words += event(0, 5, 480, 0b101), event(0, 2047, 1)
    events = decoder.decode(packet(encoding, high(0), *words))
    assert (events.x.tolist(), events.y.tolist()) == ([*range(630, 640)], [479] * 10)
    assert decoder.counters["out_of_bounds"] == 22 + 32 + 2 + 1


def test_unknown_words_are_counted_and_known_others_are_not(decoder, encoding):
    decoder.decode(packet(encoding, high(0), *(kind << 60 | 1 << 43 | 1 for kind in range(16))))
    assert decoder.counters["unknown_words"] == 16 - len({OFF, ON, TIME_HIGH, TRIGGER, OTHERS, CONTINUED})


# What crosses a packet's border, and what must not


def test_nothing_before_the_first_time(decoder, encoding):
    events = decoder.decode(packet(encoding, event(5, 1, mask=0b1011), high(640), event(5, 2)))
    assert (events.x.tolist(), events.t.tolist()) == ([2], [645 * NS])
    assert decoder.counters["unsynchronized"] == 3


def test_the_time_crosses_the_border(decoder, encoding):
    decoder.decode(packet(encoding, high(640), seq=4))
    assert decoder.decode(packet(encoding, event(5, 1), seq=5)).t.tolist() == [645 * NS]


def test_a_gap_forgets_the_time_until_the_next_one(decoder, encoding):
    decoder.decode(packet(encoding, high(WRAP_US - 64), high(WRAP_US + 64), seq=4))
    words = event(5, 1), trigger(5, 1, 1), high(640), event(5, 2), trigger(6, 1, 1)
    events = decoder.decode(packet(encoding, *words, seq=6))
    assert (events.x.tolist(), events.t.tolist()) == ([2], [(WRAP_US + 645) * NS])
    assert decoder.triggers.t.tolist() == [(WRAP_US + 646) * NS]
    assert (decoder.counters["unsynchronized"], decoder.counters["lost_packets"]) == (1, 1)


def test_a_sequence_that_steps_back_is_a_new_stream(decoder, encoding):
    decoder.decode(packet(encoding, high(WRAP_US - 64), high(WRAP_US), seq=9))
    events = decoder.decode(packet(encoding, event(5, 1), high(640), event(5, 2), seq=0))
    assert events.t.tolist() == [645 * NS]


# The same, word by word


def reference(packets_words, width, height):
    """What plain Python makes of the encoding's facts: events and triggers as rows, counters."""
    rows, triggers, counters = [], [], Counter()
    time_high, locked, expected_seq = None, False, packets_words[0][0]
    for seq, words in packets_words:
        if seq != expected_seq:
            counters["lost_packets"] += seq - expected_seq
            locked = False
        expected_seq = seq + 1
        for word in words:
            kind, t = word >> 60, ((time_high or 0) << 6 | word >> 54 & 63) * NS
            if kind <= 1:
                first, y = word >> 43 & 2047, word >> 32 & 2047
                columns = [first + bit for bit in range(32) if word >> bit & 1]
                inside = [x for x in columns if x < width and y < height]
                if locked:
                    rows += [(t, x, y, kind) for x in inside]
                    counters["out_of_bounds"] += len(columns) - len(inside)
                else:
                    counters["unsynchronized"] += len(columns)
            elif kind == 8:
                payload = word >> 32 & 0xFFFFFFF
                back = 0 if time_high is None else (time_high - payload) % 2**28
                if time_high is None:
                    time_high = payload
                elif 0 < back <= min(2**27, time_high):
                    time_high -= back
                    counters["time_glitches"] += 1
                else:
                    time_high += (payload - time_high) % 2**28
                locked = True
            elif kind == 10:
                if locked:
                    triggers.append((t, word >> 40 & 31, word >> 32 & 1))
            elif kind not in (14, 15):
                counters["unknown_words"] += 1
    return rows, triggers, counters


WORDS = st.one_of(
    st.integers(0, 2**64 - 1),
    st.builds(
        lambda kind, rest: kind << 60 | rest, st.sampled_from([0, 1, 1, 8, 10]), st.integers(0, 2**60 - 1)
    ),
    st.builds(
        event,
        st.integers(0, 63),
        st.integers(0, 330),
        st.integers(0, 250),
        st.integers(0, 2**32 - 1) | st.sampled_from([1, 2**31, 2**32 - 1]),
        st.sampled_from([OFF, ON]),
    ),
)
PACKET = st.tuples(st.sampled_from([1, 1, 1, 2]), st.lists(WORDS, max_size=40))
PACKETS = st.lists(PACKET, min_size=1, max_size=4)


@given(PACKETS, st.sampled_from([(320, 240), (33, 7), (2048, 2048)]))
@settings(deadline=None)
def test_words_decode_as_the_facts_have_it(packets, size):
    seqs = np.cumsum([step for step, _ in packets]).tolist()
    packets = [(seq, words) for seq, (_, words) in zip(seqs, packets, strict=True)]
    rows, triggers, counters = reference(packets, *size)
    for encoding in ENCODINGS:
        decoder = make_decoder(encoding, *size)
        events, fired = [], []
        for seq, words in packets:
            part = decoder.decode(packet(encoding, *words, seq=seq))
            events += zip(part.t.tolist(), part.x.tolist(), part.y.tolist(), part.p.tolist(), strict=True)
            part = decoder.triggers
            fired += zip(part.t.tolist(), part.id.tolist(), part.edge.tolist(), strict=True)
        assert events == rows
        assert fired == triggers
        assert decoder.counters == {**dict.fromkeys(decoder.counters, 0), **counters}
