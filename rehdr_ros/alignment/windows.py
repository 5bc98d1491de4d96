"""Two frames that follow each other, and the events around them, out of a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from rehdr_ros.errors import InputError
from rehdr_ros.events import Calibration, Camera, Events, Exposure, Frame, Packet, Receiver
from rehdr_ros.events.buffer import in_time_order
from rehdr_ros.events.receiver import Size
from rehdr_ros.reconstruction.recent import Recent
from rehdr_ros.reconstruction.synchronizer import RESTART_NS

_MOST_WAITING = 32  # pairs, for events that may never come
_FAR_NS = 5_000_000_000  # ahead of the frames, where events are of no use


@dataclass(frozen=True, eq=False)
class Window:
    """Two frames that follow each other, and the events around both."""

    index: int  # the second frame's number
    first: Frame
    second: Frame
    events: Events  # t in ROS ns, no offset added
    event_size: Size  # width and height of the event camera


def windows(
    messages: Iterable[Any],
    event_size: Size | None,
    frame_clock: str,
    wanted: Callable[[int], bool],
    reach_ns: tuple[int, int],
    longest_gap_ns: int,
) -> Iterator[Window]:
    """The pairs whose second's number is wanted, with the events from reach_ns[0] before to [1] after them.

    messages: a recording's; event_size: where Events come; an Exposure tells how its frame was exposed.
    longest_gap_ns: no pair is further apart. What is kept of the stream is bounded, whatever the clocks say.
    Raises InputError for triggers instead of events.
    """
    before, after = reach_ns
    receiver = Receiver(frame_clock)
    chunks: list[Events] = []
    waiting: list[tuple[int, Frame, Frame]] = []
    exposures: Recent[Exposure] = Recent()  # of frames that have not come yet
    previous, index, newest = None, -1, -(1 << 62)

    def cut(index: int, first: Frame, second: Frame) -> Window:
        start, end = first.stamp_ns - before, second.stamp_ns + after
        parts = [c[(c.t > start) & (c.t <= end)] for c in chunks if c.t[0] <= end and c.t[-1] > start]
        size = receiver.size or event_size or second.size
        return Window(index, first, second, Events.concatenate(parts), size)

    for message in messages:
        if isinstance(message, Frame):
            index += 1
            if previous is not None and message.stamp_ns < previous.stamp_ns:
                yield from (cut(*pair) for pair in waiting)
                waiting = []
            told = exposures.take(message.stamp_ns)
            message = message.exposed_as(told) if told else message
            if previous is not None and wanted(index) and _follows(previous, message, longest_gap_ns):
                waiting.append((index, previous, message))
            previous = message
        elif isinstance(message, Exposure):
            if previous is None or message.stamp_ns > previous.stamp_ns:
                exposures.put(message.stamp_ns, message)
            else:
                waiting = [(k, *(_exposed(frame, message) for frame in pair)) for k, *pair in waiting]
                previous = _exposed(previous, message)
        elif isinstance(message, Packet | Events):
            events = in_time_order(receiver.receive(message, event_size))
            if len(events) and (previous is None or events.t[0] < previous.stamp_ns + after + _FAR_NS):
                if events.t[-1] < newest - RESTART_NS:
                    chunks.clear()
                newest = int(events.t[-1])
                chunks.append(events)
        while waiting and (newest >= waiting[0][2].stamp_ns + after or len(waiting) > _MOST_WAITING):
            yield cut(*waiting.pop(0))
        oldest = waiting[0][1] if waiting else previous
        keep = newest - before - after - _FAR_NS if oldest is None else oldest.stamp_ns - before
        while chunks and chunks[0].t[-1] <= keep:
            chunks.pop(0)
    for pair in waiting:
        yield cut(*pair)


def events_and_frames(messages: Iterable[Any], cameras: dict[str, Camera]) -> Iterator[Any]:
    """The messages but for Calibrations, which go to `cameras`. Raises InputError for voxel grids."""
    for message in messages:
        if isinstance(message, Calibration):
            cameras[message.of] = message.camera
            continue
        if isinstance(message, Frame) and message.grid is not None:
            raise InputError("this recording holds voxel grids, whose events have no times any more")
        yield message


def _exposed(frame: Frame, exposure: Exposure) -> Frame:
    return frame.exposed_as(exposure) if frame.stamp_ns == exposure.stamp_ns else frame


def _follows(first: Frame, second: Frame, longest_gap_ns: int) -> bool:
    apart = second.stamp_ns - first.stamp_ns
    return 0 < apart <= longest_gap_ns and first.image.shape == second.image.shape
