"""Pairs of frames and the events around them, out of streams whose clocks step."""

import numpy as np
import pytest

from rehdr_ros.alignment.windows import windows
from rehdr_ros.events import Events, Frame

MS = 1_000_000
IMAGE = np.zeros((4, 6, 3), np.uint8)
AROUND_MS, FRAMES_MS = 60, 40
WHOLE = 2 * AROUND_MS + FRAMES_MS, AROUND_MS  # events of a window, and of these after the second frame


def event(ms):
    return Events(np.array([ms * MS]), [0], [0], [1])


def stream(seconds, stray=None):
    """A frame every 40 ms, an event every ms; stray: at which ms a packet comes that is how many ms ahead."""
    for ms in range(seconds * 1000):
        if ms % FRAMES_MS == 0:
            yield Frame(ms * MS, IMAGE)
        yield event(ms)
        if stray and ms == stray[0]:
            yield event(ms + stray[1])


def sizes(messages, wanted=lambda index: index % 10 == 0):
    found = windows(messages, (6, 4), "host", wanted, (AROUND_MS * MS, AROUND_MS * MS), 1000 * MS)
    return [(len(w.events), int((w.events.t > w.second.stamp_ns).sum())) for w in found]


@pytest.mark.parametrize("ahead", [2_000, 3_600_000])
def test_a_packet_ahead_takes_no_events_from_later_windows(ahead):
    assert sizes(stream(3, (1000, ahead))) == sizes(stream(3)) == [WHOLE] * 7


def test_a_stream_that_begins_again_has_whole_windows():
    assert sizes([*stream(2), *stream(2)]) == [WHOLE] * 8


def test_what_is_kept_is_bounded_after_a_packet_ahead():
    def messages():
        yield event(3_600_000)
        yield from stream(10)

    found = windows(messages(), (6, 4), "host", lambda index: index % 100 == 99, (MS, MS), 1000 * MS)
    for _ in found:
        assert len(found.gi_frame.f_locals["chunks"]) < 2 * FRAMES_MS
