"""What a stream tells of its own events: how late they come, how much of the frames' change they explain.

And how long its frames are exposed, where that is wanted and nothing else tells.
"""

from __future__ import annotations

from rehdr_ros.reconstruction.event_latency import EventLatency
from rehdr_ros.reconstruction.exposure_time import ExposureTime
from rehdr_ros.reconstruction.frame_info import Fit
from rehdr_ros.reconstruction.reconstructor import Reconstructor
from rehdr_ros.reconstruction.synchronizer import Exposed, Job

_PERIOD_NS = 1_000_000_000  # of the stream, between two looks at the fit, which lies on the network's device
_POOR = 0.25  # share of the change explained
_SECONDS = 3  # of a poor fit, after which it is a problem
_SETTLED = 0.001  # s, by which the latency in use may be off the measured one
_FEWEST_EVENTS = 1.0  # a second and pixel of the frame; a still scene has less, and nothing to explain


class EventModel:
    """Learns from each frame's job, after the network has seen it.

    fixed_latency: s, None to measure it. estimates_exposure: whether to estimate the exposure of frames of
    which nothing tells. exposure: that, s, 0 where it isn't known. problem: why the events are of little use,
    in words; else empty.
    """

    def __init__(self, fixed_latency: float | None, estimates_exposure: bool) -> None:
        self._fixed, self._measure = fixed_latency, EventLatency()
        self._estimates_exposure, self._exposure = estimates_exposure, ExposureTime()
        self.forget()

    def forget(self) -> None:
        """Another stream, or one with other clocks, pixels or responses."""
        self._measure.forget()
        self._forget_exposure()
        self._begin(None)

    def _begin(self, stamp_ns: int | None) -> None:
        self.fit, self.problem = Fit(), ""
        self._looked_ns, self._events, self._poor = stamp_ns, 0, 0

    def _forget_exposure(self) -> None:
        self._exposure.forget()
        self.exposure = 0.0

    def set_fixed_latency(self, seconds: float | None) -> None:
        if seconds != self._fixed:
            self._forget_exposure()
        self._fixed = seconds

    def set_estimates_exposure(self, estimates: bool) -> None:
        self._estimates_exposure = estimates
        self._forget_exposure()

    @property
    def latency(self) -> float:
        """In use, s."""
        return self._measure.latency if self._fixed is None else self._fixed

    def learn(self, job: Job, reconstructor: Reconstructor, passed_share: float) -> None:
        """From a frame; its events by their stamps, without latency.

        passed_share: of an exposure that is estimated, at the frame's stamp and latency.
        """
        if job.reset_reason:
            self._measure.interrupt()
            self._exposure.interrupt()
            self._begin(job.frame.stamp_ns)
        if self._fixed is None:
            self._learn_latency(job, reconstructor)
        if self._estimates_exposure:
            self._learn_exposure(job, reconstructor, passed_share)
        self._look(job, reconstructor)

    def _learn_latency(self, job: Job, reconstructor: Reconstructor) -> None:
        frame = job.frame
        if frame.grid is not None or reconstructor.voxels.problem:
            return
        exposed = Exposed(*(at - job.latency_ns for at in job.exposed))
        size = job.event_size or frame.size
        registration = reconstructor.voxels.registration
        self._measure.add(exposed, frame.image, reconstructor.response, job.taken, size, registration)

    def _learn_exposure(self, job: Job, reconstructor: Reconstructor, passed_share: float) -> None:
        frame, voxels = job.frame, reconstructor.voxels
        if frame.grid is not None or frame.exposure_time_s is not None or voxels.problem:
            return
        measured, latency = self._measure.measured, self._fixed
        if latency is None:
            if measured is None or measured.doubts:
                self._exposure.interrupt()
                return
            latency = measured.latency
        instant, size = frame.stamp_ns + round(latency * 1e9), job.event_size or frame.size
        of_frame = frame.image, reconstructor.response, job.taken, size, voxels.registration
        self._exposure.add(instant, job.exposed.end, passed_share, *of_frame)
        # Around a latency that is still on its way an exposure would lie wrongly.
        if self.exposure or abs(latency - self.latency) <= _SETTLED:
            self.exposure = self._exposure.seconds

    def _look(self, job: Job, reconstructor: Reconstructor) -> None:
        self._events += len(job.events)
        elapsed = job.frame.stamp_ns - (job.frame.stamp_ns if self._looked_ns is None else self._looked_ns)
        if elapsed < _PERIOD_NS:
            return
        self.fit = Fit.of(reconstructor.event_fit)
        height, width = job.frame.image.shape[:2]
        busy = self._events >= _FEWEST_EVENTS * elapsed * 1e-9 * height * width
        self._poor = self._poor + 1 if busy and self.fit.explained < _POOR else 0
        self.problem = self._words() if self._poor >= _SECONDS else ""
        self._looked_ns, self._events = job.frame.stamp_ns, 0

    def _words(self) -> str:
        """The likely causes: an offset that was measured is none."""
        measured = self._measure.measured
        sure = self._fixed is None and measured is not None and not measured.doubts
        clocks = "" if sure else "the clocks (frame_clock, event_time_offset, event_latency), "
        return (
            f"events explain only {100 * self.fit.explained:.0f} % of what changes in the frames: "
            f"check {clocks}the registration and the response"
        )
