"""Frames without their blur: the middle of each exposure, by the events within it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rehdr_ros.events import Registration
from rehdr_ros.jit import sealed
from rehdr_ros.luminance import BT709
from rehdr_ros.network.contract import Estimate
from rehdr_ros.network.event_fit import (
    CALIBRATION_RANGE,
    EventFit,
    initial_sums,
    read,
    recent_changes,
    update,
)
from rehdr_ros.network.head_start.reference import FLOOR
from rehdr_ros.reconstruction.dead_time import DeadTime
from rehdr_ros.reconstruction.double_integral import double_integral, smooth, weighted_counts
from rehdr_ros.reconstruction.synchronizer import Exposed, Job

_LEAST_EXPLAINED = 0.3  # R^2, from which on events are trusted with the frame
_RAMPS = 16  # the longest rises towards an event that an exposure has room for
_LIKE = 0.5  # of a threshold: by how much radiances that are the same come out different
_NO_TABLE = sealed(np.empty(0, np.int32))


class Instant(NamedTuple):
    """What is known of the middle of a frame's exposure before the network sees it, on the CPU.

    radiance: (1, 3, H, W), the frame without its blur, white = 1, which it may exceed; exposed: (1, 1, H, W)
    bool, where that is right and differs from the frame. sigma: (1, 1, H, W), what events add to that of its
    logarithm, nat. ldr: (1, 3, H, W), what the network gets: the same, and in clipped pixels at least white,
    unless the events say that they were brighter before or after. share: (2, 1, 1, H, W), thresholds that the
    OFF and ON events since the last frame's middle stand for, over their number.
    """

    radiance: Tensor
    exposed: Tensor
    sigma: Tensor
    ldr: Tensor
    share: Tensor

    def to(self, device: torch.device) -> Instant:
        return Instant(*(x.to(device) for x in self))

    def weighted(self, grid: Tensor) -> Tensor:
        """A grid of signed events, with what pixels missed while they were blind."""
        off, on = self.share
        return torch.where(grid > 0, grid * on, grid * off)

    def complete(self, estimate: Estimate) -> Estimate:
        """The network's estimate from `ldr`, with what the frame itself tells."""
        radiance = torch.where(self.exposed, self.radiance, estimate.radiance)
        sigma, cause = estimate.sigma, estimate.cause
        if sigma is not None:
            sigma = torch.where(self.exposed, torch.hypot(sigma, self.sigma), sigma)
            cause = cause.masked_fill(self.exposed, 0.0)
        return Estimate(radiance, sigma, cause)


class Deblurring:
    """Learns from each frame how well its events explain it, and takes the blur out where they do.

    Thresholds, noise and R^2 are those of the stream, by event_fit.py, of frames as they are and of events
    that each stand for what their pixel missed, too, while it was blind for the `dead_time`.
    """

    def __init__(self, dead_time: DeadTime) -> None:
        self._dead_time = dead_time
        self.reset()

    def reset(self) -> None:
        """Forget the stream."""
        self._sums: Tensor | None = None  # and what they are made of, as of event_fit.py
        self._recent: Tensor | None = None
        self._last: _Course | None = None
        self._was_sharp = False
        self.radiance: Tensor | None = None  # (1, 3, H, W) float32, what became of the last frame

    @property
    def fit(self) -> EventFit:
        """How well the events explain the frames as they are."""
        return read(initial_sums(torch.empty(1)) if self._sums is None else self._sums)

    def applies(self, job: Job) -> bool:
        """Whether the blur of this frame can be told, by the frames before."""
        blurred = job.exposed.length > 0 and job.frame.grid is None and job.before is not None
        return blurred and self._sums is not None and float(self.fit.explained) >= _LEAST_EXPLAINED

    def exposures_ns(self, job: Job) -> tuple[int, int]:
        """As of the job, 0 for a frame that has no blur any more."""
        before, now = job.exposures_ns
        return 0 if self._was_sharp else before, 0 if self.applies(job) else now

    def __call__(
        self, job: Job, ldr: Tensor, registration: Registration | None, clipped_from: float, gain: float
    ) -> Instant | None:
        """Learn from a frame; its instant, or None where it stays as it is.

        ldr: (1, 3, H, W) linear. clipped_from: linear value from which a channel counts as clipped. gain:
        what brings the frame to the first's scale.
        """
        applies, ldr = self.applies(job), ldr.cpu()
        events = _PixelEvents(job, ldr.shape[-2:], registration)
        course = self._course(job, events, ldr, gain)
        if job.before is not None and self._last is not None:
            self._learn(job, events, self._last, course)
            course = self._course(job, events, ldr, gain)
        self._last, self._was_sharp = course, applies
        return self._instant(ldr, course, clipped_from, gain) if applies else None

    def _course(self, job: Job, events: _PixelEvents, ldr: Tensor, gain: float) -> _Course:
        """What the events tell of the exposure, and of the time since the last one's middle."""
        fit, dead = self.fit, self._dead_time.ns
        log_ratio, count = events.log_ratio(job.exposed, fit, dead)
        each, weighted = (events.counts(job.interval_ns, (0, 0), blind) for blind in (0, dead))
        low, high = CALIBRATION_RANGE
        usable = (ldr.amin(1, keepdim=True) > low) & (ldr.amax(1, keepdim=True) < high)
        return _Course(
            shown=ldr.clamp_min(FLOOR).log().mean(1, keepdim=True) + math.log(gain),
            usable=usable,
            log_ratio=log_ratio,
            count=count,
            moved=fit.on * weighted[1] - fit.off * weighted[0],
            share=torch.where(each > 0, weighted / each, 1.0),
        )

    def _learn(self, job: Job, events: _PixelEvents, before: _Course, now: _Course) -> None:
        fit, sums = self.fit, self._sums
        off, on = events.counts(job.interval_ns, job.exposures_ns, self._dead_time.ns)
        # The mean radiance of an exposure isn't that of its logarithm, to which thresholds are factors.
        bent = now.moved + now.log_ratio - before.log_ratio - (fit.on * on - fit.off * off)
        change, usable = now.shown - before.shown - bent, now.usable & before.usable
        start, end = job.interval_ns
        seconds = torch.full((1, 1, 1, 1), max(end - start, 0) * 1e-9)
        if sums is None:
            sums, self._recent = initial_sums(change), change.new_zeros(1, 3, *change.shape[2:])
        self._recent = recent_changes(self._recent, change, on, off, usable, seconds)
        self._sums = update(sums, self._recent, seconds)

    def _instant(self, ldr: Tensor, course: _Course, clipped_from: float, gain: float) -> Instant:
        fit, clipped = self.fit, ldr >= clipped_from
        any_clipped = clipped.any(1, keepdim=True)
        like = _LIKE * float(fit.on + fit.off) / 2
        log_ratio = torch.empty_like(course.log_ratio)
        planes = (x[0, 0].numpy() for x in (any_clipped, course.count, course.log_ratio, log_ratio))
        smooth(np.tensordot(BT709, ldr[0].numpy(), 1), np.float32(like), *planes)
        moves = log_ratio != 0
        radiance = torch.where(moves, ldr * (-log_ratio).exp(), ldr)
        # A clipped pixel was this bright at least; below white it can only be where it was so before.
        unknown = radiance.clamp_min(1.0)
        if self.radiance is not None:
            carried = self.radiance / gain * course.moved.exp()
            unknown = torch.minimum(torch.maximum(carried, radiance), unknown)
        seen = torch.where(clipped & moves, unknown, radiance)
        sigma = log_ratio.abs() * (1 - fit.explained).sqrt()
        return Instant(radiance, moves & ~any_clipped, sigma, seen, course.share)


