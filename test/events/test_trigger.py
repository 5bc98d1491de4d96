import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rehdr_ros.events import Packet, make_decoder


def packet(*words, seq=0, time_base=0):
    return Packet(0, 640, 480, seq, time_base, "trigger", np.array(words, "<u8").tobytes())


def rows(triggers):
    return list(zip(triggers.t.tolist(), triggers.id.tolist(), triggers.edge.tolist(), strict=True))


def test_word_layout():
    decoder = make_decoder("trigger", 640, 480)
    events = decoder.decode(packet(0x8003_0000_0001E240, 0x7FFF_FFFF_FFFFFFFF, time_base=10**18))
    assert len(events) == 0
    assert rows(decoder.triggers) == [(10**18 + 123_456, 3, 1), (10**18 + 2**32 - 1, 32767, 0)]
    columns = decoder.triggers
    dtypes = [column.dtype for column in (columns.t, columns.id, columns.edge)]
    assert dtypes == [np.int64, np.uint16, np.uint8]


def test_triggers_are_those_of_the_last_packet():
    decoder = make_decoder("trigger", 640, 480)
    assert len(decoder.triggers) == 0
    decoder.decode(packet(1 << 48 | 5))
    first = decoder.triggers
    decoder.decode(packet(2 << 48 | 6, 3 << 48 | 7, seq=1))
    assert (rows(first), rows(decoder.triggers)) == ([(5, 1, 0)], [(6, 2, 0), (7, 3, 0)])
    decoder.decode(packet(seq=2))
    assert len(decoder.triggers) == 0


def test_a_gap_costs_only_what_is_missing():
    decoder = make_decoder("trigger", 640, 480)
    decoder.decode(packet(5))
    decoder.decode(packet(6, seq=3))
    assert rows(decoder.triggers) == [(6, 0, 0)]
    assert decoder.counters == {**dict.fromkeys(decoder.counters, 0), "lost_packets": 2}


TRIGGERS = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**15 - 1), st.integers(0, 1))  # dt, id, edge


@given(st.lists(TRIGGERS), st.integers(0, 2**62))
@settings(deadline=None)
def test_all_that_a_word_can_hold_is_read(fired, time_base):
    decoder = make_decoder("trigger", 640, 480)
    words = [edge << 63 | number << 48 | dt for dt, number, edge in fired]
    assert len(decoder.decode(packet(*words, time_base=time_base))) == 0
    assert rows(decoder.triggers) == [(time_base + dt, number, edge) for dt, number, edge in fired]
