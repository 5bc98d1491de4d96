"""Simulated recordings, reconstructed while they come."""

from collections import deque
from collections.abc import Iterator

from rehdr_ros.reconstruction import HdrFrame, HdrPipeline
from rehdr_ros.simulation import Sample


class Recorder:
    """One recording through a pipeline, which starts anew. tells_exposure: as by the topic of a live camera.

    `add` and `finish` give every sample once, with what became of it.
    """

    def __init__(self, pipeline: HdrPipeline, tells_exposure: bool = False):
        self._pipeline, self._tells_exposure = pipeline, tells_exposure
        self._waiting: deque[Sample] = deque()
        pipeline.activate()

    def add(self, sample: Sample) -> Iterator[tuple[Sample, HdrFrame]]:
        self._pipeline.add_events(sample.events)
        if self._tells_exposure:
            self._pipeline.add_exposure(sample.stamp_ns, sample.exposure)
        self._pipeline.add_frame(sample.stamp_ns, sample.ldr)
        self._pipeline.add_events(sample.tail)
        self._waiting.append(sample)
        return self._taken(flush=False)

    def finish(self) -> Iterator[tuple[Sample, HdrFrame]]:
        return self._taken(flush=True)

    def _taken(self, flush: bool) -> Iterator[tuple[Sample, HdrFrame]]:
        for frame in self._pipeline.take(flush=flush):
            yield self._waiting.popleft(), frame
