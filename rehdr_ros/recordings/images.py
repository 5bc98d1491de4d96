"""Images in files: OpenEXR, Radiance HDR, PNG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import OpenEXR

from rehdr_ros.errors import InputError, writing

_HALF_MAX = 65504.0
_BT709 = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)  # chromaticities of R, G, B and D65 white: x, y


def write_exr(
    path: str | Path, image: np.ndarray, half: bool = False, notes: Mapping[str, str | float] | None = None
) -> None:
    """Write linear RGB with BT.709 primaries, (H, W, 3), or one channel, (H, W), float32, without loss.

    The header names the primaries; the one channel is called Y, which every viewer shows.
    As 32-bit floats or, half, as 16-bit floats clipped at 65504. notes: more attributes of the header.
    Raises ValueError for another array, and OSError where the file cannot be written.
    """
    _require_image(image, np.float32)
    pixels = np.clip(image, -_HALF_MAX, _HALF_MAX).astype(np.float16) if half else np.ascontiguousarray(image)
    header = {**(notes or {}), "compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    if image.ndim == 3:
        header["chromaticities"] = _BT709
    with writing(path, RuntimeError):
        OpenEXR.File(header, {"RGB" if image.ndim == 3 else "Y": pixels}).write(str(path))


def read_exr(path: str | Path) -> np.ndarray:
    """The RGB of an OpenEXR file as float32 (H, W, 3); a luminance Y alone becomes grey.

    Raises FileNotFoundError, and ValueError for a file that is no OpenEXR image with R, G, B or Y.
    """
    _must_exist(path)
    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            channels = {name: channel.pixels for name, channel in file.channels().items()}
    except RuntimeError as error:
        raise InputError(f"{path} is not a readable OpenEXR file: {str(error).splitlines()[0]}") from None
    names = "RGB" if set("RGB") <= set(channels) else "YYY"
    if names[0] not in channels:
        raise InputError(f"{path} needs the channels R, G, B or Y, not {', '.join(channels)}")
    return np.stack([channels[name].astype(np.float32) for name in names], axis=2)


def read_radiance(path: str | Path) -> np.ndarray:
    """Scene radiance, linear RGB, float32 (H, W, 3), from a .hdr or .exr file.

    Raises FileNotFoundError, and ValueError for a file that is neither.
    """
    if Path(path).suffix.lower() == ".exr":
        return read_exr(path)
    _must_exist(path)
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if bgr is None or bgr.dtype != np.float32:
        raise InputError(f"{path} is neither a Radiance .hdr nor an OpenEXR .exr image")
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def write_png(path: str | Path, image: np.ndarray) -> None:
    """Write uint8 RGB (H, W, 3), or one channel (H, W). Raises OSError where the file cannot be written."""
    _require_image(image, np.uint8)
    _, png = cv2.imencode(".png", image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    with writing(path):
        Path(path).write_bytes(png)  # cv2.imwrite says nothing of a full disk


def read_png(path: str | Path) -> np.ndarray:
    """What `write_png` wrote, one channel as grey RGB. Raises InputError for a file that is no image."""
    _must_exist(path)
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise InputError(f"{path} is not a readable image")
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)


def require_rgb(rgb: np.ndarray, dtype: type) -> None:
    """Raise ValueError for anything but (H, W, 3) of that dtype."""
    if rgb.dtype != dtype or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"expected {np.dtype(dtype)} (H, W, 3), not {rgb.dtype} {rgb.shape}")


def _require_image(image: np.ndarray, dtype: type) -> None:
    if image.ndim != 2:
        require_rgb(image, dtype)
    elif image.dtype != dtype:
        raise ValueError(f"expected {np.dtype(dtype)} (H, W), not {image.dtype}")


def _must_exist(path: str | Path) -> None:
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} does not exist")
