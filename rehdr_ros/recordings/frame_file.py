"""Frames in image files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from rehdr_ros.errors import InputError
from rehdr_ros.recordings.errors import RecordingError
from rehdr_ros.recordings.natural_order import natural_order
from rehdr_ros.wire.compressed_image import decode_compressed

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")

_CHECKED = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg"}  # of which a part alone is refused


def read_image(path: Path) -> np.ndarray:
    """uint8 or uint16, (H, W) or (H, W, 3) in RGB; transparency is left out, and no EXIF turns it.

    Raises RecordingError for a file that is missing, damaged, or no image of 8 or 16 bits.
    """
    try:
        data = path.read_bytes()
        if path.suffix.lower() in _CHECKED:
            return decode_compressed(_CHECKED[path.suffix.lower()], data)
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED) if data else None
    except (OSError, InputError, cv2.error) as error:
        raise RecordingError(f"{path}: {' '.join(str(error).split())}") from error
    if image is None or image.dtype not in (np.uint8, np.uint16):
        raise RecordingError(f"{path} is not a readable image of 8 or 16 bits")
    if image.ndim == 2:
        return image
    return cv2.cvtColor(image, cv2.COLOR_BGRA2RGB if image.shape[2] == 4 else cv2.COLOR_BGR2RGB)


def files_in(folder: Path, suffixes: tuple[str, ...], needed: str = "") -> list[str]:
    """Their names in natural order: 2 before 10. Raises RecordingError for no folder, or none of `needed`."""
    if not folder.is_dir():
        raise RecordingError(f"{folder} is not a folder")
    names = [p.name for p in folder.iterdir() if p.suffix.lower() in suffixes and not p.name.startswith(".")]
    if needed and not names:
        raise RecordingError(f"{folder} has no {needed}: none of its files is one of {', '.join(suffixes)}")
    return sorted(names, key=natural_order)
