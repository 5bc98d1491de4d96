import resource
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehdr_ros.errors import InputError
from rehdr_ros.events import EventBuffer, Events

MEGABYTES_AN_EVENT = 13.001e-6


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


TIMES = st.integers(0, 30)


@given(st.lists(st.lists(TIMES, max_size=8), max_size=8), st.lists(TIMES, max_size=4))
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


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 25)), max_size=60), st.integers(1, 60))
def test_it_is_a_queue_of_the_newest_events(steps, capacity):
    buffer, now, expected, dropped = EventBuffer(capacity * MEGABYTES_AN_EVENT), 0, [], 0
    for count, taken in steps:
        buffer.append(numbered(np.arange(now, now + count), now % 1000))
        expected += range(now, now + count)
        now += count
        dropped += max(0, len(expected) - capacity)
        expected = expected[max(0, len(expected) - capacity) :]
        until = now - taken
        assert buffer.take_until(until).t.tolist() == [t for t in expected if t <= until]
        expected = [t for t in expected if t > until]
        assert len(buffer) == len(expected)
    assert buffer.dropped == dropped
    assert buffer.take_until(now).t.tolist() == expected


@pytest.mark.parametrize("size", [1, 50_000])
def test_memory_does_not_grow_whether_or_not_anybody_takes(size):
    def resident() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6

    columns = np.zeros(size), np.zeros(size), np.zeros(size)
    buffer, before = EventBuffer(20), resident()
    for k in range(20_000 if size == 1 else 2000):
        buffer.append(Events(np.arange(k * size, (k + 1) * size), *columns))
        if k % 10 == 9 and k < 1000:
            assert len(buffer.take_until((k + 1) * size - 2)) > 0
    assert resident() - before < 20 + 15


@pytest.mark.parametrize("megabytes", [0, -1, float("nan"), float("inf"), 9e8])
def test_a_buffer_without_memory_or_with_too_much_is_refused(megabytes):
    with pytest.raises(InputError, match="buffer"):
        EventBuffer(megabytes)


def test_a_backlog_that_stays_takes_no_more_memory_than_it_needs():
    """Where the ring was never written to it takes none."""
    buffer, reached = EventBuffer(256.0), 0
    for k in range(2000):
        buffer.append(Events(np.full(1000, k), *np.zeros((3, 1000), int)))
        reached = max(reached, buffer.start + len(buffer))
        if k >= 8:
            assert len(buffer.take_until(k - 8)) == 1000
    assert reached < 50_000
