import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rehdr_ros.events import Events, Packet, make_decoder, make_encoder

EVENT = st.tuples(
    st.integers(0, 2**32 - 1), st.integers(0, 1279), st.integers(0, 719), st.integers(0, 1)
)  # dt, x, y, p


@given(st.lists(EVENT, min_size=1, max_size=60), st.integers(0, 2**62))
@settings(deadline=None)
def test_round_trip_is_exact_in_any_order(assert_same_events, rows, start):
    dt, x, y, p = np.array(rows).T
    events = Events(start + dt, x, y, p)
    packet = make_encoder("mono", 1280, 720).encode(events)
    assert_same_events(make_decoder("mono", 1280, 720).decode(packet), events)


def test_word_layout():
    words = np.array([1 << 63 | 300 << 48 | 500 << 32 | 123_456, 4095 << 48 | 4095 << 32 | 2**32 - 1], "<u8")
    packet = Packet(0, 4096, 4096, 0, 10**18, "mono", words.tobytes())
    events = make_decoder("mono", 4096, 4096).decode(packet)
    assert events.t.tolist() == [10**18 + 123_456, 10**18 + 2**32 - 1]
    assert (events.x.tolist(), events.y.tolist(), events.p.tolist()) == ([500, 4095], [300, 4095], [1, 0])


def test_out_of_bounds_events_are_dropped_and_counted():
    ys, xs = (480, 479, 1 << 14), (640, 639, 1 << 14, 1 << 15)
    words = np.array([*(y << 48 for y in ys), *(x << 32 for x in xs)], "<u8")
    decoder = make_decoder("mono", 640, 480)
    events = decoder.decode(Packet(0, 640, 480, 0, 0, "mono", words.tobytes()))
    assert (events.x.tolist(), events.y.tolist()) == ([0, 639], [479, 0])
    assert decoder.counters["out_of_bounds"] == 5


def test_a_gap_costs_nothing_else():
    decoder = make_decoder("mono", 640, 480)
    decoder.decode(Packet(0, 640, 480, 0, 5, "mono", (7).to_bytes(8, "little")))
    events = decoder.decode(Packet(0, 640, 480, 4, 6, "mono", (7).to_bytes(8, "little")))
    assert events.t.tolist() == [13]
    assert decoder.counters == {**dict.fromkeys(decoder.counters, 0), "lost_packets": 3}


def test_a_packet_that_spans_too_long_is_refused():
    with pytest.raises(ValueError, match=r"2\^32 ns"):
        make_encoder("mono", 640, 480).encode(Events([0, 2**32], [0, 0], [0, 0], [0, 0]))


def test_an_image_too_large_for_the_encoding_is_refused():
    with pytest.raises(ValueError, match="4096"):
        make_encoder("mono", 4097, 480)
