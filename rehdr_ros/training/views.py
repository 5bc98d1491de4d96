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

    `images`: (H, W) uint8 each, in order. tonemaps: names of ToneMapper.OPERATORS; raises ValueError for
    others. exposure_told: whether the frames' radiance keeps its scale when the exposure changes.
    """

    def __init__(self, tonemaps: Sequence[str], exposure_told: bool = False):
        self.images: dict[str, list[np.ndarray]] = defaultdict(list)
        self._exposure_told, self._first_exposure = exposure_told, None
        self._tonemappers = {kind: [ToneMapper(name) for name in tonemaps] for kind in ("HDR", "truth")}
        self._clahe = cv2.createCLAHE(3.0, (8, 8))  # as the ROS nodes of ORB-SLAM3 and VINS-Mono equalise

    def add(self, sample: Sample, frame: HdrFrame) -> None:
        """A frame, as it was simulated and as it was reconstructed."""
        grey = cv2.cvtColor(sample.ldr, cv2.COLOR_RGB2GRAY)
        self.images[LDR].append(grey)
        self.images[f"{LDR}, CLAHE"].append(self._clahe.apply(grey))
        self._first_exposure = self._first_exposure or sample.exposure
        white = self._first_exposure / sample.exposure
        uncertainty = frame.uncertainty
        sigma = None if uncertainty is None else uncertainty * np.float32(math.log(2))
        self._show("HDR", sample, frame.radiance, sigma, white if self._exposure_told else 1.0)
        self._show("truth", sample, sample.truth, None, white)

    def _show(
        self, kind: str, sample: Sample, radiance: np.ndarray, sigma: np.ndarray | None, white: float
    ) -> None:
        sigma = None if sigma is None else torch.from_numpy(sigma)
        for tonemapper in self._tonemappers[kind]:
            shown = tonemapper(torch.from_numpy(radiance), sample.stamp_ns, sigma, white).pixels
            grey = cv2.cvtColor(shown, cv2.COLOR_RGB2GRAY)
            self.images[f"{kind}, {tonemapper.operator}"].append(grey)
