"""Images and video in files: OpenEXR, Radiance HDR, PNG, MP4."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import OpenEXR

from rehdr_ros.errors import InputError

_HALF_MAX = 65504.0


def write_exr(path: str | Path, rgb: np.ndarray, half: bool = False) -> None:
    """Write linear RGB, float32 (H, W, 3), losslessly compressed.

    As 32-bit floats or, half, as 16-bit floats clipped at 65504. Raises ValueError for anything else.
    """
    _require(rgb, np.float32)
    pixels = np.clip(rgb, -_HALF_MAX, _HALF_MAX).astype(np.float16) if half else np.ascontiguousarray(rgb)
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, {"RGB": pixels}).write(str(path))


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


def write_png(path: str | Path, rgb: np.ndarray) -> None:
    """Write uint8 RGB (H, W, 3). Raises OSError where the file cannot be written."""
    _require(rgb, np.uint8)
    if not cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)):
        raise OSError(f"cannot write {path}")


class VideoWriter:
    """Writes frames to an H.264 video (yuv420p, which every player shows). A context manager.

    The first frame gives the size; an odd width or height is padded by repeating the last column or row.
    The encoder is x264 as the PyAV wheels bring it, which is licensed under the GPL.
    """

    def __init__(self, path: str | Path, fps: float) -> None:
        self._container = av.open(str(path), "w")
        self._rate = Fraction(fps).limit_denominator(1001)
        self._stream = None

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def write(self, rgb: np.ndarray) -> None:
        """Add a frame, uint8 RGB (H, W, 3). Raises ValueError for anything else and for a change of size."""
        _require(rgb, np.uint8)
        height, width = rgb.shape[:2]
        padded = np.pad(rgb, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        if self._stream is None:
            self._stream = self._container.add_stream("libx264", self._rate)
            self._stream.pix_fmt = "yuv420p"
            self._stream.height, self._stream.width = padded.shape[:2]
        elif (self._stream.height, self._stream.width) != padded.shape[:2]:
            raise ValueError(f"the video is {self._stream.width}x{self._stream.height}, not {width}x{height}")
        self._container.mux(self._stream.encode(av.VideoFrame.from_ndarray(padded, "rgb24")))

    def close(self) -> None:
        """Finish the file."""
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))
        self._container.close()


def _require(rgb: np.ndarray, dtype: type) -> None:
    if rgb.dtype != dtype or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ValueError(f"expected {np.dtype(dtype)} (H, W, 3), not {rgb.dtype} {rgb.shape}")


def _must_exist(path: str | Path) -> None:
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} does not exist")
