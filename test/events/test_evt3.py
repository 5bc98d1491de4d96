from collections import Counter
from itertools import cycle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rehdr_ros.events import Events, Packet, make_decoder, make_encoder
from rehdr_ros.events.codecs import evt3

WRAP_US = 2**24
NS = 1000


def word(code, payload=0):
    return code << 12 | payload


def packet(*words, seq=0, stamp_ns=0, size=(640, 480)):
    return Packet(stamp_ns, *size, seq, 0, "evt3", np.array(words, "<u2").tobytes())


def time(us):
    return word(evt3.TIME_HIGH, us >> 12 & 0xFFF), word(evt3.TIME_LOW, us & 0xFFF)


def row(y):
    return word(evt3.ADDR_Y, y)


def event(x, p=1):
    return word(evt3.ADDR_X, p << 11 | x)


@pytest.fixture
def decoder():
    return make_decoder("evt3", 640, 480)


# What the words mean


def test_vectors_advance_their_base(decoder):
    base = word(evt3.VECT_BASE_X, 1 << 11 | 100)
    vectors = word(evt3.VECT_12, 0b100000000001), word(evt3.VECT_8, 0b10000001), word(evt3.VECT_12, 0b10)
    events = decoder.decode(packet(*time(7), row(3), base, *vectors))
    assert events.x.tolist() == [100, 111, 112, 119, 121]
    assert set(events.y) == {3} and set(events.p) == {1} and set(events.t) == {7 * NS}


def test_a_single_event_leaves_the_vector_base_alone(decoder):
    base = word(evt3.VECT_BASE_X, 100)
    events = decoder.decode(packet(*time(7), row(3), base, event(5), word(evt3.VECT_8, 1)))
    assert (events.x.tolist(), events.p.tolist()) == ([5, 100], [1, 0])


def test_the_high_bits_of_a_short_vector_are_no_events(decoder):
    base = word(evt3.VECT_BASE_X, 100)
    assert len(decoder.decode(packet(*time(7), row(3), base, word(evt3.VECT_8, 0xF00)))) == 0


def test_the_system_bit_is_no_part_of_y(decoder):
    assert decoder.decode(packet(*time(7), row(1 << 11 | 3), event(5))).y.tolist() == [3]


def test_nothing_before_the_first_time_but_its_row_is_remembered(decoder):
    words = (
        event(1),
        row(9),
        event(2),
        time(5000)[1],
        event(3),
        time(5000)[0],
        event(4),
        time(5000)[1],
        event(5),
    )
    events = decoder.decode(packet(*words))
    assert (events.x.tolist(), events.y.tolist(), events.t.tolist()) == ([5], [9], [5000 * NS])
    assert decoder.counters["unsynchronized"] == 4


def test_time_wraps(decoder):
    moments = WRAP_US - 1, WRAP_US, 3 * WRAP_US // 2, 2 * WRAP_US - 1, 2 * WRAP_US
    events = decoder.decode(packet(row(0), *(w for us in moments for w in (*time(us), event(1)))))
    assert events.t.tolist() == [us * NS for us in moments]


