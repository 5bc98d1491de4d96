import numpy as np
import pytest

from rehdr_ros.errors import InputError
from rehdr_ros.events import Events, Packet
from rehdr_ros.recordings import Exposure, Frame, select

MS = 10**6
BEGIN = 1_700_000_000 * 10**9
IMAGE = np.zeros((2, 2), np.uint8)


def frame(k):
    return Frame(BEGIN + k * 100 * MS, IMAGE)


def events(k):
    """Of a clock of their own, which says nothing."""
    return Events([k], [0], [0], [1]) if k % 2 else Packet(k, 2, 2, k, 0, "evt3", b"")


def messages(count=10):
    """Before each frame its events, numbered like it, and one more packet that comes late."""
    for k in range(count):
        yield events(10 * k)
        yield Exposure(BEGIN + k * 100 * MS, 0.01)
        yield events(10 * k + 1)
        yield frame(k)
        yield events(10 * k + 2)


def content(selected):
    """The frames' numbers, and those of the events."""
    selected = list(selected)
    frames = [(m.stamp_ns - BEGIN) // (100 * MS) for m in selected if isinstance(m, Frame)]
    messages = [message for message in selected if isinstance(message, Packet | Events)]
    numbers = [m.seq if isinstance(m, Packet) else int(m.t[0]) for m in messages]
    return frames, numbers


def test_everything():
    assert [type(m) for m in select(messages())] == [type(m) for m in messages()]
    assert content(select(messages(), 0.0, 100.0)) == content(messages())


@pytest.mark.parametrize("stop", [None, 0.2])
def test_frames_stamped_before_the_first_where_a_clock_was_set_back(stop):
    stream = [*messages(3), *messages(3)]
    back = [Frame(m.stamp_ns - 10**12, IMAGE) if isinstance(m, Frame) else m for m in stream[15:]]
    frames, _ = content(select([*stream[:15], *back], stop=stop))
    assert frames == [0, 1, 2, -10000, -9999, -9998]


def test_a_part_has_its_first_frame_s_interval_and_what_comes_late():
    frames, numbers = content(select(messages(), start=0.3, stop=0.5))
    assert frames == [3, 4, 5]
    assert numbers == [22, 30, 31, 32, 40, 41, 42, 50, 51, 52, 60, 61, 62, 70, 71]


def test_the_order_of_frames_and_events_stays():
    kinds = [type(m) for m in select(messages(), start=0.8) if not isinstance(m, Exposure)]
    assert kinds == [Packet, Packet, Events, Frame, Packet, Packet, Events, Frame, Packet]


def test_reading_ends_behind_the_part():
    left = iter(messages(1000))
    assert content(select(left, stop=0.0))[0] == [0]
    assert isinstance(next(left), Packet) and len(list(left)) > 4900


@pytest.mark.parametrize("start, expected", [(None, [0, 3, 6, 9]), (0.2, [2, 5, 8])])
def test_every_third_frame_gets_the_events_of_all(start, expected):
    frames, numbers = content(select(messages(), start, every=3))
    assert frames == expected
    assert numbers == [n for n in content(messages())[1] if start is None or n >= 12]


@pytest.mark.parametrize("behind", [0, 2], ids=["before their frames", "behind them"])
def test_exposures_go_with_their_frames(behind):
    """One of them has no frame's stamp."""
    stream = []
    for k in range(8):
        stream += [events(k), frame(k)]
        stream.insert(len(stream) - 1 + behind, Exposure(BEGIN + k * 100 * MS + (k == 5), 0.01))
    passed = list(select(stream, 0.3, every=2))
    assert [(m.stamp_ns - BEGIN) / (100 * MS) for m in passed if isinstance(m, Exposure)] == [3, 5 + 1e-8, 7]
    assert content(passed)[0] == [3, 5, 7]
    order = [type(m) for m in passed if not isinstance(m, Packet | Events)][:2]
    assert order == ([Frame, Exposure] if behind else [Exposure, Frame])


@pytest.mark.parametrize(
    "options, complaint",
    [
        ({"start": -1.0}, "begins at 0 s or later"),
        ({"start": float("nan")}, "begins at 0 s or later"),
        ({"start": 2.0, "stop": 1.0}, "ends after that"),
        ({"every": 0}, "must be 1 or more"),
        ({"start": 7.5}, "no frame from 7.5 s to inf s .* is at 0.900 s"),
        ({"start": 0.41, "stop": 0.49}, "no frame from 0.41 s to 0.49 s"),
    ],
)
def test_what_is_no_part_is_refused(options, complaint):
    with pytest.raises(InputError, match=complaint):
        list(select(messages(), **options))


def test_grids_cannot_be_joined():
    frames = [Frame(k, IMAGE, grid=np.zeros((5, 2, 2), np.float32)) for k in range(4)]
    assert list(select(iter(frames), every=1)) == frames
    with pytest.raises(InputError, match="grids of several frames"):
        list(select(iter(frames), every=2))
