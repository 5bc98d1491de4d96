"""AEDAT4 recordings (iniVation DAVIS and DVXplorer)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from rehdr_ros.errors import InputError, one_line
from rehdr_ros.events import Events, Frame
from rehdr_ros.recordings.aedat4_file import Aedat4File, Stream, Table
from rehdr_ros.recordings.errors import RecordingError
from rehdr_ros.recordings.recording import Uncalibrated
from rehdr_ros.recordings.sources import Source, Sources

T = TypeVar("T")

_EVENT = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1"), ("", "V3")])
_KINDS = {"events": "EVTS", "frames": "FRME"}
_LARGEST = 1 << 12  # px a side
_LATEST_US = 1 << 52  # in ns, what int64 holds
_FURTHEST_US = 5_000_000  # from a packet's middle event; what is further was damaged

# The fields of iniVation's Frame.fbs that we read: times in us, the format as OpenCV numbers its types.
_TIMESTAMP, _EXPOSURE_START, _EXPOSURE_END, _FORMAT, _WIDTH, _HEIGHT = 0, 3, 4, 5, 6, 7
_PIXELS, _EXPOSURE = 10, 11
_CHANNELS = {0: 1, 16: 3, 24: 4}
_TO_RGB = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}


class Aedat4Recording(Uncalibrated):
    """The events and frames of one camera of an AEDAT4 file; its stamps are ROS time already. See Recording.

    camera: its name in the file, or None: the one that has events and frames, else the first that has events.
    `streams`: all of the file. Packets that can't be used are left out: `counters` says how many of the
    reading that was begun last, `notes` names the first of each stream. Every iteration opens the file anew.
    Raises RecordingError where there is no such file or camera, and where it is not readable.
    """

    def __init__(self, path: str | Path, camera: str | None = None) -> None:
        self.path = Path(path)
        self._file = Aedat4File(self.path)
        self.streams, self.notes = self._file.streams, self._file.notes
        self.counters: Counter[str] = Counter()
        self._ties: list[str] = []
        self.camera = self._choose() if camera is None else camera
        if camera is not None and camera not in self._cameras():
            raise RecordingError(f"{self.path} has no camera {camera}; it has {', '.join(self._cameras())}")

    @property
    def encoding(self) -> str | None:
        """None where the camera has no events."""
        return "decoded" if self._stream("events") else None

    @property
    def event_size(self) -> tuple[int, int] | None:
        stream = self._stream("events")
        return stream.size if stream else None

    def sources(self, cameras: bool = False) -> Sources:
        """See Recording."""
        chosen = {kind: stream for kind in _KINDS if (stream := self._stream(kind))}
        used = {kind: [_name(stream)] for kind, stream in chosen.items()}
        others = [stream for stream in self.streams if stream not in chosen.values()]
        candidates = [_name(stream) for stream in others if stream.type in _KINDS.values()]
        return Sources(used, [_name(stream) for stream in others], candidates, self._ties)

    def inventory(self) -> list[Source]:
        """See Recording."""
        used = self.sources().used
        brings = {kind: name for name, kind in _KINDS.items()}
        return [
            Source(
                _name(each),
                each.type,
                each.packets,
                brings.get(each.type, ""),
                [_name(each)] == used.get(brings.get(each.type, "")),
                "x".join(map(str, each.size)) if each.type in brings else "",
            )
            for each in self.streams
        ]

    def events(self) -> Iterator[Events]:
        """The events in batches, t in ROS ns."""
        stream = self._required("events")
        width, height = stream.size
        for cause in ("misdated_events", "out_of_bounds"):
            self.counters.pop(cause, None)

        def convert(data: bytes) -> Events:
            rows = np.frombuffer(Table.root(data).vector(0, _EVENT.itemsize), _EVENT)
            likely = _likely(rows["t"])
            inside = (rows["x"] >= 0) & (rows["x"] < width) & (rows["y"] >= 0) & (rows["y"] < height)
            if not (likely & inside).all():
                self.counters["misdated_events"] += int(np.count_nonzero(~likely))
                self.counters["out_of_bounds"] += int(np.count_nonzero(likely & ~inside))
                rows = rows[likely & inside]
            x, y = rows["x"].astype(np.uint16), rows["y"].astype(np.uint16)
            return Events(rows["t"] * 1000, x, y, (rows["p"] != 0).view(np.uint8))

        return (events for events in self._converted(stream, "packets", convert) if len(events))

    def frames(self) -> Iterator[Frame]:
        """The frames, stamped with the start of their exposure; images uint8, (H, W) or (H, W, 3) in RGB."""
        return self._converted(self._required("frames"), "frames", _frame)

    def _converted(self, stream: Stream, brings: str, convert: Callable[[bytes], T]) -> Iterator[T]:
        refused = f"refused_{brings}"
        self.counters.pop(refused, None)
        for number, packet in enumerate(self._file.packets(stream.id)):
            try:
                if isinstance(packet, InputError):
                    raise packet
                converted = convert(packet)
            except (ValueError, cv2.error) as error:
                self.counters[refused] += 1
                note = f"refused packet {number} of {_name(stream)}: {one_line(error)}"
                if self.counters[refused] == 1 and note not in self.notes:
                    self.notes.append(note)
                continue
            yield converted

    def _cameras(self) -> list[str]:
        """Those that have events or frames, in the file's order."""
        return list(dict.fromkeys(each.camera for each in self.streams if each.type in _KINDS.values()))

    def _choose(self) -> str:
        def rank(camera: str) -> tuple:
            kinds = {each.type for each in self.streams if each.camera == camera and each.packets}
            return -len(kinds & set(_KINDS.values())), "EVTS" not in kinds

        cameras = sorted(self._cameras(), key=rank)
        alike = [camera for camera in cameras[1:] if rank(camera) == rank(cameras[0])]
        if alike:
            taken = f"{cameras[0]} is taken as the first, {', '.join(alike)} would do as well"
            self._ties.append(f"{taken}: --camera chooses")
        return cameras[0] if cameras else ""

    def _stream(self, kind: str) -> Stream | None:
        found = (each for each in self.streams if (each.camera, each.type) == (self.camera, _KINDS[kind]))
        return max(found, key=lambda each: each.packets > 0, default=None)

    def _required(self, kind: str) -> Stream:
        stream = self._stream(kind)
        if stream is None:
            of = f" of the camera {self.camera}" if self.camera else ""
            held = ", ".join(map(_name, self.streams)) or "nothing"
            raise RecordingError(f"{self.path} has no {kind}{of}; it has {held}")
        if not all(0 < side <= _LARGEST for side in stream.size):
            size = "x".join(map(str, stream.size))
            raise RecordingError(f"{self.path} says that {_name(stream)} has {size} pixels: is it damaged?")
        return stream


