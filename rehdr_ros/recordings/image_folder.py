"""The frames of a camera as a folder of images, with a file that tells when they were taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from rehdr_ros.events import Frame
from rehdr_ros.recordings.errors import RecordingError
from rehdr_ros.recordings.frame_file import IMAGE_SUFFIXES, files_in, read_image
from rehdr_ros.recordings.timestamps import Timestamps, read_timestamps


class ImageFolder:
    """Images of 8 or 16 bits, grey or colour, in natural order, or in that in which the timestamps name them.

    timestamps: a file for `read_timestamps`; by default the one text file (.txt, .csv) in the folder or
    beside it whose name contains "timestamp". fps: where there is no such file: the first frame at 0 s, the
    others 1/fps apart. Of both the one in use is an attribute, the other None. `notes`: what was found,
    deduced or left out. `counters`: refused_frames, of the reading that was begun last. Files are read when a
    frame is.
    Raises RecordingError for no images, and for stamps that are missing, too many, too few or of no image.
    """

    def __init__(
        self,
        folder: str | Path,
        timestamps: str | Path | None = None,
        unit: str | None = None,
        fps: float | None = None,
    ) -> None:
        self.path = Path(folder)
        self._names = files_in(self.path, IMAGE_SUFFIXES, "images")
        self.notes: list[str] = []
        self.counters: Counter[str] = Counter()
        self._exposures: list[float] | None = None
        self.timestamps = Path(timestamps) if timestamps else self._find_timestamps()
        self.fps = None if self.timestamps else fps
        if self.timestamps:
            self._take(self.timestamps, read_timestamps(self.timestamps, unit))
        elif fps is not None:
            self._stamps_ns = even_stamps(len(self._names), fps)
            taken = f"frames taken as {fps:g} a second, the first one at 0 s"
            self.notes.append(f"{self.path}: no timestamps; {taken}")
        else:
            advice = "name a file of timestamps, or a frame rate"
            raise RecordingError(f"{self.path}: when were the frames taken? {advice}")

    def frames(self) -> Iterator[Frame]:
        """Those that can be read. Raises RecordingError where there is none."""
        exposures = self._exposures or [None] * len(self._names)

        def read(name: str, stamp_ns: int, seconds: float | None) -> Frame:
            image = read_image(self.path / name)
            return Frame(stamp_ns, image, exposure_time_s=seconds, effective_time_s=seconds)

        parts = zip(self._names, self._stamps_ns, exposures, strict=True)
        return readable((partial(read, *part) for part in parts), self.counters, self.notes)

    def _find_timestamps(self) -> Path | None:
        for folder in (self.path, self.path.absolute().parent):
            texts = files_in(folder, (".txt", ".csv"))
            found = [folder / name for name in texts if "timestamp" in name.lower()]
            if len(found) == 1:
                self.notes.append(f"{self.path}: timestamps found in {found[0]}")
                return found[0]
            if found:
                names = ", ".join(file.name for file in found)
                raise RecordingError(f"{folder} has several files of timestamps: {names}; name one of them")
        return None

    def _take(self, path: Path, timestamps: Timestamps) -> None:
        self.notes += [note for note in (timestamps.note, timestamps.cut) if note]
        if timestamps.cut and timestamps.names is None and len(timestamps.stamps_ns) == len(self._names) - 1:
            self._names = self._names[:-1]
        if timestamps.names is not None:
            self._names = [Path(name).name for name in timestamps.names]
            missing = next((name for name in self._names if not (self.path / name).is_file()), None)
            if missing:
                raise RecordingError(f"{path} names {missing}, which {self.path} hasn't")
        elif len(timestamps.stamps_ns) != len(self._names):
            stamps, images = len(timestamps.stamps_ns), len(self._names)
            raise RecordingError(f"{stamps} timestamps in {path}, {images} images in {self.path}")
        self._stamps_ns = timestamps.stamps_ns.tolist()
        self._exposures = timestamps.exposures


def readable(
    readings: Iterable[Callable[[], Frame]], counters: Counter[str], notes: list[str]
) -> Iterator[Frame]:
    """The frames of files that can be read; the others are counted as refused_frames, the first is named.

    Raises RecordingError where there is none.
    """
    counters["refused_frames"] = 0
    first, count = None, 0
    for read in readings:
        try:
            frame = read()
        except RecordingError as error:
            counters["refused_frames"] += 1
            first = first or error
            note = f"refused a frame: {first}"
            if note not in notes:
                notes.append(note)
            continue
        count += 1
        yield frame
    if first is not None and not count:
        raise first


def even_stamps(count: int, fps: float) -> list[int]:
    """`count` stamps in ns, from 0 on. Raises RecordingError for a frame rate that is none."""
    if not 0 < fps < 1e6:
        raise RecordingError(f"a frame rate of {fps} frames/s")
    return [round(k * 1e9 / fps) for k in range(count)]
