"""One image of the ordinary camera, and what a recording tells of how it came about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rehdr_ros.events.registration import Camera


@dataclass(frozen=True)
class Calibration:
    """The camera of the "events" or the "frames"."""

    of: str
    camera: Camera


@dataclass(frozen=True)
class Exposure:
    """How the frame with this stamp (ns) was exposed.

    `exposure`: time x gain, in s; `exposure_seconds`: the time alone.
    """

    stamp_ns: int
    exposure: float
    exposure_seconds: float | None = None


@dataclass(frozen=True, eq=False)
class Frame:
    """`image`: uint8, uint16 or float32, (H, W) or (H, W, 3) in RGB.

    `stamp_ns`: ns; what it is of the exposure the settings say (stamp_is), in an AEDAT4 file its start. `exposure`:
    exposure time in s, None where unknown. `grid`: the voxel grid of the events since the frame before, float32
    (bins, H, W), where a recording has that instead of events.
    """

    stamp_ns: int
    image: np.ndarray
    frame_id: str = ""
    exposure: float | None = None
    grid: np.ndarray | None = None
