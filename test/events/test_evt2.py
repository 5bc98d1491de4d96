import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rehdr_ros.events import Events, Packet, make_decoder, make_encoder

OFF, ON, TIME_HIGH, TRIGGER, OTHERS, CONTINUED = 0, 1, 8, 10, 14, 15
WRAP_US = 2**34
HALF_WRAP_US = WRAP_US // 2
NS = 1000


def packet(*words, seq=0, stamp_ns=0, size=(640, 480)):
    return Packet(stamp_ns, *size, seq, 0, "evt2", np.array(words, "<u4").tobytes())


def high(us):
    return TIME_HIGH << 28 | us >> 6 & 0xFFFFFFF


def event(us, x, y=0, kind=ON):
    return kind << 28 | us % 64 << 22 | x << 11 | y


def trigger(us, number, edge):
    return TRIGGER << 28 | us % 64 << 22 | number << 8 | edge


@pytest.fixture
def decoder():
    return make_decoder("evt2", 640, 480)


# What the words mean


def test_word_layout(decoder):
    us = 123 << 6 | 45
    words = 0x8000007B, 1 << 28 | 45 << 22 | 500 << 11 | 300, 0 << 28 | 63 << 22 | 639 << 11 | 479
    events = decoder.decode(packet(*words))
    assert (events.t.tolist(), events.p.tolist()) == ([us * NS, (us + 18) * NS], [1, 0])
    assert (events.x.tolist(), events.y.tolist()) == ([500, 639], [300, 479])


def test_time_wraps(decoder):
    within = 0, HALF_WRAP_US - 64, WRAP_US - 65
    moments = (*within, *(WRAP_US + us for us in within), 2 * WRAP_US)
    events = decoder.decode(packet(*(word for us in moments for word in (high(us), event(us, 1)))))
    assert events.t.tolist() == [us * NS for us in moments]
    assert not any(decoder.counters.values())


@pytest.mark.parametrize("start", [HALF_WRAP_US, WRAP_US])
def test_a_step_back_is_no_wrap_and_counted(decoder, start):
    moments = start - 64, start, start - 64, start + 1, start - 10**6, start + 64
    events = decoder.decode(packet(*(word for us in moments for word in (high(us), event(us, 1)))))
    assert events.t.tolist() == [us * NS for us in moments]
    assert decoder.counters["time_glitches"] == 2


@pytest.mark.parametrize("seq", [1, 2])
@pytest.mark.parametrize(
    "quiet_us", [10, WRAP_US - 9, WRAP_US, WRAP_US + 9, 7 * WRAP_US - 9, 100 * WRAP_US + 5_000_000]
)
def test_a_gap_longer_than_a_wrap_is_told_by_the_stamps(decoder, quiet_us, seq):
    start, stamp = 3_000_000, 1_700_000_000 * 10**9
    decoder.decode(packet(high(start), event(start, 1), stamp_ns=stamp))
    late, late_stamp = start + quiet_us, stamp + (quiet_us + 2000) * NS  # 2 ms of jitter
    events = decoder.decode(packet(high(late), event(late, 1), seq=seq, stamp_ns=late_stamp))
    assert events.t.tolist() == [late * NS]


def test_triggers_are_no_events(decoder):
    words = trigger(9, 3, 1), high(640), trigger(649, 31, 1), event(650, 7), trigger(651, 0, 0)
    events = decoder.decode(packet(*words))
    triggers = decoder.triggers
    assert (triggers.t.tolist(), triggers.id.tolist()) == ([649 * NS, 651 * NS], [31, 0])
    assert triggers.edge.tolist() == [1, 0]
    assert events.x.tolist() == [7]
    decoder.decode(packet(event(650, 7), seq=1))
    assert len(decoder.triggers) == 0 and len(triggers) == 2


def test_events_outside_the_image_are_dropped_and_counted(decoder):
    words = event(0, 639, 479), event(0, 640, 0), event(0, 0, 480), event(0, 2047, 2047), event(0, 0, 0)
    events = decoder.decode(packet(high(0), *words))
    assert (events.x.tolist(), events.y.tolist()) == ([639, 0], [479, 0])
    assert decoder.counters["out_of_bounds"] == 3


def test_unknown_words_are_counted_and_known_others_are_not(decoder):
    decoder.decode(packet(high(0), *(kind << 28 | 1 << 11 for kind in range(16))))
    assert decoder.counters["unknown_words"] == 16 - len({OFF, ON, TIME_HIGH, TRIGGER, OTHERS, CONTINUED})


# What crosses a packet's border, and what must not


def test_nothing_before_the_first_time(decoder):
    events = decoder.decode(packet(event(5, 1), high(640), event(5, 2)))
    assert (events.x.tolist(), events.t.tolist()) == ([2], [645 * NS])
    assert decoder.counters["unsynchronized"] == 1


def test_the_time_crosses_the_border(decoder):
    decoder.decode(packet(high(640), seq=4))
    assert decoder.decode(packet(event(5, 1), seq=5)).t.tolist() == [645 * NS]


