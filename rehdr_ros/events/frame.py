"""What comes in beside events: frames, how they were exposed, and both cameras' calibration."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from rehdr_ros.errors import InputError
from rehdr_ros.events.registration import Camera

_LONGEST_S = 100.0  # an exposure time


@dataclass(frozen=True)
class Calibration:
    """The camera of the "events" or the "frames"."""

    of: str
    camera: Camera


@dataclass(frozen=True)
class Exposure:
    """How the frame with this stamp was exposed, where it doesn't tell itself.

    effective_time_s: exposure time x gain. exposure_time_s: the time alone, None where unknown.
    Raises ValueError for either that is not positive and finite.
    """

    stamp_ns: int
    effective_time_s: float
    exposure_time_s: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.effective_time_s < math.inf:
            raise InputError(f"an exposure (time x gain) of {self.effective_time_s} s")
        if self.exposure_time_s is not None and not 0 < self.exposure_time_s < _LONGEST_S:
            raise InputError(f"an exposure time of {self.exposure_time_s} s")


@dataclass(frozen=True, eq=False)
class Frame:
    """One image: (H, W) or (H, W, 3) in RGB, uint8, uint16 or float32 in 0..1; the array is kept, not copied.

    stamp_ns: what it is of the exposure the settings say (stamp_is), in an AEDAT4 file its start.
    exposure_time_s: which tells when the frame was; effective_time_s: that x gain, which scales its radiance;
    None where unknown. grid: the voxel grid of the signed events since the frame before, float32
    (bins, H, W), where they come as one and not by themselves.
    Raises ValueError for an image of another shape or dtype.
    """

    stamp_ns: int
    image: np.ndarray
    frame_id: str = ""
    exposure_time_s: float | None = None
    effective_time_s: float | None = None
    grid: np.ndarray | None = None

    def __post_init__(self) -> None:
        image = self.image
        shape_fits = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
        if not shape_fits or image.size == 0 or image.dtype not in (np.uint8, np.uint16, np.float32):
            raise InputError(
                f"a frame is (H, W) or (H, W, 3), uint8, uint16 or float32; got {image.shape} {image.dtype}"
            )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.image.shape[1::-1]

    def exposed_as(self, exposure: Exposure) -> Frame:
        """The same, with what it doesn't tell of its exposure itself."""
        told = {"exposure_time_s": exposure.exposure_time_s, "effective_time_s": exposure.effective_time_s}
        return replace(self, **{name: value for name, value in told.items() if getattr(self, name) is None})
