"""What a consumer of images is shown of one recording: the frames, and HDR through each tone mapping."""

import math
from collections import defaultdict
from collections.abc import Sequence

import cv2
import numpy as np
import torch

from rehdr_ros.reconstruction import HdrFrame
from rehdr_ros.reconstruction.tonemap import ToneMapper
from rehdr_ros.simulation import Sample

LDR = "LDR"
_NOT_COMPARED = "mulaw", "gamma"  # flat, and clipped as the frames are
TONEMAPS = tuple(name for name in ToneMapper.OPERATORS if name not in _NOT_COMPARED)


class Views:
    """Grey images by variant: LDR; LDR, CLAHE; and for each tone mapping HDR, NAME and truth, NAME.

    `images`: (H, W) uint8 each, in order; `stamps`: theirs, ns. tonemaps: names of ToneMapper.OPERATORS;
    raises ValueError for others. exposure_told: whether the frames' radiance keeps its scale when the
    exposure changes.
    """

    def __init__(self, tonemaps: Sequence[str], exposure_told: bool = False):
        self.images: dict[str, list[np.ndarray]] = defaultdict(list)
        self.stamps: list[int] = []
        self._exposure_told, self._first_exposure = exposure_told, None
        self._tonemappers = {kind: [ToneMapper(name) for name in tonemaps] for kind in ("HDR", "truth")}
        self._clahe = cv2.createCLAHE(3.0, (8, 8))  # as the ROS nodes of ORB-SLAM3 and VINS-Mono equalise

    def add(self, sample: Sample, frame: HdrFrame) -> None:
        """A frame, as it was simulated and as it was reconstructed."""
        self._first_exposure = self._first_exposure or sample.exposure
        white = self._first_exposure / sample.exposure
        uncertainty = frame.uncertainty
        sigma = None if uncertainty is None else uncertainty * np.float32(math.log(2))
        self.add_frame(sample.stamp_ns, sample.ldr)
        self.add_radiance(
            "HDR", sample.stamp_ns, frame.radiance, sigma, white if self._exposure_told else 1.0
        )
        self.add_radiance("truth", sample.stamp_ns, sample.truth, None, white)

    def add_frame(self, stamp_ns: int, ldr: np.ndarray) -> None:
        """(H, W, 3) uint8."""
        grey = cv2.cvtColor(ldr, cv2.COLOR_RGB2GRAY)
        self.stamps.append(stamp_ns)
        self.images[LDR].append(grey)
        self.images[f"{LDR}, CLAHE"].append(self._clahe.apply(grey))

    def add_radiance(
        self, kind: str, stamp_ns: int, radiance: np.ndarray, sigma: np.ndarray | None, white: float = 1.0
    ) -> None:
        """kind: "HDR" or "truth"; radiance: (H, W, 3) float32; sigma: (H, W) float32, nat, of its logarithm;
        white: the radiance at which the frame clipped."""
        sigma = None if sigma is None else torch.from_numpy(sigma)
        for tonemapper in self._tonemappers[kind]:
            shown = tonemapper(torch.from_numpy(radiance), stamp_ns, sigma, white).pixels
            grey = cv2.cvtColor(shown, cv2.COLOR_RGB2GRAY)
            self.images[f"{kind}, {tonemapper.operator}"].append(grey)
