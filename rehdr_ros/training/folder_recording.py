"""A recording as files: an LDR image, an HDR image and a voxel grid a frame."""

from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import torch

from rehdr_ros.errors import InputError
from rehdr_ros.luminance import BT709
from rehdr_ros.network.contract import USUAL_SECONDS
from rehdr_ros.reconstruction.response import Response
from rehdr_ros.recordings.images import read_radiance
from rehdr_ros.recordings.realhdr import KINDS, open_grid, require_finite, require_pairs, sequence_files
from rehdr_ros.training.metrics import pixel_classes
from rehdr_ros.training.sequence import Sequence

_SCALE_FRAMES = 5
_EVERYTHING = (slice(None), slice(None))


class FolderRecording:
    """One sequence in RealHDR's layout, ROOT/{LDR,HDR,event}/NAME/*, paired by natural sort order.

    LDR: 8 or 16 bit images; `response` (a power, or a table's file) linearises them. HDR: `.hdr` or `.exr`,
    of any scale. event: a `.npy` grid (bins, height, width) a frame. Files are read with it, not kept.
    ROOT/NAME.csv, which may be missing: as of export_folder. bins, height, width: of the first grid. scale:
    what brings the HDR to the LDR's white; else measured. white_level: of 16-bit LDR, as of Response.
    Raises InputError for folders that are missing, empty or of different counts, or an unreadable first grid.
    """

    def __init__(
        self,
        root: str | Path,
        name: str,
        response: float | str | Path = 2.2,
        scale: float | None = None,
        white_level: int = 0,
    ) -> None:
        self._folders = {kind: Path(root) / kind / name for kind in KINDS}
        self._table = Path(root) / f"{name}.csv"
        self._names = {kind: sequence_files(folder, kind) for kind, folder in self._folders.items()}
        require_pairs(self._folders, self._names)
        self._response = Response(response, white_level)
        if scale is not None:
            self.scale = scale
        self.bins, self.height, self.width = open_grid(self._path("event", 0)).shape

    def __len__(self) -> int:
        return len(self._names["LDR"])

    def __str__(self) -> str:
        return str(self._folders["LDR"])

    @cached_property
    def scale(self) -> float:
        """The median of linear LDR over HDR luminance in well-exposed pixels of a few frames all over.

        Raises InputError where there is no such pixel.
        """
        ratios = []
        for k in np.unique(np.linspace(0, len(self) - 1, _SCALE_FRAMES).round().astype(int)):
            ldr, hdr = self._ldr(k), self._hdr(k) @ BT709
            eight_bit = ldr.astype(np.int64) * 255 // int(self._response.white(ldr.dtype))
            usable = pixel_classes(eight_bit)["well_exposed"] & (hdr > 0)
            ratios.append((self._linear(ldr) @ BT709)[usable] / hdr[usable])
        ratios = np.concatenate(ratios)
        if not len(ratios):
            wanted = "no well-exposed pixel whose HDR is above zero"
            raise InputError(f"{self}: {wanted} tells the HDR's scale; leave the recording out")
        return float(np.median(ratios))

    def read(self, start: int, stop: int, crop: tuple[slice, slice] = _EVERYTHING) -> Sequence:
        """The frames from `start` to before `stop`, in rows and columns of `crop`.

        Grids are as stored, the first one too. Where no table tells them gains are 1 and intervals the usual
        ones.
        Raises InputError for a damaged file, one of another size or with values that are not finite, and
        IndexError for frames that the recording hasn't.
        """
        if not 0 <= start < stop <= len(self):
            raise IndexError(f"{self} has {len(self)} frames, not {start} to {stop}")
        rows, columns = (len(range(n)[part]) for n, part in zip((self.height, self.width), crop, strict=True))
        count, scale = stop - start, np.float32(self.scale)
        ldr, truth = (torch.empty(count, 3, rows, columns) for _ in range(2))
        voxel = torch.empty(count, self.bins, rows, columns)
        for i, k in enumerate(range(start, stop)):
            ldr[i] = torch.from_numpy(self._linear(self._ldr(k)[crop])).permute(2, 0, 1)
            truth[i] = torch.from_numpy(self._hdr(k)[crop] * scale).permute(2, 0, 1)
            voxel[i] = torch.from_numpy(self._grid(k, crop))
        return Sequence(ldr, voxel, truth, *self._gains_and_seconds[:, start:stop])

    @cached_property
    def _gains_and_seconds(self) -> torch.Tensor:
        """(2, frames) float32, as of Sequence."""
        path, count = self._table, len(self)
        if not path.is_file():
            return torch.tensor([[1.0], [USUAL_SECONDS]]).repeat(1, count)
        try:
            times_ns, exposures = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2).T
        except ValueError:
            times_ns = exposures = np.empty(0)
        if len(times_ns) != count:
            raise InputError(f"{path} doesn't tell time and exposure of {count} frames: mend or remove it")
        gains = exposures / np.concatenate([exposures[:1], exposures[:-1]])
        seconds = np.diff(times_ns, prepend=times_ns[0]) * 1e-9
        return torch.from_numpy(np.stack([gains, seconds])).float()

    def _path(self, kind: str, k: int) -> Path:
        return self._folders[kind] / self._names[kind][k]

    def _ldr(self, k: int) -> np.ndarray:
        """(H, W, 3) RGB, uint8 or uint16."""
        path = self._path("LDR", k)
        bgr = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
        if bgr is None or bgr.dtype not in (np.uint8, np.uint16):
            raise InputError(f"{path} is not a readable image of 8 or 16 bit")
        self._check_size(path, bgr.shape[:2])
        return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)

    def _linear(self, ldr: np.ndarray) -> np.ndarray:
        """(H, W, 3) float32, 1.0 = white."""
        return self._response.linearise(ldr, torch.device("cpu")).pixels[0].permute(1, 2, 0).numpy()

    def _hdr(self, k: int) -> np.ndarray:
        """(H, W, 3) float32 RGB of the file's own scale."""
        path = self._path("HDR", k)
        hdr = read_radiance(path)
        self._check_size(path, hdr.shape[:2])
        return np.maximum(require_finite(path, hdr), 0)

    def _grid(self, k: int, crop: tuple[slice, slice]) -> np.ndarray:
        path = self._path("event", k)
        grid = open_grid(path)
        self._check_size(path, grid.shape[1:])
        if len(grid) != self.bins:
            raise InputError(f"{path} has {len(grid)} bins, the recording's first grid {self.bins}")
        return require_finite(path, np.array(grid[(slice(None), *crop)], np.float32))

    def _check_size(self, path: Path, shape: tuple[int, int]) -> None:
        if shape != (self.height, self.width):
            first = f"the first grid of {self._folders['event']} has {self.width}x{self.height}"
            raise InputError(f"{path} has {shape[1]}x{shape[0]} pixels, {first}: all must be of one size")