def _likely(t: np.ndarray) -> np.ndarray:
    """Whether each of a packet's times, in us, is near the others', and one that can be."""
    if not len(t):
        return np.zeros(0, bool)
    first, last = int(t.min()), int(t.max())
    if first >= 0 and last < _LATEST_US and last - first < _FURTHEST_US:
        return np.ones(len(t), bool)
    middle = min(max(int(np.sort(t)[len(t) // 2]), 0), _LATEST_US)
    return (t >= max(middle - _FURTHEST_US, 0)) & (t < min(middle + _FURTHEST_US, _LATEST_US))


def _name(stream: Stream) -> str:
    return f"{stream.camera}/{stream.name}" if stream.camera else stream.name


def _frame(data: bytes) -> Frame:
    table = Table.root(data)
    channels = _CHANNELS.get(table.number(_FORMAT, "b"))
    width, height = table.number(_WIDTH, "h"), table.number(_HEIGHT, "h")
    pixels = table.vector(_PIXELS)
    if channels is None or min(width, height) < 1 or len(pixels) != width * height * channels:
        raise InputError(f"a frame of {width}x{height} pixels in {len(pixels)} bytes: is it damaged?")
    begin, end = table.number(_EXPOSURE_START, "q"), table.number(_EXPOSURE_END, "q")
    stamp_us = begin or table.number(_TIMESTAMP, "q")
    if not 0 <= stamp_us < _LATEST_US:
        raise InputError(f"a time of {stamp_us} us: is it damaged?")
    image = np.frombuffer(pixels, np.uint8).reshape(height, width, channels)
    image = image[..., 0].copy() if channels == 1 else cv2.cvtColor(image, _TO_RGB[channels])
    seconds = (table.number(_EXPOSURE, "q") or end - begin) / 1e6
    seconds = seconds if 0 < seconds < 1e4 else None
    return Frame(stamp_us * 1000, image, exposure_time_s=seconds, effective_time_s=seconds)