class _Course(NamedTuple):
    """Of a frame, (1, 1, H, W) each but for `share`, which is that of Instant.

    shown: log of the frame, nat, in units of the first one's white; usable: bool, whether to learn from it.
    log_ratio, count: as of double_integral. moved: change of log radiance since the last frame's middle.
    """

    shown: Tensor
    usable: Tensor
    log_ratio: Tensor
    count: Tensor
    moved: Tensor
    share: Tensor


class _PixelEvents:
    """A job's events by their pixel, and their sums in the pixels of a frame of `shape`, (H, W)."""

    def __init__(self, job: Job, shape: tuple[int, int], registration: Registration | None) -> None:
        events = job.events if job.before else job.taken
        width, height = registration.event_size if registration else shape[::-1]
        inside = (events.x < width) & (events.y < height)
        number = events.y.astype(np.int32) * np.int32(width) + events.x
        self.t, self.sensor = sealed(events.t), sealed(np.where(inside, number, np.int32(-1)))
        self._p, self._shape, self._registration = sealed(events.p), tuple(shape), registration
        self._share, self._table = np.ones(shape[0] * shape[1], np.float32), _NO_TABLE
        if registration is not None:
            self._table = sealed(registration.table)
            self._share[registration.shared] = registration.weights

    @property
    def _events(self) -> tuple[np.ndarray, ...]:
        return self.t, self.sensor, self._p, self._table, self._share

    def counts(self, middles: tuple[int, int], exposures: tuple[int, int], dead_ns: int) -> Tensor:
        """OFF and ON, (2, 1, 1, H, W), see weighted_counts."""
        counts = np.zeros((2, len(self._share)), np.float32)
        weighted_counts(*self._events, middles, exposures, dead_ns, counts)
        return self._complete(counts).view(2, 1, 1, *self._shape)

    def log_ratio(self, exposed: Exposed, fit: EventFit, dead_ns: int) -> tuple[Tensor, Tensor]:
        """(1, 1, H, W) each, see double_integral."""
        ratio, count = np.zeros(len(self._share), np.float32), np.zeros(len(self._share), np.int32)
        if exposed.length:
            ramp = exposed.length // _RAMPS
            thresholds = float(fit.on), float(fit.off)
            double_integral(*self._events, *exposed, *thresholds, dead_ns, ramp, ratio, count)
        return tuple(self._complete(x[None]).view(1, 1, *self._shape) for x in (ratio, count))

    def _complete(self, planes: np.ndarray) -> Tensor:
        """With the frame pixels that no event pixel falls on."""
        if self._registration is not None:
            planes[:, self._registration.holes] = planes[:, self._registration.donors]
        return torch.from_numpy(planes)
