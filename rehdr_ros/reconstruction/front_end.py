"""Messages in, frames with their events out: the one way from cameras and recordings to a network's input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from rehdr_ros.events import Events, Exposure, Frame, Packet, Receiver
from rehdr_ros.reconstruction.config import PipelineConfig
from rehdr_ros.reconstruction.synchronizer import Job, Synchronizer

Message = Packet | Events | Frame | Exposure


class FrontEnd:
    """A receiver in front of `synchronizer`, both as the configuration asks for them. Not thread-safe."""

    def __init__(self, config: PipelineConfig) -> None:
        self._receiver = Receiver(config.frame_clock, _offset_ns(config))
        self.synchronizer = Synchronizer(config)

    @property
    def counters(self) -> dict[str, int]:
        """Since construction, by cause: what was lost or odd on the way."""
        return {**self._receiver.counters, **self.synchronizer.counters}

    def configure(self, config: PipelineConfig) -> None:
        """Go on with other settings, those of a pipeline that are not fixed."""
        self._receiver.clock.set_offset(_offset_ns(config))
        self.synchronizer.configure(config)

    def restart(self, reason: str) -> None:
        """Forget what waits and the sensor's clock; the next frame starts anew and says why."""
        self._receiver.restart()
        self.synchronizer.clear()
        self.synchronizer.reset(reason)

    def add(
        self,
        message: Message,
        event_size: tuple[int, int] | None = None,
        arrived: float = 0.0,
        since: float | None = None,
    ) -> int:
        """Returns how many events came. event_size: width and height of the camera of Events.

        arrived: monotonic s. since: see Synchronizer.add_frame. Raises ValueError as Receiver.receive.
        """
        if isinstance(message, Frame):
            self.synchronizer.add_frame(message, arrived, since)
        elif isinstance(message, Exposure):
            self.synchronizer.add_exposure(message)
        else:
            receiver = self._receiver
            events = receiver.receive(message, event_size)
            self.synchronizer.add_events(events, arrived, receiver.restarted, receiver.size)
            return len(events)
        return 0

    def jobs(self, messages: Iterable[Message], event_size: tuple[int, int] | None = None) -> Iterator[Job]:
        """Every frame of a recording, in order."""
        for message in messages:
            self.add(message, event_size)
            yield from iter(self.synchronizer.next, None)
        yield from iter(partial(self.synchronizer.next, flush=True), None)


def _offset_ns(config: PipelineConfig) -> int:
    return round(config.event_time_offset * 1e9)
