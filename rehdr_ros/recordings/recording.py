"""What all recordings have in common."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from rehdr_ros.events import Calibration, Events, Exposure, Frame, Packet
from rehdr_ros.recordings.errors import RecordingError
from rehdr_ros.recordings.merge import in_order
from rehdr_ros.recordings.sources import Source, Sources


@runtime_checkable
class Recording(Protocol):
    """What `open_recording` gives. Every iteration opens the files anew and streams them, in flat memory.

    path: what was opened. encoding: of the events; "decoded" where the file holds them so, "voxel_grid" where
    there are grids instead, None where there are none. event_size: width and height of the event camera, None
    where every packet tells it or nothing does. counters: what the decoding that was begun last has lost or
    found odd so far, by cause, as far as events come decoded: for packets it is the pipeline that counts.
    notes: lines to tell the user, as what was deduced and how. fps: by which frames whose times nothing tells
    were stamped, else None.
    """

    path: Path
    counters: dict[str, int]
    notes: list[str]
    fps: float | None

    @property
    def encoding(self) -> str | None: ...

    @property
    def event_size(self) -> tuple[int, int] | None: ...

    def messages(
        self, cameras: bool = False, event_time_offset: float = 0.0
    ) -> Iterator[Packet | Events | Frame | Exposure | Calibration]:
        """What the pipeline takes, in order: Packet or, where they come decoded, Events in ROS time; Frame.

        A frame comes after its events, but for those that a bag holds later, and an Exposure before its
        frame's events end. A Frame may bring a voxel grid instead of events. cameras: first the Calibration
        of both cameras. event_time_offset: s that the pipeline adds to events' times; here it orders them.
        Raises RecordingError, here or on the way, for what is missing, damaged or contradicts itself.
        """
        ...

    def events(self) -> Iterator[Packet | Events]:
        """The events alone, none where there are grids. Raises RecordingError."""
        ...

    def frames(self) -> Iterator[Frame]:
        """The frames alone. Raises RecordingError."""
        ...

    def sources(self, cameras: bool = False) -> Sources:
        """What `messages(cameras)` reads, and what else there is."""
        ...

    def inventory(self) -> list[Source]:
        """Every topic or stream there is; none where events and frames are files of their own."""
        ...

    def camera_info(self) -> Any | None:
        """sensor_msgs/msg/CameraInfo of the frames' camera, for BagWriter; None where unknown."""
        ...


class Uncalibrated:
    """A base of recordings whose files hold no calibration of the cameras; their events come decoded."""

    fps: float | None = None

    def messages(self, cameras: bool = False, event_time_offset: float = 0.0) -> Iterator[Events | Frame]:
        """See Recording. Raises RecordingError for cameras."""
        if cameras:
            raise RecordingError(f"{self.path} holds no calibration of its cameras")
        return in_order(self.events(), self.frames(), event_time_offset)

    def inventory(self) -> list[Source]:
        """None."""
        return []

    def camera_info(self) -> None:
        """Not known."""
