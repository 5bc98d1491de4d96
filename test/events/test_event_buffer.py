import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehdr_ros.events import EventBuffer, Events

MEGABYTES_AN_EVENT = 13e-6


def numbered(times, start=0):
    """Events at the given times, whose x is the number of their arrival."""
    count = len(times)
    return Events(times, np.arange(start, start + count), np.zeros(count), np.zeros(count))


def test_events_are_taken_up_to_and_with_the_time():
    buffer = EventBuffer(1)
    buffer.append(numbered([10, 20, 30, 40]))
    assert buffer.take_until(30).t.tolist() == [10, 20, 30]
    assert len(buffer) == 1
    assert len(buffer.take_until(39)) == 0
    assert buffer.take_until(40).t.tolist() == [40]
    assert len(buffer) == 0


@given(st.lists(st.lists(st.integers(0, 30), max_size=8), max_size=8), st.lists(st.integers(0, 30), max_size=4))
def test_disorder_is_put_right_and_ties_stay_in_their_order(chunks, times):
    buffer, arrived = EventBuffer(1), []
    for chunk in chunks:
        buffer.append(numbered(chunk, len(arrived)))
        arrived += chunk
    waiting = sorted(enumerate(arrived), key=lambda item: item[1])
    for t in [*times, 30]:
        taken = buffer.take_until(t)
        expected = [item for item in waiting if item[1] <= t]
        assert list(zip(taken.x.tolist(), taken.t.tolist(), strict=True)) == expected
        waiting = [item for item in waiting if item[1] > t]
        assert len(buffer) == len(waiting)


def test_latest_is_the_latest_ever_seen():
    buffer = EventBuffer(1)
    assert buffer.latest is None
    buffer.append(Events.empty())
    assert buffer.latest is None
    buffer.append(numbered([10, 50]))
    buffer.append(numbered([20, 40]))
    buffer.take_until(100)
    assert buffer.latest == 50
    buffer.clear()
    assert buffer.latest is None and len(buffer) == 0


def test_memory_is_bounded_and_the_oldest_go_first():
    buffer = EventBuffer(100 * MEGABYTES_AN_EVENT)
    for start in range(0, 300, 30):
        buffer.append(numbered(np.arange(start, start + 30)))
        assert len(buffer) <= 100
    assert buffer.dropped == 200
    assert buffer.take_until(1000).t.tolist() == list(range(200, 300))
    buffer.append(numbered(np.arange(1000, 1250)))
    assert buffer.dropped == 350
    assert buffer.take_until(2000).t.tolist() == list(range(1150, 1250))


def test_a_buffer_without_memory_is_refused():
    with pytest.raises(ValueError, match="memory"):
        EventBuffer(0)
