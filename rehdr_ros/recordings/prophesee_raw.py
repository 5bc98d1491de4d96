"""Prophesee RAW files: events as the sensor sent them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rehdr_ros.events import Events, Frame, Packet, make_decoder
from rehdr_ros.events.codecs import raw_formats
from rehdr_ros.recordings.errors import RecordingError
from rehdr_ros.recordings.image_folder import ImageFolder
from rehdr_ros.recordings.raw_header import read_raw_header
from rehdr_ros.recordings.recording import Uncalibrated
from rehdr_ros.recordings.sources import Sources

_CHUNK = 1 << 18  # bytes, of whole words; decoded at most 20 MB


class RawRecording(Uncalibrated):
    """A Prophesee RAW file (EVT 2, 2.1, 3) and another camera's frames as a folder of images; see Recording.

    The events' times are the sensor's, from the start of the file as in Prophesee's own tools; the frames'
    stamps must be of that clock, or the pipeline's event_time_offset be what lies between.
    frames: None where there are none: then `messages` and `frames` raise RecordingError. event_size: width
    and height of the sensor, where the header doesn't tell them.
    Raises RecordingError for a file that is no RAW file.
    """

    def __init__(
        self, path: str | Path, frames: ImageFolder | None = None, event_size: tuple[int, int] | None = None
    ) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise RecordingError(f"{self.path} is not a file")
        self.encoding, self.event_size, self._start, note = read_raw_header(self.path, event_size)
        self._frames, self.fps = frames, frames.fps if frames else None
        self._of_events: dict[str, int] = {}
        self._notes = [each for each in (note, self._end()) if each]

    @property
    def counters(self) -> dict[str, int]:
        return {**self._of_events, **(self._frames.counters if self._frames else {})}

    @property
    def notes(self) -> list[str]:
        return self._notes + (self._frames.notes if self._frames else [])

    def sources(self, cameras: bool = False) -> Sources:
        """See Recording."""
        beside = (self._frames.path, self._frames.timestamps) if self._frames else (None, None)
        frames, timestamps = ([str(path)] if path else [] for path in beside)
        return Sources({"events": [str(self.path)], "frames": frames, "timestamps": timestamps})

    def frames(self) -> Iterator[Frame]:
        """The frames. Raises RecordingError where there are none, and for an unreadable one."""
        if self._frames is None:
            advice = "name the folder of its frames (--frames), and their timestamps (--timestamps)"
            raise RecordingError(f"{self.path} holds events alone: {advice}")
        return self._frames.frames()

    def events(self) -> Iterator[Events]:
        """The events in batches, t in ns from the start of the file."""
        decoder, shift_ns = make_decoder(self.encoding, *self.event_size), None
        self._of_events = {}
        for number, words in enumerate(self._chunks()):
            if shift_ns is None:
                shift_ns = raw_formats()[self.encoding].start_ns(words)
            events = decoder.decode(Packet(0, *self.event_size, number, 0, self.encoding, words))
            self._of_events = decoder.counters
            if len(events):
                yield events.shifted(-shift_ns)

    def _end(self) -> str:
        """What there is to tell of it: words have no frame around them, so that most cuts can't be seen."""
        word = np.dtype(raw_formats()[self.encoding].word).itemsize
        cut = (self.path.stat().st_size - self._start) % word
        return f"{self.path} ends early, within a word: it is read up to there" if cut else ""

    def _chunks(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            file.seek(self._start)
            while chunk := file.read(_CHUNK):
                yield chunk
