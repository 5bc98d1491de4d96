"""A camera's own exposure control."""

import math

import numpy as np

from rehdr_ros.luminance import BT709
from rehdr_ros.simulation.sensors import RESPONSE

_TARGET = 0.2  # mean of the linear frame, white = 1
_TIME_CONSTANT = 0.4  # s in which it follows two thirds of a step, as far as the frames tell how large it is


class AutoExposure:
    """Keeps the mean of the frames: from each frame, in which nothing is brighter than white, to the next.

    white: the radiance that saturates the next frame; at first what suits the view, (H, W, 3) radiance.
    """

    def __init__(self, view: np.ndarray):
        luminance = view @ BT709
        low, high = float(luminance.max()) * 2.0**-30, float(luminance.max()) * 2.0**30
        while high > 1.001 * low:
            self.white = math.sqrt(low * high)
            if np.minimum(luminance / self.white, 1).mean() > _TARGET:
                low = self.white
            else:
                high = self.white

    def follow(self, ldr: np.ndarray, seconds: float) -> None:
        """ldr: (H, W, 3) uint8, exposed with `white`; seconds: until the next."""
        mean = float(((ldr.astype(np.float32) / 255) ** RESPONSE @ BT709).mean())
        self.white *= (max(mean, 1e-3) / _TARGET) ** (1 - math.exp(-seconds / _TIME_CONSTANT))
