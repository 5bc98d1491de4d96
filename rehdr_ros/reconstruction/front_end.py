"""Messages in, frames with their events out: the one way from cameras and recordings to a network's input."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from functools import partial

from rehdr_ros.events import Events, Exposure, Frame, Packet, Receiver, Run
from rehdr_ros.reconstruction.config import PipelineConfig
from rehdr_ros.reconstruction.keyframe import Keyframe
from rehdr_ros.reconstruction.output_schedule import OutputJob, OutputSchedule
from rehdr_ros.reconstruction.synchronizer import Job, Synchronizer

Message = Packet | Events | Frame | Exposure


class FrontEnd:
    """A receiver in front of `synchronizer`, both as the configuration asks for them. Not thread-safe.

    Small packets wait to be decoded together, until a frame needs them: the results are the same.
    events: how many have come, decode_seconds: what that took, since it was set to 0.
    """

    def __init__(self, config: PipelineConfig) -> None:
        self._receiver = Receiver(config.frame_clock, _offset_ns(config))
        self.synchronizer = Synchronizer(config)
        self._schedule = OutputSchedule(config) if config.output_rate else None
        self._run = Run()
        self.events, self.decode_seconds = 0, 0.0

    @property
    def counters(self) -> dict[str, int]:
        """Since construction, by cause: what was lost or odd on the way."""
        self.decode()
        skipped = {"skipped_outputs": self._schedule.skipped} if self._schedule else {}
        return {**self._receiver.counters, **self.synchronizer.counters, **skipped}

    def configure(self, config: PipelineConfig) -> None:
        """Go on with other settings, those of a pipeline that are not fixed."""
        self.decode()
        self._receiver.clock.set_offset(_offset_ns(config))
        self.synchronizer.configure(config)
        if self._schedule:
            self._schedule.configure(config)

    def restart(self, reason: str) -> None:
        """Forget what waits and the sensor's clock; the next frame starts anew and says why."""
        self.decode()
        self._receiver.restart()
        self.synchronizer.clear()
        self.synchronizer.reset(reason)
        if self._schedule:
            self._schedule.clear()

    def add(
        self,
        message: Message,
        event_size: tuple[int, int] | None = None,
        arrived: float = 0.0,
        since: float | None = None,
    ) -> None:
        """event_size: width and height of the camera of Events.

        arrived: monotonic s. since: see Synchronizer.add_frame. Raises ValueError as Receiver.receive.
        """
        if isinstance(message, Packet):
            self._add_packet(message, arrived)
            return
        self.decode()
        if isinstance(message, Frame):
            self.synchronizer.add_frame(message, arrived, since)
            if self._schedule:
                self._schedule.add_frame(message.stamp_ns, arrived, since)
        elif isinstance(message, Exposure):
            self.synchronizer.add_exposure(message, arrived)
        else:
            receiver = self._receiver
            events = receiver.receive(message, event_size)
            self.events += len(events)
            self.synchronizer.add_events(events, arrived, receiver.restarted, receiver.size)
            if self._schedule:
                self._schedule.add_events(events, [len(events)], [arrived], self.synchronizer.passed_ns)

    def next(self, now: float | None = None, flush: bool = False) -> Job | None:
        """As of Synchronizer."""
        if self.synchronizer.waits:
            self.decode()
        return self.synchronizer.next(now, flush)

    def add_keyframe(self, keyframe: Keyframe) -> None:
        """A frame that has been reconstructed, where there are outputs between the frames."""
        self.decode()
        self._schedule.add_keyframe(keyframe, self.synchronizer.passed_ns)

    def next_output(
        self, running: Job | None = None, now: float | None = None, flush: bool = False
    ) -> OutputJob | None:
        """As of OutputSchedule."""
        self.decode()
        return self._schedule.next(self.synchronizer, running, now, flush)

    def decode(self) -> None:
        """Decode the packets that wait."""
        run, self._run = self._run, Run()
        if not run.packets:
            return
        started, receiver = time.perf_counter(), self._receiver
        decoded = receiver.receive_run(run.packets)
        self.events += len(decoded.events)
        self.synchronizer.add_run(decoded, run.arrived, receiver.restarted, receiver.size)
        if self._schedule:
            passed_ns = self.synchronizer.passed_ns
            self._schedule.add_events(decoded.events, decoded.ends.tolist(), run.arrived, passed_ns)
        self.decode_seconds += time.perf_counter() - started

    def jobs(self, messages: Iterable[Message], event_size: tuple[int, int] | None = None) -> Iterator[Job]:
        """Every frame of a recording, in order."""
        for message in messages:
            self.add(message, event_size)
            yield from iter(self.next, None)
        yield from iter(partial(self.next, flush=True), None)

    def _add_packet(self, packet: Packet, arrived: float) -> None:
        if not self._run.precedes(packet):
            self.decode()
        self._receiver.expect(packet)
        self._run.append(packet, arrived)
        if self._run.full:
            self.decode()


def _offset_ns(config: PipelineConfig) -> int:
    return round(config.event_time_offset * 1e9)
