"""Recordings in the layout of the RealHDR set: LDR frames, each with a voxel grid instead of events.

The set: Guo et al., "Recurrent Event-Guided Multimodal Fusion for High Dynamic Range Video Reconstruction".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from rehdr_ros.events import Events, Frame
from rehdr_ros.recordings.errors import RecordingError
from rehdr_ros.recordings.frame_file import IMAGE_SUFFIXES, files_in, read_image
from rehdr_ros.recordings.image_folder import even_stamps, readable
from rehdr_ros.recordings.natural_order import natural_order
from rehdr_ros.recordings.recording import Uncalibrated
from rehdr_ros.recordings.sources import Sources

SUFFIXES = {"LDR": IMAGE_SUFFIXES, "HDR": (".hdr", ".exr"), "event": (".npy",)}
KINDS = tuple(SUFFIXES)  # the folders below a root

_FPS = 25.0


class RealHdrRecording(Uncalibrated):
    """A sequence in RealHDR's layout, ROOT/{LDR,event}/NAME/*, paired by natural sort order; see Recording.

    path: ROOT/LDR/NAME, or ROOT where it has one sequence. Frame k is stamped k/fps s; its grid is float32
    (bins, height, width), of its own size, as it lies on disk. The true HDR is not read, and may be missing.
    fps: None: 25 frames/s, said in `notes`. Files are read when a frame is, and not kept.
    Raises RecordingError where there is no such sequence, or several, or not a grid a frame.
    """

    encoding = "voxel_grid"
    event_size = None

    def __init__(self, path: str | Path, fps: float | None = None) -> None:
        self.path = Path(path)
        root, name = _sequence(self.path.absolute())
        self._folders = {kind: root / kind / name for kind in ("LDR", "event")}
        self._names = {kind: sequence_files(folder, kind) for kind, folder in self._folders.items()}
        require_pairs(self._folders, self._names)
        self.fps = _FPS if fps is None else fps
        self._stamps_ns = even_stamps(len(self._names["LDR"]), self.fps)
        self.counters: Counter[str] = Counter()
        self.notes = [f"{self.path} tells no times: frames taken as {_FPS:g} a second"] if fps is None else []

    def events(self) -> Iterator[Events]:
        """None: there are grids instead."""
        return iter(())

    def sources(self, cameras: bool = False) -> Sources:
        """See Recording."""
        return Sources({"events": [str(self._folders["event"])], "frames": [str(self._folders["LDR"])]})

    def frames(self) -> Iterator[Frame]:
        """Those whose files can be read, and fit the first grid's size. Raises RecordingError for none."""
        shape = None

        def read(stamp_ns: int, name: str, grid_name: str) -> Frame:
            nonlocal shape
            path, grid_path = self._folders["LDR"] / name, self._folders["event"] / grid_name
            image = read_image(path)
            grid = require_finite(grid_path, np.array(open_grid(grid_path), np.float32))
            if image.shape[:2] != grid.shape[1:]:
                pixels = f"{image.shape[1]}x{image.shape[0]} pixels"
                raise RecordingError(f"{path} has {pixels}, its grid {grid.shape[2]}x{grid.shape[1]}")
            if grid.shape != (shape or grid.shape):
                first = f"the first grid {shape}: all must be of one size"
                raise RecordingError(f"{grid_path} holds {grid.shape}, {first}")
            shape = grid.shape
            return Frame(stamp_ns, image, grid=grid)

        parts = zip(self._stamps_ns, self._names["LDR"], self._names["event"], strict=True)
        return readable((partial(read, *part) for part in parts), self.counters, self.notes)


def is_realhdr(path: str | Path) -> bool:
    """Whether this is the root of such a set, its folder LDR, or a sequence in that."""
    root = _root(Path(path).absolute())
    return (root / "LDR").is_dir() and (root / "event").is_dir()


def sequence_files(folder: Path, kind: str) -> list[str]:
    """The files' names of a sequence, of one of KINDS, in natural order. Raises RecordingError for none."""
    if not folder.is_dir():
        needed = "a sequence has one of its name for each kind of file"
        raise RecordingError(f"{folder} is not a folder; {needed}")
    return files_in(folder, SUFFIXES[kind], "frames")


def require_pairs(folders: dict[str, Path], names: dict[str, list[str]]) -> None:
    """Raises RecordingError where there are not as many files of each kind."""
    if len(set(map(len, names.values()))) > 1:
        found = ", ".join(f"{len(files)} in {folders[kind]}" for kind, files in names.items())
        raise RecordingError(f"different numbers of frames: {found}; each frame needs one file of each kind")


def open_grid(path: Path) -> np.ndarray:
    """(bins, height, width) as a memory map, which costs no more than what is used of it."""
    try:
        grid = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise
    except Exception as error:  # the header is read as Python's own syntax, which may fail in any way
        raise RecordingError(f"{path} is not a readable .npy file: {' '.join(str(error).split())}") from error
    if not isinstance(grid, np.ndarray) or grid.ndim != 3 or grid.dtype.kind not in "biuf" or not grid.size:
        raise RecordingError(f"{path} holds no voxel grid: needs numbers of shape (bins, height, width)")
    return grid


def require_finite(path: Path, values: np.ndarray) -> np.ndarray:
    """Raises RecordingError where they are not."""
    if not np.isfinite(values).all():
        advice = "mend or remove the frame, in LDR, HDR and event alike"
        raise RecordingError(f"{path} has values that are not finite: {advice}")
    return values


def _root(path: Path) -> Path:
    if path.parent.name == "LDR":
        return path.parent.parent
    return path.parent if path.name == "LDR" else path


def _sequence(path: Path) -> tuple[Path, str]:
    """The root and the name."""
    root = _root(path)
    if path.parent.name == "LDR":
        return root, path.name
    names = sorted((entry.name for entry in (root / "LDR").iterdir() if entry.is_dir()), key=natural_order)
    if len(names) != 1:
        found = f"{len(names)} sequences{': ' if names else ''}{', '.join(names)}"
        example = root / "LDR" / (names or ["NAME"])[0]
        raise RecordingError(f"{root} has {found}; name one, as {example}")
    return root, names[0]
