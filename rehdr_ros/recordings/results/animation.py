"""Frames as an animated picture (WebP), which pages and READMEs show where they take no video."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from rehdr_ros.recordings.images import require_rgb


class AnimationWriter:
    """Writes uint8 RGB frames (H, W, 3) of one size, repeated for ever. A context manager.

    quality: 0 to 100, of lossy WebP.
    """

    def __init__(self, path: str | Path, fps: float, quality: int = 60) -> None:
        self._container = av.open(str(path), "w", format="webp", options={"loop": "0"})
        options = {"quality": str(quality), "compression_level": "4"}
        rate = Fraction(fps).limit_denominator(1001)
        self._stream = self._container.add_stream("libwebp_anim", rate, options=options)
        self._stream.pix_fmt = "yuv420p"
        self._size: tuple[int, ...] | None = None

    def __enter__(self) -> AnimationWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if kind is None and self._size:
            self._container.mux(self._stream.encode(None))
        self._container.close()

    def write(self, rgb: np.ndarray) -> None:
        """Add a frame. Raises ValueError for another shape or dtype and for a change of size."""
        require_rgb(rgb, np.uint8)
        if self._size is None:
            self._size = rgb.shape
            self._stream.height, self._stream.width = rgb.shape[:2]
        elif self._size != rgb.shape:
            raise ValueError(f"the animation is {self._size}, not {rgb.shape}")
        picture = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format="yuv420p")
        self._container.mux(self._stream.encode(picture))
