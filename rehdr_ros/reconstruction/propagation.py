"""The radiance of a frame, carried on by the events since.

log radiance = that of the frame + C_on n_on - C_off n_off, with the thresholds that the stream's own fit
says. What the network corrected in clipped pixels belongs to what was seen there: it fades with the variance
that events add. When the next frame comes, what is shown goes over to it within half a frame interval.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from rehdr_ros.events import Events, voxel_grid
from rehdr_ros.jit import sealed
from rehdr_ros.network.head_start.reference import ISOLATED, LOG_LIMIT
from rehdr_ros.products import CAUSES
from rehdr_ros.reconstruction import propagation_kernels as kernels
from rehdr_ros.reconstruction.keyframe import Keyframe
from rehdr_ros.reconstruction.output_schedule import OutputJob

HALF_CORRECTED = 0.3  # nat^2, added by events, at which half of the network's correction is left
TRANSITION = 0.5  # from one frame to the next, of the interval between them
LONGEST_TRANSITION_NS = 50_000_000
_MOST = np.float32(LOG_LIMIT)
_CARRIED = CAUSES.index("carried by events")


class Propagated(NamedTuple):
    """radiance: (3, H, W) float32, which changes with the next output; events: (H, W), since the keyframe."""

    radiance: np.ndarray
    events: np.ndarray


class Propagation:
    """Carries one keyframe after the other on, output by output; pixels without events cost nothing."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all; the next output has to be the first of its keyframe."""
        self._path: _Path | None = None
        self._difference: np.ndarray | None = None  # of what was shown before from what is now, per gain
        self._from_ns = self._until_ns = self._output_ns = 0  # of the transition; of the last output

    def __call__(self, job: OutputJob) -> Propagated:
        """The next output of a schedule."""
        instant_ns = job.instant_ns
        if job.is_first:
            self._begin(job)
        elif self._path.add(job.since, instant_ns):
            self._path.update()
        share = self._share(instant_ns)
        if share > 0:
            radiance = self._blended(share)
        else:
            self._difference, radiance = None, self._path.radiance
        self._output_ns = instant_ns
        return Propagated(radiance, self._path.events)

    def grid(self, job: OutputJob) -> np.ndarray:
        """The signed events since the output before, (1, H, W) float32; of the last output of all."""
        height, width = self._path.shape[1:]
        keyframe = job.keyframe
        events = job.events if keyframe.registered else Events.empty()
        begin = int(events.t[0]) - 1 if len(events) else job.instant_ns
        return voxel_grid(events, begin, job.instant_ns, 1, height, width, registration=keyframe.registration)

    def _begin(self, job: OutputJob) -> None:
        """On another keyframe: what is shown starts from what the one before would have shown."""
        path, keyframe, instant_ns = self._path, job.keyframe, job.instant_ns
        if path is None or path.shape != keyframe.radiance.shape:
            self._path = path = _Path(keyframe.radiance.shape)
            goes_on = False
        else:
            interval = keyframe.time_ns - path.keyframe.time_ns
            until_ns = self._output_ns + min(round(TRANSITION * interval), LONGEST_TRANSITION_NS)
            goes_on = not job.started and instant_ns < until_ns
        shown = None
        if goes_on:
            path.add(job.events, instant_ns)
            path.update()
            share = self._share(instant_ns)
            shown = self._blended(share) if share > 0 else path.radiance.copy()
            self._from_ns, self._until_ns = self._output_ns, until_ns
        path.begin(keyframe)
        path.add(job.since, instant_ns)
        path.update()
        self._difference = None if shown is None else shown / path.gain - keyframe.radiance

    def _share(self, instant_ns: int) -> float:
        """Of the way, in what is shown, that was shown before the last keyframe."""
        if self._difference is None or instant_ns >= self._until_ns:
            return 0.0
        return (self._until_ns - instant_ns) / (self._until_ns - self._from_ns)

    def _blended(self, share: float) -> np.ndarray:
        return self._path.gain * (self._path.keyframe.radiance + np.float32(share) * self._difference)


