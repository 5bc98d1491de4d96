"""The head start in clipped pixels: what goes in front of the convolutions, and what becomes of their output.

Each in two forms that are equal but for rounding: by PyTorch, anywhere, or `compiled`, in loops for one frame
on a CPU. Both read their constants from reference.py and composition.py.
"""

from torch import Tensor

from rehdr_ros.network.contract import Estimate, Stream
from rehdr_ros.network.head_start import compose_kernels, composition, kernels, reference
from rehdr_ros.network.head_start.reference import Evidence, HeadStart, Inputs
from rehdr_ros.network.head_start.smoothing import smoothed

__all__ = ["Evidence", "HeadStart", "Inputs", "compose", "prepare"]


def prepare(
    ldr: Tensor, voxel: Tensor, state: HeadStart, stream: Stream, compiled: bool
) -> tuple[Inputs, HeadStart, Evidence]:
    """As of PartedNetwork: ldr (N, 3, H, W), voxel (N, bins, H, W), stream.seconds (N,)."""
    return (kernels if compiled else reference).prepare(ldr, voxel, state, stream)


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
    return estimate._replace(radiance=radiance)