def test_a_quiet_time_of_nearly_a_wrap_is_no_glitch(decoder):
    before, after = time(WRAP_US // 2), time(3 * WRAP_US // 2 - 10**6)
    events = decoder.decode(packet(row(0), *before, event(0), *after, event(1)))
    assert events.t.tolist() == [WRAP_US // 2 * NS, (3 * WRAP_US // 2 - 10**6) * NS]


@pytest.mark.parametrize("start", [WRAP_US // 2, WRAP_US])
def test_a_small_step_back_is_no_wrap(decoder, start):
    moments = start - 4096, start, start - 4096, start + 1
    events = decoder.decode(packet(row(0), *(w for us in moments for w in (*time(us), event(1)))))
    assert events.t.tolist() == [us * NS for us in moments]


def test_a_new_high_starts_at_its_beginning(decoder):
    high = word(evt3.TIME_HIGH, 2)
    events = decoder.decode(packet(row(0), *time(2 * 4096 - 1), high, event(0), high, event(1)))
    assert events.t.tolist() == [2 * 4096 * NS] * 2


def test_a_repeated_high_changes_nothing(decoder):
    events = decoder.decode(packet(row(0), *time(5000), time(5000)[0], event(0)))
    assert events.t.tolist() == [5000 * NS]


def test_events_outside_the_image_are_dropped_and_counted(decoder):
    base = word(evt3.VECT_BASE_X, 636)
    words = (
        event(639),
        event(640),
        base,
        word(evt3.VECT_8, 0xFF),
        row(480),
        event(1),
        word(evt3.VECT_12, 0xFFF),
    )
    events = decoder.decode(packet(*time(1), row(479), *words))
    assert events.x.tolist() == [639, 636, 637, 638, 639]
    assert decoder.counters["out_of_bounds"] == 1 + 4 + 1 + 12


def test_unknown_words_are_counted_and_known_others_are_not(decoder):
    others = [word(code) for code in (7, 10, 14, 15)]
    decoder.decode(packet(*time(1), *others, 0x9999, word(1), word(11), word(12), word(13)))
    assert decoder.counters["unknown_words"] == 4


def test_triggers_are_no_events(decoder):
    fired = word(evt3.TRIGGER, 11 << 8 | 1), word(evt3.TRIGGER, 2 << 8)
    words = fired[0], row(3), *time(5000), event(1), fired[0], time(5001)[1], fired[1]
    events = decoder.decode(packet(*words))
    triggers = decoder.triggers
    assert (triggers.t.tolist(), triggers.id.tolist(), triggers.edge.tolist()) == (
        [5000 * NS, 5001 * NS],
        [11, 2],
        [1, 0],
    )
    assert events.x.tolist() == [1]
    decoder.decode(packet(event(1), seq=1))
    assert len(decoder.triggers) == 0 and len(triggers) == 2


def test_a_short_step_back_is_counted(decoder):
    decoder.decode(packet(*time(4096 * 20), *time(4096 * 10), *time(4096 * 30)))
    assert decoder.counters["time_glitches"] == 1
    events = decoder.decode(packet(*time(4096 * 19), row(0), event(1), seq=1))
    assert events.t.tolist() == [(WRAP_US + 4096 * 19) * NS]
    assert decoder.counters["time_glitches"] == 1


# What crosses a packet's border, and what must not


def test_the_state_crosses_the_border(decoder):
    decoder.decode(packet(*time(77), row(3), word(evt3.VECT_BASE_X, 1 << 11 | 10), word(evt3.VECT_12), seq=4))
    events = decoder.decode(packet(word(evt3.VECT_8, 1), event(2, p=0), seq=5))
    assert (events.x.tolist(), events.y.tolist(), events.p.tolist()) == ([22, 2], [3, 3], [1, 0])
    assert events.t.tolist() == [77 * NS] * 2


def test_a_gap_forgets_the_time(decoder):
    decoder.decode(packet(*time(77), seq=4))
    high, low = time(5000)
    events = decoder.decode(packet(row(8), event(1), low, event(2), high, event(3), low, event(4), seq=6))
    assert (events.x.tolist(), events.t.tolist()) == ([4], [5000 * NS])
    assert decoder.counters["unsynchronized"] == 3


def test_a_gap_forgets_row_and_base(decoder):
    base, vector = word(evt3.VECT_BASE_X, 10), word(evt3.VECT_8, 1)
    decoder.decode(packet(*time(77), row(3), base, seq=4))
    words = event(1), row(8), event(2), vector, base, vector
    events = decoder.decode(packet(*time(5000), *words, seq=6))
    assert (events.x.tolist(), events.y.tolist()) == ([2, 10], [8, 8])
    assert decoder.counters["unsynchronized"] == 2


def test_time_goes_on_over_a_gap(decoder):
    decoder.decode(packet(*time(0), *time(WRAP_US - 5000), seq=0))
    events = decoder.decode(packet(*time(WRAP_US + 1), row(0), event(1), seq=2))
    assert events.t.tolist() == [(WRAP_US + 1) * NS]


@pytest.mark.parametrize("seq", [1, 2])
@pytest.mark.parametrize(
    "quiet_us", [10, WRAP_US - 9, WRAP_US + 9, 10 * WRAP_US - 9, 1000 * WRAP_US + 5_000_000]
)
def test_a_gap_longer_than_a_wrap_is_told_by_the_stamps(decoder, quiet_us, seq):
    start, stamp = 3_000_000, 1_700_000_000 * 10**9
    decoder.decode(packet(*time(start), row(0), event(1), stamp_ns=stamp))
    late = stamp + (quiet_us + 2000) * NS  # 2 ms of jitter
    events = decoder.decode(packet(*time(start + quiet_us), row(0), event(1), seq=seq, stamp_ns=late))
    assert events.t.tolist() == [(start + quiet_us) * NS]


@pytest.mark.parametrize("wraps", [1, 10, 1000])
def test_a_gap_of_whole_wraps_is_told_by_the_stamps(decoder, wraps):
    decoder.decode(packet(*time(5000), row(0), event(1), stamp_ns=10**18))
    late = 5000 + wraps * WRAP_US
    words = *time(late), *[event(1)] * 100
    events = decoder.decode(packet(*words, seq=1, stamp_ns=10**18 + wraps * WRAP_US * NS))
    assert set(events.t) == {late * NS}


def test_a_damaged_time_does_not_outlast_its_packet(decoder):
    moments = range(1_000_000, 1_010_000, 1000)
    for seq, us in enumerate(moments):
        damage = 1 << 11 if seq == 4 else 0
        high, low = time(us)
        events = decoder.decode(packet(high ^ damage, low, row(0), event(1), seq=seq, stamp_ns=us * NS))
        assert (events.t.tolist() == [us * NS]) == (seq != 4)


def test_a_sensor_that_starts_anew_is_believed_after_some_packets(decoder):
    moments = []
    for seq in range(20):
        us = 12_000_000 + 10_000 * seq
        stamp_ns = (us + 50_000 * (-1) ** seq) * NS
        leap = WRAP_US // 2 if seq >= 5 else 0
        events = decoder.decode(packet(*time(us + leap), row(0), event(1), seq=seq, stamp_ns=stamp_ns))
        moments += events.t.tolist()
    assert set(np.diff(moments[10:])) == {10_000 * NS}


def test_a_sequence_that_steps_back_is_a_new_stream(decoder):
    decoder.decode(packet(*time(0), *time(WRAP_US // 2), *time(WRAP_US), row(3), seq=9))
    events = decoder.decode(packet(event(1), *time(50), event(2), row(5), event(3), seq=0))
    assert (events.t.tolist(), events.y.tolist()) == ([50 * NS], [5])


def test_reset_forgets_the_stream_but_not_the_counters(decoder):
    decoder.decode(packet(*time(77), row(3), event(640)))
    decoder.reset()
    assert len(decoder.decode(packet(event(1), seq=1))) == 0
    assert decoder.counters["out_of_bounds"] == 1


# The same, word by word


def reference(packets, width, height):
    """What plain Python makes of the encoding's facts: events and triggers as rows, counters."""
    rows, triggers, counters = [], [], Counter()
    high = time = line = base = None
    polarity, locked, seq = 0, False, packets[0].seq - 1
    for packet in packets:
        if packet.seq != seq + 1:
            counters["lost_packets"] += packet.seq - seq - 1
            time = line = base = None
            locked = False
        seq = packet.seq
        for each in np.frombuffer(packet.data, "<u2").tolist():
            code, payload = each >> 12, each & 0xFFF
            if code == 0:
                line = payload % 2048
            elif code == 3:
                base, polarity = payload % 2048, payload >> 11
            elif code in (2, 4, 5):
                size = {2: 0, 4: 12, 5: 8}[code]
                columns = [(base or 0) + i for i in range(size) if payload >> i & 1]
                columns = columns if size else [payload % 2048]
                if time is None or line is None or (size and base is None):
                    counters["unsynchronized"] += len(columns)
                else:
                    inside = [x for x in columns if x < width and line < height]
                    rows += [(time * NS, x, line, polarity if size else payload >> 11) for x in inside]
                    counters["out_of_bounds"] += len(columns) - len(inside)
                if base is not None:
                    base += size
            elif code == 6:
                if locked:
                    time = high << 12 | payload
            elif code == 8:
                last, locked = high, True
                back = 0 if last is None else (last - payload) % 4096
                if last is None:
                    high = payload
                elif 0 < back <= min(10, last):
                    high -= back
                    counters["time_glitches"] += 1
                else:
                    high += (payload - last) % 4096
                if time is not None and high != last:
                    time = high << 12
            elif code == 10:
                if time is not None:
                    triggers.append((time * NS, payload >> 8, payload & 1))
            elif code not in (7, 9, 14, 15):
                counters["unknown_words"] += 1
    return rows, triggers, counters


OTHERS = st.one_of(
    st.integers(0, 0xFFFF),
    st.builds(word, st.sampled_from([3, 4, 5, 10]), st.integers(0, 0xFFF)),
    st.integers(-12, 12).map(lambda step: ("high", step)),
)


@st.composite
def packets(draw):
    """Runs of single events, some outside the image, a few other words between; in packets, some lost."""
    words, high = draw(st.sampled_from([[], [*time(0), row(7)]])), 0
    for _ in range(draw(st.integers(1, 6))):
        random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        count, bits = draw(st.integers(0, 150)), draw(st.sampled_from([0x87F, 0x9FF, 0xFFF]))
        codes = random.choice([0, 2, 2, 2, 6, 8], count)
        payloads = np.where(codes == 8, high, random.integers(0, 4096, count) & bits)
        words = [*words, *(codes << 12 | payloads).tolist()]
        for other in draw(st.lists(OTHERS, max_size=3)):
            words.append(word(8, (high + other[1]) % 4096) if isinstance(other, tuple) else other)
            high = words[-1] & 0xFFF if words[-1] >> 12 == 8 else high
    borders = [0, *sorted(draw(st.lists(st.integers(0, len(words)), max_size=3))), len(words)]
    seqs = np.cumsum([draw(st.sampled_from([1, 1, 1, 2])) for _ in borders[1:]]).tolist()
    return [packet(*words[a:b], seq=seq) for a, b, seq in zip(borders, borders[1:], seqs, strict=False)]


@given(packets(), st.sampled_from([(320, 240), (127, 128), (128, 127), (2048, 2048)]))
@settings(deadline=None, max_examples=300)
def test_words_decode_as_the_facts_have_it(packets, size):
    rows, triggers, counters = reference(packets, *size)
    decoder = make_decoder("evt3", *size)
    events, fired = [], []
    for each in packets:
        part = decoder.decode(each)
        events += zip(part.t.tolist(), part.x.tolist(), part.y.tolist(), part.p.tolist(), strict=True)
        part = decoder.triggers
        fired += zip(part.t.tolist(), part.id.tolist(), part.edge.tolist(), strict=True)
    assert events == rows
    assert fired == triggers
    assert decoder.counters == {**dict.fromkeys(decoder.counters, 0), **counters}


# Encoding


@st.composite
def streams(draw):
    """Events in the order of time: single ones, ties, rows of neighbours; wraps, bursts, quiet times."""
    sizes = [(640, 480), (346, 260), (1280, 720), (33, 7), (20, 5), (2048, 2048)]
    width, height = draw(st.sampled_from(sizes))
    corners = st.sampled_from([4095, 4096, WRAP_US - 1, 3 * WRAP_US])
    gap = st.one_of(st.integers(0, 3), st.integers(0, 9000), corners)
    xs = st.one_of(
        st.lists(st.integers(0, width - 1), min_size=1, max_size=5),
        st.sets(st.integers(0, min(width, 80) - 1), min_size=1, max_size=60).map(sorted),
        st.integers(max(0, width - 50), width - 1).map(lambda left: list(range(left, width))),
        st.lists(st.integers(0, 9), min_size=5, max_size=15).map(sorted),
    )
    us, rows = draw(st.integers(0, WRAP_US - 1)), []
    for _ in range(draw(st.integers(1, 12))):
        y, polarities = draw(st.integers(0, height - 1)), draw(st.sampled_from(["1", "0", "1111110"]))
        rows += [(us, x, y, int(p)) for x, p in zip(draw(xs), cycle(polarities), strict=False)]
        us += draw(gap)
    t, x, y, p = np.array(rows).T
    return width, height, Events(t * NS, x, y, p)


@given(streams(), st.lists(st.floats(0, 1), max_size=3))
@settings(deadline=None)
def test_round_trip_is_exact(assert_same_events, stream, cuts):
    width, height, events = stream
    borders = [0, *sorted(int(cut * len(events)) for cut in cuts), len(events)]
    encoder, decoder = make_encoder("evt3", width, height), make_decoder("evt3", width, height)
    parts = [events[a:b] for a, b in zip(borders, borders[1:], strict=False)]
    packets = [encoder.encode(part, stamp_ns=0) for part in parts]
    assert_same_events(Events.concatenate([decoder.decode(p) for p in packets]), events)
    assert not any(decoder.counters.values())


@given(streams())
@settings(deadline=None)
def test_encoded_packets_keep_the_grammar_of_the_sensor(stream):
    width, height, events = stream
    words = make_encoder("evt3", width, height).encode(events).data.view("<u2")
    codes, payloads = words >> 12, (words & 0xFFF).astype(int)
    assert codes[0] == evt3.TIME_HIGH and codes[1] in (evt3.TIME_HIGH, evt3.TIME_LOW)
    assert set(np.diff(payloads[codes == evt3.TIME_HIGH]) % 4096) <= {0, 1}
    base = None
    for code, payload in zip(codes, payloads, strict=True):
        if code == evt3.VECT_BASE_X:
            base = payload & 0x7FF
        elif code == evt3.VECT_12:
            assert base + 32 <= width
        elif code == evt3.VECT_8:
            base += 32
    text = "".join(map("{:x}".format, codes))
    assert set(text.replace("445", "")) <= set("02368")
    assert sum(map(text.count, "2345")) <= len(events)


def test_a_lost_packet_costs_only_its_own_events(assert_same_events):
    random = np.random.default_rng(0)
    t = np.sort(random.integers(0, 2 * WRAP_US, 3000)) * NS
    events = Events(t, *(random.integers(0, n, 3000) for n in (640, 480, 2)))
    encoder, decoder = make_encoder("evt3", 640, 480), make_decoder("evt3", 640, 480)
    packets = [encoder.encode(events[i : i + 100]) for i in range(0, 3000, 100)]
    kept = np.arange(3000) // 100 % 5 != 4
    decoded = [decoder.decode(p) for p in packets if p.seq % 5 != 4]
    assert_same_events(Events.concatenate(decoded), events[kept])


def test_a_full_row_takes_vectors():
    events = Events(np.zeros(640), np.arange(640), np.full(640, 5), np.ones(640))
    assert len(make_encoder("evt3", 640, 480).encode(events).data) == 2 * (3 + 1 + 3 * 20)


def test_events_out_of_order_are_refused():
    encoder = make_encoder("evt3", 640, 480)
    with pytest.raises(ValueError, match="order of time"):
        encoder.encode(Events([2000, 1000], [0, 0], [0, 0], [0, 0]))
    encoder.encode(Events([5000], [0], [0], [0]))
    with pytest.raises(ValueError, match="order of time"):
        encoder.encode(Events([4000], [0], [0], [0]))


def test_an_image_too_large_for_the_encoding_is_refused():
    with pytest.raises(ValueError, match="2048"):
        make_encoder("evt3", 2049, 480)