class _Path:
    """A keyframe and its events: by how much they, and what fades, multiply its radiance (gain, (H, W)).

    shape: (3, H, W), of the keyframes that it begins with, one after the other.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.shape, size = shape, shape[1:]
        self._events = np.zeros((2, *(n + 2 for n in size)), np.float32)  # OFF and ON, in a border of none
        self._changed = np.zeros(size[0] + 2, np.bool_)  # rows with new events
        self._uncorrected = np.zeros(size, np.float32)
        self.gain, self.radiance = np.empty(size, np.float32), np.empty(shape, np.float32)

    def begin(self, keyframe: Keyframe) -> None:
        """On another one of this shape, in the same memory: new memory would take longer than the rest."""
        self.keyframe, correction = keyframe, keyframe.correction
        self._events.fill(0)
        self._changed.fill(False)
        self.gain.fill(1)
        np.copyto(self.radiance, keyframe.radiance)
        self._correction = self._uncorrected if correction is None else correction
        self._numbers = tuple(np.float32(float(x)) for x in keyframe.fit[:3])

    def add(self, events: Events, until_ns: int) -> bool:
        """Events up to a time; those before the keyframe's are left out. Whether there are any."""
        if not self.keyframe.registered:
            return False
        after_ns, registration = self.keyframe.time_ns, self.keyframe.registration
        if registration is None:
            columns = (sealed(column) for column in (events.t, events.x, events.y, events.p))
            kernels.count(*columns, after_ns, until_ns, self._events, self._changed)
            return len(events) > 0
        height, width = self.shape[1:]
        for polarity, plane in enumerate(self._events):
            chosen = events[events.p == polarity]
            grid = voxel_grid(chosen, after_ns, until_ns, 1, height, width, registration=registration)
            kernels.add(np.abs(grid[0]), plane, self._changed)
        return len(events) > 0

    def update(self) -> None:
        """Gain and radiance, where events have come since."""
        on, off, noise = self._numbers
        kernels.update(
            self._events, self._changed, on, off, np.float32(noise / HALF_CORRECTED), np.float32(ISOLATED),
            _MOST, self._correction, self.keyframe.radiance, self.gain, self.radiance,
        )  # fmt: skip

    @property
    def events(self) -> np.ndarray:
        """How many came, (H, W)."""
        return self._events[0, 1:-1, 1:-1] + self._events[1, 1:-1, 1:-1]


class LatePlane:
    """A plane of an output, (1, 1, H, W) float32, made when somebody asks for it; from any thread."""

    def __init__(
        self, make: Callable[[Keyframe, np.ndarray], np.ndarray], keyframe: Keyframe, events: np.ndarray
    ):
        self._make, self._keyframe, self._events = make, keyframe, events

    def array(self) -> np.ndarray:
        return self._make(self._keyframe, self._events)[None, None]


def sigma(keyframe: Keyframe, events: np.ndarray) -> np.ndarray:
    """That of the keyframe with the variance that events (H, W) add.

    Where something moves, a pixel without an event may have changed by less than its threshold.
    """
    on, off, noise = (float(x) for x in keyframe.fit[:3])
    unseen = np.float32((on * on + off * off) / 2 / 6)  # variance of the difference of two uniform phases
    moves = cv2.dilate(np.minimum(events, 1), np.ones((3, 3), np.uint8))
    return np.sqrt(keyframe.sigma**2 + np.maximum(np.float32(noise) * events, unseen * moves))


def cause(keyframe: Keyframe, events: np.ndarray) -> np.ndarray:
    """That of the keyframe; what the frame showed is carried by events where there are any."""
    return np.where((events > 0) & (keyframe.cause == 0), np.float32(_CARRIED), keyframe.cause)


def warm_up() -> None:
    """Compile the kernels, or load them from the cache."""
    events, changed = np.zeros((2, 3, 3), np.float32), np.ones(3, np.bool_)
    plane, radiance, one = np.ones((1, 1), np.float32), np.ones((3, 1, 1), np.float32), np.float32(1)
    columns = (sealed(np.ones(1, dtype)) for dtype in (np.int64, np.uint16, np.uint16, np.uint8))
    kernels.count(*columns, 0, 1, events, changed)
    kernels.add(plane, events[0], changed)
    kernels.update(events, changed, *[one] * 5, plane, radiance, plane.copy(), radiance.copy())
