"""`compose` on a CPU for clipped pixels alone: what is measured needs little of it."""

import numpy as np
import torch
from torch import Tensor

from rehdr_ros.jit import kernel
from rehdr_ros.luminance import BT709
from rehdr_ros.network.contract import Estimate
from rehdr_ros.network.event_fit import as_modelled
from rehdr_ros.network.head_start import composition
from rehdr_ros.network.head_start.reference import FLOOR, Evidence, HeadStart
from rehdr_ros.network.head_start.smoothing import changed
from rehdr_ros.network.head_start.smoothing_kernels import changes

_RED, _GREEN, _BLUE = BT709
_FLOOR = np.float32(FLOOR)
_LEAST, _OVER = (np.float32(x) for x in composition.MEASURED_SIGMA)


def compose(
    features: Tensor,
    ldr: Tensor,
    state: HeadStart,
    evidence: Evidence,
    clipped_from: float,
    calibration: composition.Calibration | None,
) -> Estimate:
    """As of the package, for one frame on the CPU."""
    ldr = ldr.float().contiguous()  # and what is made like it: `put` writes rows after rows
    whole = Estimate(ldr.clone(), measured_sigma(ldr), torch.zeros_like(ldr[:, :1]))
    pixels = clipped_pixels(ldr, clipped_from)
    if not len(pixels):
        return whole
    fit, shown, *trusts, likely, level = evidence
    features, ldr, log_radiance, variance, *trusts, level = (
        take(x, pixels) for x in (features, ldr, state.log_radiance, state.variance, *trusts, level)
    )
    state = state._replace(log_radiance=log_radiance, variance=variance)
    # Its logarithm anew is faster than taking it.
    evidence = Evidence(fit, ldr.clamp_min(FLOOR).log(), *trusts, likely, level)
    estimate = composition.compose(features, ldr, state, evidence, clipped_from, calibration)
    noise = as_modelled(fit) * variance
    if calibration is not None and noise.any():
        log, change = shown.clone(memory_format=torch.contiguous_format), torch.empty_like(ldr)
        put(estimate.radiance.clamp_min(FLOOR).log(), pixels, log)
        changes(log[0].numpy(), noise.flatten().numpy(), pixels, _planes(change))
        estimate = estimate._replace(radiance=changed(estimate.radiance, change, ldr, clipped_from))
    for part, of in zip(estimate, whole, strict=True):
        if part is not None:
            put(part, pixels, of)
    return whole


def clipped_pixels(ldr: Tensor, clipped_from: float) -> np.ndarray:
    """Indices in H * W, int32, of pixels with a channel above clipped_from. ldr: (1, 3, H, W) float32."""
    return _find(_planes(ldr), np.float32(clipped_from))


def take(x: Tensor, pixels: np.ndarray) -> Tensor:
    """(1, C, H, W) -> those pixels of it, (1, C, 1, K) float32."""
    part = torch.empty(1, x.shape[1], 1, len(pixels))
    _take(_planes(x), pixels, _planes(part))
    return part


def put(part: Tensor, pixels: np.ndarray, x: Tensor) -> None:
    """The reverse, into a contiguous float32 x."""
    _put(_planes(part), pixels, _planes(x))


def measured_sigma(ldr: Tensor) -> Tensor:
    """As of composition.py, (1, 1, H, W)."""
    sigma = torch.empty_like(ldr[:, :1])
    _sigma(_planes(ldr), _planes(sigma)[0])
    return sigma


def _planes(x: Tensor) -> np.ndarray:
    return x[0].float().contiguous().view(x.shape[1], -1).numpy()


@kernel
def _find(ldr, clipped_from):
    red, green, blue = ldr[0], ldr[1], ldr[2]
    pixels, count = np.empty(len(red), np.int32), 0
    for i in range(len(red)):
        pixels[count] = i
        count += (red[i] > clipped_from) | (green[i] > clipped_from) | (blue[i] > clipped_from)
    return pixels[:count].copy()


@kernel
def _take(planes, pixels, part):
    for c in range(len(planes)):
        plane, out = planes[c], part[c]
        for i in range(len(pixels)):
            out[i] = plane[pixels[i]]


@kernel
def _put(part, pixels, planes):
    for c in range(len(planes)):
        plane, values = planes[c], part[c]
        for i in range(len(pixels)):
            plane[pixels[i]] = values[i]


@kernel
def _sigma(ldr, sigma):
    red, green, blue = ldr[0], ldr[1], ldr[2]
    for i in range(len(sigma)):
        sigma[i] = _LEAST + _OVER / (_RED * red[i] + _GREEN * green[i] + _BLUE * blue[i] + _FLOOR)
