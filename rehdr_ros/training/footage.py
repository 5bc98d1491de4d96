"""A real recording in memory: linear frames, when they were exposed, and the events of all that time."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rehdr_ros.errors import InputError
from rehdr_ros.events import Events, Exposure, Frame, Packet, Receiver, voxel_grid
from rehdr_ros.reconstruction.clipping import clipped_from
from rehdr_ros.reconstruction.dead_time import DeadTime
from rehdr_ros.reconstruction.response import Response
from rehdr_ros.recordings import open_recording
from rehdr_ros.settings import Settings, setting
from rehdr_ros.training.export import checked, in_colour

FRAME_TIMES = {"start": 0.0, "middle": 0.5}  # share of the exposure that has passed
MOST_FRAMES = 60
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Timing(Settings):
    """When a frame was, and its events."""

    frame_time: str = setting(
        "middle",
        "when in its exposure a frame was: start, or middle if not given",
        choices=tuple(FRAME_TIMES),
    )
    event_latency: float = setting(
        0.0, "how much later than the light events are; 0 if not given", unit="s", above=-1, below=1
    )


@dataclass(frozen=True, eq=False)
class Footage:
    """T frames and their events, which are of the same pixels.

    linear: (T, 3, H, W) float32, 1.0 = the camera's white. saturated: (T, H, W) bool, a channel >= 250/255.
    start_ns: (T,) int64, ROS time; exposure: (T,) s, 0 where unknown. events: t in ROS ns, in order of time.
    """

    name: str
    linear: Tensor
    saturated: Tensor
    start_ns: np.ndarray
    exposure: np.ndarray
    events: Events

    def __len__(self) -> int:
        return len(self.linear)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return tuple(self.linear.shape[2:])

    @property
    def event_rate(self) -> float:
        """Events/s, 0 without any."""
        return len(self.events) / max(1e-9, np.ptp(self.events.t) * 1e-9) if len(self.events) else 0.0

    def times_ns(self, timing: Timing) -> np.ndarray:
        """When the frames were, (T,) int64."""
        return self.start_ns + np.rint(FRAME_TIMES[timing.frame_time] * self.exposure * 1e9).astype(np.int64)

    def seconds(self, timing: Timing) -> Tensor:
        """(T,) float32: since the frame before, 0 for the first."""
        times = self.times_ns(timing)
        return torch.from_numpy(np.diff(times, prepend=times[:1]) * 1e-9).float()

    def grids(self, bins: int, timing: Timing) -> Tensor:
        """Signed events between the frames' times, (T, bins, H, W) float32; zeros for the first."""
        times = self.times_ns(timing) + round(timing.event_latency * 1e9)
        ends = np.searchsorted(self.events.t, times, side="right")
        grids = torch.zeros(len(self), bins, *self.size)
        for k, ((first, last), (t0, t1)) in enumerate(zip(pairwise(ends), pairwise(times), strict=True), 1):
            voxel_grid(self.events[first:last], t0, t1, bins, *self.size, out=grids[k].numpy())
        return grids

    @property
    def dead_time(self) -> float:
        """How long a pixel is blind after an event, s, as of DeadTime by all events."""
        dead_time, (height, width) = DeadTime(), self.size
        ends = np.searchsorted(self.events.t, self.start_ns)
        for part in (self.events[first:last] for first, last in pairwise((0, *ends, len(self.events)))):
            dead_time.add(part, width, height)
        return dead_time.ns * 1e-9

    def late(self, seconds: float) -> "Footage":
        """The same with every event so much later."""
        return replace(self, events=self.events.shifted(round(seconds * 1e9)))

    def with_events_of(self, other: "Footage") -> "Footage":
        """The same frames with another recording's events, from its first frame on, repeated if they are few.

        Raises InputError for one of another size.
        """
        if other.size != self.size:
            pixels = f"{other.name} has other pixels than {self.name}"
            raise InputError(f"{pixels}: its events can't be laid over that")
        source = other.events[other.events.t >= other.start_ns[0]]
        if not len(source):
            return replace(self, events=Events.empty())
        shift = int(self.start_ns[0] - other.start_ns[0])
        period = int(source.t[-1] - other.start_ns[0]) + 1
        length = int(self.start_ns[-1] + 1_000_000_000 * self.exposure[-1] - self.start_ns[0])
        repeats = range(1 + length // period)
        return replace(self, events=Events.concatenate(source.shifted(shift + n * period) for n in repeats))


def read_footage(
    path: str | Path, response: float | str | Path = 1.0, white_level: int = 0, most_frames: int = MOST_FRAMES
) -> Footage:
    """The first `most_frames` frames of any recording that has events and frames of the same pixels.

    response, white_level: of the frames, as of Response; 1.0: their values are linear.
    Raises InputError for other pixels, frames that change their size, fewer than two, and voxel grids instead
    of events; RecordingError for what can't be read.
    """
    response = Response(response, white_level)
    recording, receiver = open_recording(path), Receiver()
    frames, parts, told = [], [], {}
    for message in checked(recording):
        if isinstance(message, Packet | Events):
            parts.append(receiver.receive(message, recording.event_size))
        elif isinstance(message, Frame):
            if len(frames) == most_frames:
                break
            _check(path, message, frames)
            frames.append(message)
        elif isinstance(message, Exposure):
            told[message.stamp_ns] = message
    if len(frames) < 2:
        raise InputError(f"{path} has {len(frames)} frames: at least two are needed")
    frames = [f.exposed_as(told[f.stamp_ns]) if f.stamp_ns in told else f for f in frames]
    events = Events.concatenate(parts)
    images = [in_colour(frame.image) for frame in frames]
    return Footage(
        Path(path).stem,
        torch.cat([response.linearise(image, _CPU).pixels for image in images]),
        torch.from_numpy(np.stack([_is_saturated(image, response) for image in images])),
        np.array([frame.stamp_ns for frame in frames]),
        np.array([frame.exposure_time_s or 0.0 for frame in frames]),
        events[np.argsort(events.t, kind="stable")],
    )


def read_all(paths: Iterable[str | Path], *settings) -> list[Footage]:
    """The recordings at several paths, as of read_footage; names that aren't unique become the paths."""
    footages = {str(path): read_footage(path, *settings) for path in paths}
    names = [footage.name for footage in footages.values()]
    return [f if names.count(f.name) == 1 else replace(f, name=path) for path, f in footages.items()]


def _check(path: str | Path, frame: Frame, before: list[Frame]) -> None:
    if frame.grid is not None:
        raise InputError(f"{path} holds voxel grids, whose events have no times any more")
    if before and frame.image.shape != before[0].image.shape:
        raise InputError(f"{path}: the frames change their size")


def _is_saturated(image: np.ndarray, response: Response) -> np.ndarray:
    return (image >= clipped_from(image.dtype, response.saturation(image.dtype))).any(-1)
