"""How a recording's events belong to its frames: the event model, from all of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from rehdr_ros.errors import InputError
from rehdr_ros.events import Clock, Events, Packet, make_decoder
from rehdr_ros.reconstruction import PipelineConfig
from rehdr_ros.reconstruction.event_latency import EventLatency, Measured
from rehdr_ros.reconstruction.response import Response
from rehdr_ros.reconstruction.synchronizer import Exposed, Job, PendingFrame, Synchronizer
from rehdr_ros.reconstruction.voxel_input import registration_of
from rehdr_ros.recordings import Calibration, Exposure, Frame

_FOREVER = 1e9  # s: what is old counts as much as what is new


class EventCalibration(NamedTuple):
    """measured: latency, thresholds and fit, None without two frames that follow each other. exposed: whether the
    frames' exposure times are known. frames: how many there were."""

    measured: Measured | None
    exposed: bool
    frames: int


def calibrate_events(
    messages: Iterable[Any], event_size: tuple[int, int] | None, config: PipelineConfig, memory: float = _FOREVER
) -> EventCalibration:
    """Measure as the pipeline does, over all of a recording's messages, around config.event_time_offset.

    memory: s, after which a pair of frames counts 1/e. Raises InputError where events can't be registered, and for
    voxel grids and triggers in place of events.
    """
    stream = _Stream(config, event_size)
    measure, response = EventLatency(memory=memory), Response(config.response, config.white_level)
    registrations: dict[tuple, Any] = {}
    exposed, frames = False, 0
    for job in stream.jobs(messages):
        frame, frames = job.frame, frames + 1
        if job.reset_reason:
            measure.interrupt()
        size = frame.image.shape[1::-1]
        sizes = stream.event_size or size, size
        if sizes not in registrations:
            registrations = {sizes: registration_of(config, *sizes, *map(stream.cameras.get, ("events", "frames")))}
        exposed = exposed or frame.exposed.length > 0
        measure.add(Exposed(*frame.exposed), frame.image, response, job.taken, sizes[0], registrations[sizes])
    measure.finish()
    return EventCalibration(measure.measured, exposed, frames)


class _Stream:
    """A recording's messages, paired as the pipeline pairs them, without latency."""

    def __init__(self, config: PipelineConfig, event_size: tuple[int, int] | None) -> None:
        self._clock = Clock(config.frame_clock, round(config.event_time_offset * 1e9))
        self._synchronizer = Synchronizer(
            "all", config.event_timeout, config.max_frame_gap, config.buffer_megabytes, config.stamp_is
        )
        self._decoder, self._key = None, None
        self._exposures: dict[int, float] = {}
        self.event_size, self.cameras = event_size, {}

    def jobs(self, messages: Iterable[Any]) -> Iterator[Job]:
        for message in messages:
            if isinstance(message, Packet):
                self._synchronizer.add_events(self._decoded(message), 0.0)
            elif isinstance(message, Events):
                self._synchronizer.add_events(message.shifted(self._clock.offset_ns), 0.0)
            elif isinstance(message, Calibration):
                self.cameras[message.of] = message.camera
            elif isinstance(message, Exposure):
                seconds = message.exposure_seconds
                if seconds and not self._synchronizer.set_exposure(message.stamp_ns, seconds):
                    self._exposures[message.stamp_ns] = seconds
            else:
                self._synchronizer.add_frame(self._pending(message))
            yield from self._take()
        yield from self._take(flush=True)

    def _take(self, flush: bool = False) -> Iterator[Job]:
        while (job := self._synchronizer.next(flush=flush)) is not None:
            yield job

    def _pending(self, frame: Frame) -> PendingFrame:
        if frame.grid is not None:
            raise InputError("this recording holds voxel grids, whose events have no times any more")
        seconds = frame.exposure or self._exposures.pop(frame.stamp_ns, None)
        return PendingFrame(frame.stamp_ns, frame.image, "", None, 0.0, exposure_seconds=seconds)

    def _decoded(self, packet: Packet) -> Events:
        key = packet.encoding, packet.width, packet.height
        if key != self._key:
            if packet.encoding == "trigger":
                raise InputError("these packets hold external triggers, not events: is this the right topic?")
            self._decoder, self._key, self.event_size = make_decoder(*key), key, key[1:]
            self._clock.reset()
        return self._clock.to_ros(packet, self._decoder.decode(packet))
