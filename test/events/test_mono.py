import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehdr_ros.events import Events, Packet, make_decoder, make_encoder

EVENT = st.tuples(
    st.integers(0, 2**32 - 1), st.integers(0, 1279), st.integers(0, 719), st.integers(0, 1)
)  # dt, x, y, p


@given(st.lists(EVENT, min_size=1, max_size=60), st.integers(0, 2**62))
def test_round_trip_is_exact_in_any_order(assert_same_events, rows, start):
    dt, x, y, p = np.array(rows).T
    events = Events(start + dt, x, y, p)
    packet = make_encoder("mono", 1280, 720).encode(events)
    assert_same_events(make_decoder("mono", 1280, 720).decode(packet), events)


def test_word_layout():
    word = 1 << 63 | 300 << 48 | 500 << 32 | 123_456
    packet = Packet(0, 640, 480, 0, 10**18, "mono", word.to_bytes(8, "little"))
    events = make_decoder("mono", 640, 480).decode(packet)
    assert (events.t[0], events.x[0], events.y[0], events.p[0]) == (10**18 + 123_456, 500, 300, 1)


def test_out_of_bounds_events_are_dropped_and_counted():
    words = np.array([480 << 48, 479 << 48, 640 << 32, 639 << 32], np.uint64)
    decoder = make_decoder("mono", 640, 480)
    events = decoder.decode(Packet(0, 640, 480, 0, 0, "mono", words.tobytes()))
    assert (events.x.tolist(), events.y.tolist()) == ([0, 639], [479, 0])
    assert decoder.counters["out_of_bounds"] == 2


def test_a_packet_that_spans_too_long_is_refused():
    with pytest.raises(ValueError, match=r"2\^32 ns"):
        make_encoder("mono", 640, 480).encode(Events([0, 2**32], [0, 0], [0, 0], [0, 0]))
