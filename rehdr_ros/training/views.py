"""What a consumer of images is shown of one recording: the frames, and HDR through each tone mapping."""

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
    others.
    """

    def __init__(self, tonemaps: Sequence[str]):
        self.images: dict[str, list[np.ndarray]] = defaultdict(list)
        self._tonemappers = {kind: [ToneMapper(name) for name in tonemaps] for kind in ("HDR", "truth")}
        self._clahe = cv2.createCLAHE(3.0, (8, 8))  # as the ROS nodes of ORB-SLAM3 and VINS-Mono equalise

    def add(self, sample: Sample, frame: HdrFrame) -> None:
        """A frame, as it was simulated and as it was reconstructed."""
        grey = cv2.cvtColor(sample.ldr, cv2.COLOR_RGB2GRAY)
        self.images[LDR].append(grey)
        self.images[f"{LDR}, CLAHE"].append(self._clahe.apply(grey))
        for kind, radiance in (("HDR", frame.radiance), ("truth", sample.truth)):
            for tonemapper in self._tonemappers[kind]:
                shown = tonemapper(torch.from_numpy(radiance), sample.stamp_ns).pixels
                grey = cv2.cvtColor(shown, cv2.COLOR_RGB2GRAY)
                self.images[f"{kind}, {tonemapper.operator}"].append(grey)
