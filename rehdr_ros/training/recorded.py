"""Training sequences out of recordings on disk, each one a pure function of (seed, index)."""

from collections.abc import Sequence as Several
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from rehdr_ros.errors import InputError
from rehdr_ros.recordings.natural_order import natural_order
from rehdr_ros.recordings.realhdr import KINDS
from rehdr_ros.training.augmentation import augmented
from rehdr_ros.training.export import CACHED_NAME, cached_folder
from rehdr_ros.training.folder_recording import FolderRecording
from rehdr_ros.training.sequence import Sequence

_RECORDED = 0x7EC0  # a stream of random numbers that no user's seed reaches


class RecordedSequences(Dataset):
    """`count` sequences of `frames` frames of size x size pixels, from anywhere in the recordings.

    paths: one or several of what `find_recordings` takes. Every start in every recording is as likely; crop,
    flips and quarter turn hold for the whole sequence. Only its frames are read, and nothing is kept: memory
    does not grow with the recordings. The first grid is zero, as after a reset. bins: of the grids on disk,
    or for a bag's export. Raises InputError for recordings that are not there, not whole, too small or all
    too short, or of other bins; and, with a sequence, for its damaged files.
    """

    def __init__(
        self,
        paths: str | Path | Several[str | Path],
        count: int,
        size: int,
        frames: int,
        bins: int,
        seed: int = 0,
        response: float | str | Path = 2.2,
    ) -> None:
        self._count, self._size, self._frames, self._seed = count, size, frames, seed
        paths = [paths] if isinstance(paths, str | Path) else paths
        self.recordings = [r for path in paths for r in find_recordings(path, bins, response)]
        for recording in self.recordings:
            if recording.bins != bins:
                raise InputError(f"{recording}: its voxel grids have {recording.bins} bins, not {bins}")
            if min(recording.height, recording.width) < size:
                pixels = f"{recording.width}x{recording.height} pixels, smaller than a crop of {size}"
                raise InputError(f"{recording} has {pixels}: choose a smaller size")
        starts = [max(0, len(recording) - frames + 1) for recording in self.recordings]
        self._ends = np.cumsum(starts)  # of each recording's starts in the row of all
        if not sum(starts):
            longest = max(map(len, self.recordings), default=0)
            most = f"the longest has {longest}"
            raise InputError(f"no recording has {frames} frames, {most}: choose fewer frames")

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Sequence:
        if not 0 <= index < self._count:
            raise IndexError(f"sequence {index} of {self._count}")
        rng = np.random.default_rng([_RECORDED, self._seed, index])
        position = int(rng.integers(self._ends[-1]))
        number = int(np.searchsorted(self._ends, position, side="right"))
        recording = self.recordings[number]
        start = position - int(self._ends[number]) + len(recording) - self._frames + 1
        top, left = (int(rng.integers(n - self._size + 1)) for n in (recording.height, recording.width))
        crop = slice(top, top + self._size), slice(left, left + self._size)
        sequence = recording.read(start, start + self._frames, crop)
        sequence.voxel[0] = 0
        return augmented(sequence, rng)


def find_recordings(
    path: str | Path, bins: int, response: float | str | Path = 2.2, white_level: int = 0
) -> list[FolderRecording]:
    """The recordings at a root with LDR/, HDR/ and event/, of a bag with truth, or of a folder of such bags.

    A bag is exported with `bins` on first use, beside it (see cached_folder). response, white_level: of the
    LDR frames, as of Response.
    Raises InputError where there are none, and for what FolderRecording and the export refuse.
    """
    path, of_ldr = Path(path), {"response": response, "white_level": white_level}
    if any((path / kind).is_dir() for kind in KINDS):
        names = {p.name for kind in KINDS for p in (path / kind).glob("[!.]*") if p.is_dir()}
        recordings = [FolderRecording(path, name, **of_ldr) for name in sorted(names, key=natural_order)]
    else:
        bags = [path] if _is_bag(path) else filter(_is_bag, path.glob("*"))
        roots = (cached_folder(bag, bins) for bag in sorted(bags, key=lambda p: natural_order(p.name)))
        recordings = [FolderRecording(root, CACHED_NAME, scale=1.0, **of_ldr) for root in roots]
    if not recordings:
        raise InputError(
            f"no recordings at {path}: give a folder with LDR/, HDR/ and event/, "
            "a bag that `rehdr simulate` wrote, or a folder of such bags"
        )
    return recordings


def _is_bag(path: Path) -> bool:
    return (path / "metadata.yaml").is_file()
