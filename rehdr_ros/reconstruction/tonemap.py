"""Radiance -> display values, steady over time."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate, pad

from rehdr_ros.errors import InputError
from rehdr_ros.jit import sealed
from rehdr_ros.luminance import BT709
from rehdr_ros.reconstruction import highlights, tonemap_kernels
from rehdr_ros.reconstruction.clipping import clipped_fraction
from rehdr_ros.reconstruction.levels import make_levels

_MU = 5000.0
_GAMMA = 2.2
_KEY = 0.18  # photographic middle grey
_LOCAL_KEY = 0.36  # one stop more: what is bright needs no room, as each place has an exposure of its own
_LOCAL_WHITE = 3.0  # luminance over that of bright surroundings at which the display ends
_CELLS, _SPREAD = 32, 4.0  # surroundings: a grid, cells along the short side; a Gaussian, of so many cells
_TIME_CONSTANT = 0.5  # s in which the exposure follows two thirds of a change
_SAMPLE = 40_000  # pixels that tell middle grey and white, about
_COARSE = 16  # of which one tells about where the brightest hundredth begins
_DARKEST, _BRIGHTEST = 1e-4, 0.999  # luminance that counts as black; quantile that counts as white

_GAMMA_LEVELS = make_levels(lambda display: display**_GAMMA)
_MULAW_LEVELS = make_levels(lambda display: np.expm1(display * math.log1p(_MU)) / _MU)


class ToneMapped(NamedTuple):
    """pixels: (H, W, 3) uint8; clipped_fraction: share of those with a channel at 250 or above."""

    pixels: np.ndarray
    clipped_fraction: float


class ToneMapper:
    """Maps radiance to display values.

    - `reinhard`: global operator of Reinhard et al. 2002 with a white point, on luminance; middle grey and
      white follow the scene with a time constant of 0.5 s, so that the picture doesn't flicker.
    - `mulaw`: log(1 + 5000 x) / log(5001), as in the paper; x is radiance / the smoothed brightest level.
    - `gamma`: the display encoding alone; what is above white clips as in the LDR.
    - `local`: local operator of Reinhard et al. 2002 with surroundings of one size: luminance /
      (1 + 3 surroundings), a Gaussian mean of the log luminance over an eighth of the image. Detail keeps its
      contrast wherever it is, for feature detectors; dark halos around what is bright are the price.
    - `highlights`: the frame as the camera shows it, with the contrast of what is above its white brought
      into the display's range; see highlights.py. The camera's white is followed with that time constant.

    Raises ValueError for another name.
    """

    OPERATORS = ("reinhard", "mulaw", "gamma", "local", "highlights")

    def __init__(self, operator: str = "reinhard"):
        if operator not in self.OPERATORS:
            raise InputError(f"tonemap {operator!r}: use one of {', '.join(self.OPERATORS)}")
        self.operator = operator
        self.reset()

    @property
    def takes_sigma(self) -> bool:
        """Whether what is uncertain is shown otherwise."""
        return self.operator == "highlights"

    def reset(self) -> None:
        """Forget the exposure; the next frame sets it at once."""
        self._levels: tuple[float, float] | None = None
        self._stamp_ns = 0

    @property
    def exposure(self) -> tuple[float, float, int] | None:
        """Middle grey, white and the stamp that they are of; None before the first frame. May be set.

        Of `highlights` both are the camera's white.
        """
        return None if self._levels is None else (*self._levels, self._stamp_ns)

    @exposure.setter
    def exposure(self, exposure: tuple[float, float, int] | None) -> None:
        self._levels, self._stamp_ns = (None, 0) if exposure is None else (exposure[:2], exposure[2])

    @torch.inference_mode()
    def __call__(
        self, radiance: Tensor, stamp_ns: int, sigma: Tensor | None = None, white: float = 1.0
    ) -> ToneMapped:
        """radiance: (H, W, 3) float32 >= 0 at the time stamp_ns, on any device, best a view of (3, H, W).

        For `highlights` alone: sigma, (H, W) float32 on the same device, of log radiance, nat, where it is
        known; white: the radiance at which the frame clipped. Compiled code on the CPU.
        """
        run = self._by_kernels if radiance.device.type == "cpu" else self.by_torch
        return run(radiance, stamp_ns, sigma, white)

    def _by_kernels(self, radiance: Tensor, stamp_ns: int, sigma: Tensor | None, white: float) -> ToneMapped:
        planes = sealed(radiance.permute(2, 0, 1).contiguous().numpy()).reshape(3, -1)
        out = np.empty((planes.shape[1], 3), np.uint8)
        if self.operator == "gamma":
            clipped = tonemap_kernels.scale(planes, np.float32(1), _GAMMA_LEVELS, out)
        elif self.operator == "highlights":
            white, _ = self._follow((white, white), stamp_ns)
            sigma = None if sigma is None else sealed(sigma.contiguous().numpy()).reshape(-1)
            shown = highlights.apply(planes, tuple(radiance.shape[:2]), sigma, white)
            clipped = tonemap_kernels.scale(shown, np.float32(1), _GAMMA_LEVELS, out)
        else:
            middle, white = self._follow(_measure(planes), stamp_ns)
            if self.operator == "mulaw":
                clipped = tonemap_kernels.scale(planes, np.float32(1 / white), _MULAW_LEVELS, out)
            elif self.operator == "local":
                gains = _local_gains(radiance, middle).numpy().reshape(-1)
                clipped = tonemap_kernels.local(planes, gains, _GAMMA_LEVELS, out)
            else:
                key, peak = map(np.float32, _key_and_peak(middle, white))
                clipped = tonemap_kernels.reinhard(planes, key, peak, _GAMMA_LEVELS, out)
        return ToneMapped(out.reshape(radiance.shape), clipped / len(out))

    def by_torch(
        self, radiance: Tensor, stamp_ns: int, sigma: Tensor | None = None, white: float = 1.0
    ) -> ToneMapped:
        """What a call does, on any device; on a CPU there are quicker kernels."""
        if self.operator == "gamma":
            display = radiance.clamp(0, 1) ** (1 / _GAMMA)
        elif self.operator == "highlights":
            white, _ = self._follow((white, white), stamp_ns)
            display = highlights.by_torch(radiance, sigma, white).clamp(0, 1) ** (1 / _GAMMA)
        else:
            y = _luminance(radiance)
            middle, white = self._follow(_measure_by_torch(y), stamp_ns)
            if self.operator == "mulaw":
                display = torch.log1p(_MU * (radiance / white).clamp(0, 1)) / math.log1p(_MU)
            elif self.operator == "local":
                display = (radiance * _local_gains(radiance, middle)).clamp(0, 1) ** (1 / _GAMMA)
            else:
                key, peak = _key_and_peak(middle, white)
                scaled = key * y
                gain = key * (1 + scaled / peak**2) / (1 + scaled)
                display = (radiance * gain).clamp(0, 1) ** (1 / _GAMMA)
        pixels = (display * 255 + 0.5).to(torch.uint8).contiguous().cpu().numpy()
        return ToneMapped(pixels, clipped_fraction(pixels, 255))

    def _follow(self, measured: tuple[float, float], stamp_ns: int) -> tuple[float, float]:
        """Middle grey and white of this frame, smoothed over time."""
        middle, white = measured
        if self._levels is not None:
            seconds = max(0.0, (stamp_ns - self._stamp_ns) * 1e-9)
            keep = math.exp(-seconds / _TIME_CONSTANT)
            middle, white = (
                math.exp(keep * math.log(old) + (1 - keep) * math.log(new))
                for old, new in zip(self._levels, (middle, white), strict=True)
            )
        self._levels, self._stamp_ns = (middle, white), stamp_ns
        return self._levels


def _key_and_peak(middle: float, white: float) -> tuple[float, float]:
    return _KEY / middle, max(_KEY / middle * white, 1.0)


def _local_gains(radiance: Tensor, middle: float) -> Tensor:
    """(H, W, 1), from the geometric mean luminance around each pixel."""
    height, width = radiance.shape[:2]
    cell = max(1.0, min(height, width) / _CELLS)
    cells = adaptive_avg_pool2d(radiance.permute(2, 0, 1), (round(height / cell), round(width / cell)))
    log = _luminance(cells.permute(1, 2, 0)).clamp_min(_DARKEST).log()[None, None, ..., 0]
    reach = math.ceil(3 * _SPREAD)
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=log.device) / _SPREAD) ** 2)
    weights /= weights.sum()
    log = pad(log, (reach,) * 4, "replicate")
    for axis in (2, 3):  # not by a convolution, which a GPU may compute in TF32
        log = (log.unfold(axis, len(weights), 1) * weights).sum(-1)
    key = _LOCAL_KEY / middle
    gains = key / (1 + _LOCAL_WHITE * key * log.exp())
    return interpolate(gains, (height, width), mode="bilinear")[0, 0, ..., None]


def _measure(radiance: np.ndarray) -> tuple[float, float]:
    """Log-average and 99.9th percentile of the luminance of float32 (3, N), by a sample."""
    sample = radiance[:, :: max(1, radiance.shape[1] // _SAMPLE)]
    y = np.ascontiguousarray(sample.T) @ BT709
    middle = math.exp(np.log(np.maximum(y, _DARKEST)).mean(dtype=np.float64))
    rank = _BRIGHTEST * (len(y) - 1)
    below, above = _highest(y, int(rank), min(int(rank) + 1, len(y) - 1))
    white = below + (rank - int(rank)) * (above - below)
    return middle, max(float(white), _DARKEST)


def _highest(values: np.ndarray, *ranks: int) -> list[np.float32]:
    """The values of those ranks, all near the end: sought among few, as np.quantile costs many times more."""
    some = values[::_COARSE]
    guess = len(some) - 1 - len(some) // 100
    few = values[values >= np.partition(some, guess)[guess]]
    skipped = len(values) - len(few)
    if skipped > min(ranks):
        few, skipped = values, 0
    few = np.partition(few, [rank - skipped for rank in ranks])
    return [few[rank - skipped] for rank in ranks]


def _measure_by_torch(y: Tensor) -> tuple[float, float]:
    """The same of a luminance (H, W, 1)."""
    sample = y.flatten()[:: max(1, y.numel() // _SAMPLE)]
    middle = sample.clamp_min(_DARKEST).log().mean().exp().item()
    return middle, max(torch.quantile(sample, _BRIGHTEST).item(), _DARKEST)


def _luminance(radiance: Tensor) -> Tensor:
    red, green, blue = map(float, BT709)
    return red * radiance[..., :1] + green * radiance[..., 1:2] + blue * radiance[..., 2:]
