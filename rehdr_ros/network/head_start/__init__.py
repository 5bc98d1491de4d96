"""The head start in clipped pixels: what goes in front of the convolutions, and what becomes of their output.

Each in two forms that are equal but for rounding: by PyTorch, anywhere, or `compiled`, in loops for one frame
on a CPU. Both read their constants from reference.py and composition.py.
"""

import torch
from torch import Tensor

from rehdr_ros.network.contract import USUAL_SECONDS, Estimate, Stream
from rehdr_ros.network.event_fit import explained_sums
from rehdr_ros.network.head_start import compose_kernels, composition, kernels, reference
from rehdr_ros.network.head_start.reference import Evidence, HeadStart, Inputs
from rehdr_ros.network.head_start.smoothing import smoothed

__all__ = ["Evidence", "HeadStart", "Inputs", "compose", "prepare", "warm_up"]


def prepare(
    ldr: Tensor, voxel: Tensor, state: HeadStart, stream: Stream, compiled: bool, sparse: bool = False
) -> tuple[Inputs, HeadStart, Evidence]:
    """As of PartedNetwork: ldr (N, 3, H, W), voxel (N, bins, H, W), stream.seconds (N,).

    sparse: nobody takes the inputs of a frame in which nothing clips; they are then 0 where that saves time.
    """
    if compiled:
        return kernels.prepare(ldr, voxel, state, stream, sparse)
    return reference.prepare(ldr, voxel, state, stream)


def compose(
    features: Tensor,
    ldr: Tensor,
    state: HeadStart,
    evidence: Evidence,
    clipped_from: float | Tensor,
    calibration: composition.Calibration | None,
    compiled: bool,
) -> Estimate:
    """As of PartedNetwork: features (N, OUTPUTS, H, W), ldr (N, 3, H, W).

    calibration: what was measured after the training; None in a training, which also goes without smoothing.
    """
    inputs = features, ldr, state, evidence, clipped_from, calibration
    if compiled:
        return compose_kernels.compose(*inputs)
    estimate = composition.compose(*inputs)
    if calibration is None:
        return estimate
    radiance = smoothed(estimate.radiance, ldr, state.variance, evidence.fit, clipped_from)
    return Estimate(radiance, estimate.sigma, estimate.cause)


def warm_up() -> None:
    """Compile the kernels, or load them from the cache: those, too, that only explained frames need."""
    ldr, voxel = torch.ones(1, 3, 8, 8), torch.zeros(1, 1, 8, 8)
    state = reference.initial_state(ldr)._replace(fit=explained_sums(ldr))
    stream = Stream(seconds=torch.tensor([USUAL_SECONDS]))
    _, state, evidence = prepare(ldr, voxel, state, stream, compiled=True)
    features = torch.zeros(1, composition.OUTPUTS, 8, 8)
    compose(features, ldr, state, evidence, stream.clipped_from, composition.Calibration(), compiled=True)
