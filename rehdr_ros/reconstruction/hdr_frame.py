"""What becomes of one frame."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from rehdr_ros.network.contract import Estimate
from rehdr_ros.reconstruction.frame_info import FrameInfo
from rehdr_ros.reconstruction.propagation import LatePlane
from rehdr_ros.transfer import Download, LateDownload


@dataclass(frozen=True)
class HdrFrame:
    """radiance: (H, W, 3) float32 linear RGB; tonemapped: (H, W, 3) uint8 RGB; stamp and frame_id as the LDR.

    With output_rate the stamp is a regular one, the LDR that of the last frame before.
    image: the LDR as it came; white: its value that means white. event_image: its events over it, (H, W, 3)
    uint8 RGB, where configured. planes: what else the network estimated, from the device when asked for.
    """

    stamp_ns: int
    frame_id: str
    image: np.ndarray
    white: float
    download: Download
    tonemapped: np.ndarray
    info: FrameInfo
    event_image: np.ndarray | None = None
    planes: dict[str, LateDownload | LatePlane] = field(default_factory=dict)

    @property
    def radiance(self) -> np.ndarray:
        # Who asks waits for it, and not the next frame.
        return self.download.array()

    @property
    def ldr(self) -> np.ndarray:
        """The frame that came, (H, W, 3) uint8 RGB."""
        ldr = self.image if self.image.ndim == 3 else np.repeat(self.image[..., None], 3, 2)
        if ldr.dtype == np.uint8:
            return ldr
        scaled = np.nan_to_num(ldr.astype(np.float32) / np.float32(self.white))
        return (scaled.clip(0, 1) * 255 + 0.5).astype(np.uint8)

    @property
    def uncertainty(self) -> np.ndarray | None:
        """One sigma of log2 luminance, in stops, (H, W) float32; None for networks of "relative" radiance."""
        return self._plane("sigma", lambda sigma: sigma / np.float32(math.log(2)))

    @property
    def cause(self) -> np.ndarray | None:
        """What each pixel rests on, an index of products.CAUSES, (H, W) uint8; None as of `uncertainty`."""
        return self._plane("cause", lambda cause: cause.astype(np.uint8))

    def picture(self, name: str) -> np.ndarray | None:
        """That attribute; or a plane of the network's Estimate, (H, W), None where it gave none."""
        if name in Estimate._fields and not hasattr(HdrFrame, name):
            return self._plane(name, np.ascontiguousarray)
        return getattr(self, name)

    def _plane(self, name: str, convert: Callable[[np.ndarray], np.ndarray]) -> np.ndarray | None:
        return convert(self.planes[name].array()[0, 0]) if name in self.planes else None