def test_a_gap_forgets_the_time_until_the_next_one(decoder):
    decoder.decode(packet(high(WRAP_US - 64), high(WRAP_US + 64), seq=4))
    words = event(5, 1), trigger(5, 1, 1), high(640), event(5, 2), trigger(6, 1, 1)
    events = decoder.decode(packet(*words, seq=6))
    assert (events.x.tolist(), events.t.tolist()) == ([2], [(WRAP_US + 645) * NS])
    assert decoder.triggers.t.tolist() == [(WRAP_US + 646) * NS]
    assert (decoder.counters["unsynchronized"], decoder.counters["lost_packets"]) == (1, 1)


def test_a_sequence_that_steps_back_is_a_new_stream(decoder):
    decoder.decode(packet(high(WRAP_US - 64), high(WRAP_US), seq=9))
    events = decoder.decode(packet(event(5, 1), high(640), event(5, 2), seq=0))
    assert events.t.tolist() == [645 * NS]


def test_a_damaged_time_does_not_outlast_its_packet(decoder):
    for seq, us in enumerate(range(1_000_000, 1_010_000, 1000)):
        damage = 1 << 27 if seq == 4 else 0
        events = decoder.decode(packet(high(us) ^ damage, event(us, 1), seq=seq, stamp_ns=us * NS))
        assert (events.t.tolist() == [us * NS]) == (seq != 4)


# Encoding


@st.composite
def streams(draw, steps):
    """Events whose times start within a wrap and go on by `steps`: ties, bursts, quiet times, wraps."""
    width, height = draw(st.sampled_from([(640, 480), (1280, 720), (33, 7), (2048, 2048)]))
    us = draw(st.integers(0, WRAP_US - 1) | st.integers(WRAP_US - 200, WRAP_US - 1))
    rows = []
    for _ in range(draw(st.integers(1, 60))):
        rows.append((us, *(draw(st.integers(0, most)) for most in (width - 1, height - 1, 1))))
        us = max(0, us + draw(steps))
    t, x, y, p = np.array(rows).T
    return width, height, Events(t * NS, x, y, p)


FORWARD = st.just(0) | st.integers(0, 200) | st.integers(0, HALF_WRAP_US - 64)
BACK_TOO = FORWARD | st.integers(-200, 200) | st.integers(-HALF_WRAP_US, 0)


def decoded_in_parts(stream, cuts):
    width, height, events = stream
    borders = [0, *sorted(int(cut * len(events)) for cut in cuts), len(events)]
    encoder, decoder = make_encoder("evt2", width, height), make_decoder("evt2", width, height)
    parts = [events[a:b] for a, b in zip(borders, borders[1:], strict=False)]
    decoded = [decoder.decode(encoder.encode(part, None if len(part) else 0)) for part in parts]
    return Events.concatenate(decoded), decoder.counters


CUTS = st.lists(st.floats(0, 1), max_size=3)


@given(streams(FORWARD), CUTS)
@settings(deadline=None)
def test_round_trip_is_exact(assert_same_events, stream, cuts):
    decoded, counters = decoded_in_parts(stream, cuts)
    assert_same_events(decoded, stream[2])
    assert not any(counters.values())


@given(streams(BACK_TOO), CUTS)
@settings(deadline=None)
def test_round_trip_is_exact_out_of_order_too(assert_same_events, stream, cuts):
    decoded, counters = decoded_in_parts(stream, cuts)
    assert_same_events(decoded, stream[2])
    assert counters["lost_packets"] == counters["unsynchronized"] == counters["out_of_bounds"] == 0


def test_a_lost_packet_costs_only_its_own_events(assert_same_events):
    random = np.random.default_rng(0)
    t = np.sort(random.integers(0, WRAP_US, 3000)) * NS
    events = Events(t, *(random.integers(0, n, 3000) for n in (640, 480, 2)))
    encoder, decoder = make_encoder("evt2", 640, 480), make_decoder("evt2", 640, 480)
    packets = [encoder.encode(events[i : i + 100]) for i in range(0, 3000, 100)]
    kept = np.arange(3000) // 100 % 5 != 4
    decoded = [decoder.decode(p) for p in packets if p.seq % 5 != 4]
    assert_same_events(Events.concatenate(decoded), events[kept])


def test_the_high_bits_of_time_are_sent_where_they_change():
    events = Events(np.array([0, 63, 64, 127, 0]) * NS, np.zeros(5), np.zeros(5), np.ones(5))
    words = make_encoder("evt2", 640, 480).encode(events).data.view("<u4")
    assert (words >> 28).tolist() == [8, 1, 1, 8, 1, 1, 8, 1]


def test_a_time_before_zero_is_refused():
    with pytest.raises(ValueError, match="times >= 0"):
        make_encoder("evt2", 640, 480).encode(Events([1000, -1000], [0, 0], [0, 0], [0, 0]))


def test_an_image_too_large_for_the_encoding_is_refused():
    with pytest.raises(ValueError, match="2048"):
        make_encoder("evt2", 2049, 480)
