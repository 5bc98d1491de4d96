"""AEDAT4 recordings (iniVation DAVIS and DVXplorer)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import dv_processing as dv
import numpy as np

from rehdr_ros.events import Events
from rehdr_ros.recordings.errors import RecordingError
from rehdr_ros.recordings.frame import Frame


class Aedat4Recording:
    """The events and frames of an AEDAT4 file; its stamps are ROS time already.

    `width`, `height`: of the events. Every iteration opens the file anew and streams it.
    Raises RecordingError where there is no such file, where it is not readable, or lacks events or frames.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise RecordingError(f"{self.path} is not a file")
        reader = self._open()
        if not reader.isEventStreamAvailable() or not reader.isFrameStreamAvailable():
            streams = ", ".join(reader.getStreamNames()) or "nothing"
            raise RecordingError(f"{self.path} needs a stream of events and one of frames; it has {streams}")
        self.width, self.height = reader.getEventResolution()

    def messages(self, cameras: bool = False) -> Iterator[Events | Frame]:
        """Events and frames in the order of time: a frame follows the events up to its stamp.

        cameras: refused, since there is no calibration in such a file. Raises RecordingError.
        """
        if cameras:
            raise RecordingError(f"{self.path} holds no calibration of its cameras")
        return self._messages()

    def _messages(self) -> Iterator[Events | Frame]:
        frames = self.frames()
        frame = next(frames, None)
        for events in self.events():
            while frame is not None and frame.stamp_ns < events.t[-1]:
                count = int(np.searchsorted(events.t, frame.stamp_ns, side="right"))
                if count:
                    yield events[:count]
                yield frame
                events, frame = events[count:], next(frames, None)
            yield events
        if frame is not None:
            yield frame
        yield from frames

    def events(self) -> Iterator[Events]:
        """The events in batches, t in ROS ns."""
        reader = self._open()
        while (batch := reader.getNextEventBatch()) is not None:
            columns = batch.numpy()
            if len(columns):
                yield Events(
                    columns["timestamp"] * 1000,
                    columns["x"],
                    columns["y"],
                    columns["polarity"].astype(np.uint8),
                )

    def frames(self) -> Iterator[Frame]:
        """The frames, stamped with the start of their exposure; images uint8, (H, W) or (H, W, 3) in RGB."""
        reader = self._open()
        while (frame := reader.getNextFrame()) is not None:
            colour = frame.image.ndim == 3
            image = cv2.cvtColor(frame.image, cv2.COLOR_BGR2RGB) if colour else np.array(frame.image)
            exposure = frame.exposure.total_seconds()
            yield Frame(frame.timestamp * 1000, image, exposure=exposure if exposure > 0 else None)

    def _open(self) -> dv.io.MonoCameraRecording:
        try:
            return dv.io.MonoCameraRecording(str(self.path))
        except RuntimeError as error:
            raise RecordingError(f"{self.path} is not a readable AEDAT4 file") from error
