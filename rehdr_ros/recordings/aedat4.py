"""AEDAT4 recordings (iniVation DAVIS and DVXplorer)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import dv_processing as dv
import numpy as np

from rehdr_ros.events import Events, Frame
from rehdr_ros.recordings.errors import RecordingError
from rehdr_ros.recordings.recording import Uncalibrated


class Aedat4Recording(Uncalibrated):
    """The events and frames of an AEDAT4 file; its stamps are ROS time already. See Recording.

    Every iteration opens the file anew and streams it.
    Raises RecordingError where there is no such file, where it is not readable, or lacks events or frames.
    """

    encoding = "decoded"

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise RecordingError(f"{self.path} is not a file")
        reader = self._open()
        if not reader.isEventStreamAvailable() or not reader.isFrameStreamAvailable():
            streams = ", ".join(reader.getStreamNames()) or "nothing"
            raise RecordingError(f"{self.path} needs a stream of events and one of frames; it has {streams}")
        self.event_size = tuple(reader.getEventResolution())
        self.counters: dict[str, int] = {}
        self.notes: list[str] = []

    def events(self) -> Iterator[Events]:
        """The events in batches, t in ROS ns."""
        reader = self._open()
        while (batch := reader.getNextEventBatch()) is not None:
            columns = batch.numpy()
            if len(columns):
                polarity = columns["polarity"].astype(np.uint8)
                yield Events(columns["timestamp"] * 1000, columns["x"], columns["y"], polarity)

    def frames(self) -> Iterator[Frame]:
        """The frames, stamped with the start of their exposure; images uint8, (H, W) or (H, W, 3) in RGB."""
        reader = self._open()
        while (frame := reader.getNextFrame()) is not None:
            colour = frame.image.ndim == 3
            image = cv2.cvtColor(frame.image, cv2.COLOR_BGR2RGB) if colour else np.array(frame.image)
            seconds = frame.exposure.total_seconds()
            seconds = seconds if seconds > 0 else None
            yield Frame(frame.timestamp * 1000, image, exposure_time_s=seconds, effective_time_s=seconds)

    def _open(self) -> dv.io.MonoCameraRecording:
        try:
            return dv.io.MonoCameraRecording(str(self.path))
        except RuntimeError as error:
            raise RecordingError(f"{self.path} is not a readable AEDAT4 file") from error
