import numpy as np
import pytest

from rehdr_ros.events import Events
from rehdr_ros.recordings import Frame
from rehdr_ros.recordings.merge import in_order

MS = 10**6


def batches(count, size):
    """One event in 1 ms."""
    t = np.arange(count) * MS
    return [Events(t[k : k + size], *np.zeros((3, len(t[k : k + size])), int)) for k in range(0, count, size)]


def frames(stamps):
    return (Frame(stamp * MS, np.zeros((2, 2), np.uint8)) for stamp in stamps)


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("offset_ms", [-40, 0, 25])
def test_each_frame_comes_after_its_events_and_as_soon_as_they_have_passed(size, offset_ms):
    stamps = [0, 30, 31, 60, 95, 150]
    seen, latest, before = 0, None, []
    for message in in_order(batches(100, size), frames(stamps), offset_ms * 1e-3):
        if isinstance(message, Frame):
            before.append((message.stamp_ns // MS, seen))
        else:
            assert len(message) and (latest is None or message.t[0] > latest)
            seen, latest = seen + len(message), message.t[-1]
    assert before == [(stamp, min(max(stamp - offset_ms + 1, 0), 100)) for stamp in stamps]
    assert seen == 100


def test_times_that_step_back_lose_nothing():
    """As from a sensor's glitch."""
    t = np.array([0, 50, 90, 10, 20]) * MS
    messages = list(in_order([Events(t, *np.zeros((3, 5), int))], frames([5, 15, 60, 200])))
    assert sum(len(m) for m in messages if isinstance(m, Events)) == 5
    assert [m.stamp_ns // MS for m in messages if isinstance(m, Frame)] == [5, 15, 60, 200]


def test_one_source_alone():
    assert len(list(in_order([], frames([1, 2, 3])))) == 3
    assert sum(map(len, in_order(batches(10, 3), frames([])))) == 10
