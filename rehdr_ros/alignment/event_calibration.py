"""How a recording's events belong to its frames: the event model, from all of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from rehdr_ros.alignment.windows import events_and_frames
from rehdr_ros.events.receiver import Size
from rehdr_ros.reconstruction import PipelineConfig
from rehdr_ros.reconstruction.event_latency import EventLatency, Measured
from rehdr_ros.reconstruction.front_end import FrontEnd
from rehdr_ros.reconstruction.response import Response
from rehdr_ros.reconstruction.voxel_input import registration_of

_FOREVER = 1e9  # s: what is old counts as much as what is new


class EventCalibration(NamedTuple):
    """What the events of a recording have told: latency, thresholds and fit."""

    measured: Measured | None  # None without two frames that follow each other
    exposed: bool  # whether the frames' exposure times are known
    frames: int  # how many there were


def calibrate_events(
    messages: Iterable[Any], event_size: Size | None, config: PipelineConfig, memory: float = _FOREVER
) -> EventCalibration:
    """Measure as the pipeline does, over all of a recording's messages, around config.event_time_offset.

    memory: s, after which a pair of frames counts 1/e. Raises InputError where events can't be registered,
    and for voxel grids and triggers in place of events.
    """
    front_end, cameras = FrontEnd(replace(config, policy="all")), {}
    measure, response = EventLatency(memory=memory), Response(config.response, config.white_level)
    registrations: dict[tuple, Any] = {}
    exposed, frames = False, 0
    for job in front_end.jobs(events_and_frames(messages, cameras), event_size):
        frame, frames = job.frame, frames + 1
        if job.reset_reason:
            measure.interrupt()
        sizes = job.event_size or event_size or frame.size, frame.size
        if sizes not in registrations:
            registrations = {sizes: registration_of(config, *sizes, *map(cameras.get, ("events", "frames")))}
        exposed = exposed or job.exposed.length > 0
        measure.add(job.exposed, frame.image, response, job.taken, sizes[0], registrations[sizes])
    measure.finish()
    return EventCalibration(measure.measured, exposed, frames)
