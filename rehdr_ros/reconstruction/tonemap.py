"""Radiance -> display values, steady over time."""

import math

import torch
from torch import Tensor

from rehdr_ros.errors import InputError
from rehdr_ros.network.integrator import luminance

_MU = 5000.0
_KEY = 0.18  # photographic middle grey
_TIME_CONSTANT = 0.5  # s in which the exposure follows two thirds of a change


class ToneMapper:
    """Maps radiance (1, 3, H, W) to display values (H, W, 3) uint8.

    - `reinhard`: global operator of Reinhard et al. 2002 with a white point, on luminance; middle grey and white
      follow the scene with a time constant of 0.5 s, so that the picture doesn't flicker.
    - `mulaw`: log(1 + 5000 x) / log(5001), as in the paper; x is radiance / the smoothed brightest level.
    - `gamma`: the display encoding alone; what is above white clips as in the LDR.

    Raises ValueError for another name.
    """

    OPERATORS = ("reinhard", "mulaw", "gamma")

    def __init__(self, operator: str = "reinhard", gamma: float = 2.2):
        if operator not in self.OPERATORS:
            raise InputError(f"tonemap {operator!r}: use one of {', '.join(self.OPERATORS)}")
        self.operator, self._gamma = operator, gamma
        self.reset()

    def reset(self) -> None:
        """Forget the exposure; the next frame sets it at once."""
        self._levels: tuple[float, float] | None = None
        self._stamp_ns = 0

    @torch.inference_mode()
    def __call__(self, radiance: Tensor, stamp_ns: int) -> Tensor:
        """radiance: (1, 3, H, W) float32 >= 0 at the time stamp_ns; returns (H, W, 3) uint8 on its device."""
        if self.operator == "gamma":
            display = radiance.clamp(0, 1) ** (1 / self._gamma)
        else:
            y = luminance(radiance)
            middle, white = self._follow(y, stamp_ns)
            if self.operator == "mulaw":
                display = torch.log1p(_MU * (radiance / white).clamp(0, 1)) / math.log1p(_MU)
            else:
                key, peak = _KEY / middle, max(_KEY / middle * white, 1.0)
                scaled = key * y
                gain = key * (1 + scaled / peak**2) / (1 + scaled)
                display = (radiance * gain).clamp(0, 1) ** (1 / self._gamma)
        return (display[0] * 255 + 0.5).to(torch.uint8).permute(1, 2, 0).contiguous()

    def _follow(self, y: Tensor, stamp_ns: int) -> tuple[float, float]:
        """Smoothed log-average and 99.9th percentile of the luminance."""
        sample = y.flatten()[:: max(1, y.numel() // 40_000)]
        middle = sample.clamp_min(1e-4).log().mean().exp().item()
        white = max(torch.quantile(sample, 0.999).item(), 1e-4)
        if self._levels is not None:
            seconds = max(0.0, (stamp_ns - self._stamp_ns) * 1e-9)
            keep = math.exp(-seconds / _TIME_CONSTANT)
            middle, white = (
                math.exp(keep * math.log(old) + (1 - keep) * math.log(new))
                for old, new in zip(self._levels, (middle, white), strict=True)
            )
        self._levels, self._stamp_ns = (middle, white), stamp_ns
        return self._levels
