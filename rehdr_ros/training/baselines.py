"""What any reconstruction must beat: fills of the clipped pixels, and event integration without a network.

A baseline takes the LDR frames (H, W, 3) uint8 of a sequence, its voxel grids (B, H, W) float32, signed
event counts since the frame before (zeros for the first), and gains, exposures over that of the frame before,
1 throughout if not given. It gives a radiance (H, W, 3) float32 for each frame, 1.0 = that frame's white.
"""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from rehdr_ros.luminance import BT709
from rehdr_ros.network import Rehdr, RehdrConfig
from rehdr_ros.network.head_start.reference import clip_mask
from rehdr_ros.network.integrator import CLIPPED, initial_state, integrate, luminance
from rehdr_ros.simulation.sensors import RESPONSE
from rehdr_ros.training.metrics import FLOOR, fill_constant, pixel_classes

HEAD_START = "head_start"
Frames = Sequence[np.ndarray]
Gains = Sequence[float] | None
Baseline = Callable[[Frames, Frames, Gains], list[np.ndarray]]


def linearised(ldr: Frames, voxels: Frames, gains: Gains = None) -> list[np.ndarray]:
    """The LDR through the inverse response of the simulated camera."""
    return [(frame.astype(np.float32) / 255) ** RESPONSE for frame in ldr]


def constant_fill(ldr: Frames, voxels: Frames, gains: Gains = None) -> list[np.ndarray]:
    """The linearised LDR, its clipped pixels set to the luminance that is best over the training scenes."""
    return [fill_constant(*frames) for frames in zip(ldr, linearised(ldr, voxels), strict=True)]


def grey_fill(ldr: Frames, voxels: Frames, gains: Gains = None) -> list[np.ndarray]:
    """The linearised LDR, its clipped pixels grey with their luminance: any guess of colour must beat it."""
    return [
        np.where(pixel_classes(frame)["clipped"][..., None], (linear @ BT709)[..., None], linear)
        for frame, linear in zip(ldr, linearised(ldr, voxels), strict=True)
    ]


def complementary_filter(ldr: Frames, voxels: Frames, gains: Gains = None) -> list[np.ndarray]:
    """The LDR where it is exposed; where it is clipped, the events integrated since it was not.

    The network's integrator, which estimates the contrast threshold, gives the luminance; a pixel keeps the
    chromaticity that it had when it was last exposed, grey if it never was. Blended by channel with the LDR
    as in the network, and never below it. Raises ValueError for unequal numbers of frames and grids.
    """
    state, predicted = None, []
    for linear, voxel, gain in _steps(ldr, voxels, gains):
        image = torch.from_numpy(linear).permute(2, 0, 1)[None]
        if state is None:
            state, chromaticity = initial_state(image), torch.ones_like(image)
        state = state._replace(log_luminance=state.log_luminance + math.log(gain))
        state, _ = integrate(image, torch.as_tensor(voxel)[None], state)
        y = luminance(image)
        coloured = (state.recency == 1) & (y > FLOOR)  # exposed now, and not black
        chromaticity = torch.where(coloured, image / y.clamp_min(FLOOR), chromaticity)
        radiance = torch.maximum(state.log_luminance.exp() * chromaticity, image)
        blended = image + clip_mask(image, CLIPPED) * (radiance - image)
        predicted.append(blended[0].permute(1, 2, 0).numpy())
    return predicted


def untrained(bins: int) -> Rehdr:
    """What the networks start from in clipped pixels, blended as they do it."""
    return Rehdr(RehdrConfig(form="compact", base_channels=1, bins=bins)).eval()


@torch.inference_mode()
def head_start(ldr: Frames, voxels: Frames, gains: Gains = None) -> list[np.ndarray]:
    """What `untrained` gives, of frames at the usual rate."""
    network, state, predicted = untrained(len(voxels[0])), None, []
    for linear, voxel, gain in _steps(ldr, voxels, gains):
        image, grid = torch.from_numpy(linear).permute(2, 0, 1)[None], torch.as_tensor(voxel)[None]
        state = state and network.rescale(state, gain)
        radiance, state = network(image, grid, state)
        predicted.append(radiance[0].permute(1, 2, 0).numpy())
    return predicted


def constant_lift(ldr: Frames, voxels: Frames, gains: Gains = None, *, factor: float) -> list[np.ndarray]:
    """The linearised LDR, its clipped pixels times one factor: what mild scenes give without events."""
    return [
        np.where(pixel_classes(frame)["clipped"][..., None], np.float32(factor) * linear, linear)
        for frame, linear in zip(ldr, linearised(ldr, voxels), strict=True)
    ]


def _steps(ldr: Frames, voxels: Frames, gains: Gains) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
    return zip(linearised(ldr, voxels), voxels, gains or [1.0] * len(ldr), strict=True)


BASELINES: dict[str, Baseline] = {
    "ldr": linearised,
    "constant_fill": constant_fill,
    "grey_fill": grey_fill,
    "filter": complementary_filter,
    HEAD_START: head_start,
}
