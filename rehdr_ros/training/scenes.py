"""Radiance to train on: a folder's panoramas and photographs, procedural canvases, in ever new colours."""

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from rehdr_ros.errors import InputError
from rehdr_ros.recordings.images import read_radiance
from rehdr_ros.simulation.batch_scene import TEXTURE, Background
from rehdr_ros.simulation.procedural import procedural_canvas
from rehdr_ros.training.signs import with_signs

# Kept out of every training so that results on them mean something.
VALIDATION_SCENES = ("leadenhall_market", "narrow_moonlit_road", "studio_small_05", "thatch_chapel")

_CPU = torch.device("cpu")
_GAMMAS = (0.25, 1.5)  # of the luminance: from flat to harsh
CANVASES = 64  # procedural ones; a training sees each from many places, in many colours


class Scenes:
    """Draws backgrounds: two thirds from a folder's files, or all procedural.

    radiance: folder of `.hdr`/`.exr` files, VALIDATION_SCENES left out. device: where the radiance stays and
    is changed. signs: share of the scenes that have any. Raises InputError for a folder that isn't there or
    has none.
    """

    def __init__(self, radiance: str | Path | None = None, device: torch.device = _CPU, signs: float = 0.0):
        self._files, self._device = training_files(radiance) if radiance else [], device
        self._signs = signs

    def draw(self, rng: np.random.Generator) -> Background:
        """A scene with another dynamic range and other colours than it has."""
        if self._files and rng.random() < 2 / 3:
            radiance, is_panorama = _load(self._files[rng.integers(len(self._files))], self._device)
        else:
            radiance, is_panorama = _canvas(int(rng.integers(CANVASES)), self._device), False
        gamma = float(np.exp(rng.uniform(*np.log(_GAMMAS))))
        tint = radiance.new_tensor(np.exp(rng.normal(0, 0.15, 3)))
        order = rng.permutation(3) if rng.random() < 0.5 else np.arange(3)
        # As the power of the luminance: the colours stay natural.
        luminance = radiance.mean(2, keepdim=True) + 1e-6
        radiance = radiance[..., order.tolist()] * luminance ** (gamma - 1) * tint
        if self._signs and rng.random() < self._signs:
            radiance = with_signs(radiance, rng)
        return Background(radiance, is_panorama)


def training_files(folder: str | Path) -> list[Path]:
    """The `.hdr` and `.exr` files of a folder but VALIDATION_SCENES. Raises InputError if there are none."""
    if not Path(folder).is_dir():
        raise InputError(f"radiance {folder} is not a folder")
    files = sorted(p for p in Path(folder).iterdir() if p.suffix.lower() in (".hdr", ".exr"))
    files = [p for p in files if not p.name.startswith(VALIDATION_SCENES)]
    if not files:
        raise InputError(f"{folder} holds no .hdr or .exr file to train on")
    return files


@lru_cache(maxsize=128)
def _load(path: Path, device: torch.device) -> tuple[Tensor, bool]:
    radiance = np.maximum(np.nan_to_num(read_radiance(path), posinf=65504.0), 0)
    height, width = radiance.shape[:2]
    is_panorama = width == 2 * height
    if not is_panorama:  # cut to the texture's shape
        height, width = min(height, width // 2), min(width, 2 * height)
        top, left = (radiance.shape[0] - height) // 2, (radiance.shape[1] - width) // 2
        radiance = radiance[top : top + height, left : left + width]
    radiance = cv2.resize(radiance, TEXTURE[::-1], interpolation=cv2.INTER_AREA)
    return torch.from_numpy(radiance / np.float32(np.median(radiance) + 1e-6)).to(device), is_panorama


@lru_cache(maxsize=CANVASES)
def _canvas(number: int, device: torch.device) -> Tensor:
    return torch.from_numpy(procedural_canvas(np.random.SeedSequence((0x7EA1, number)), *TEXTURE)).to(device)
