"""REHDR on a CPU, with what PyTorch does slowly there done otherwise."""

import torch
from torch import Tensor

from rehdr_ros.network.head_start.compose_kernels import clipped_pixels, measured_sigma, put, take
from rehdr_ros.network.head_start.kernels import prepare
from rehdr_ros.network.head_start.reference import FLOOR, Evidence, HeadStart
from rehdr_ros.network.integrator import CLIPPED
from rehdr_ros.network.rehdr import Estimate, Prepared, Rehdr, State


class CpuRehdr(Rehdr):
    """The head start by the kernels of head_start_kernels.py, the estimate's formula for clipped pixels alone.

    For inference, one frame at a time.
    """

    def prepare(
        self, ldr: Tensor, voxel: Tensor, head_start: State, clipped_from: float, seconds: Tensor
    ) -> tuple[Prepared, State, Evidence | None]:
        if not head_start:
            return super().prepare(ldr, voxel, head_start, clipped_from, seconds)
        return prepare(ldr.float(), voxel.float(), HeadStart(*head_start), clipped_from, seconds)

    def compose(
        self,
        features: Tensor,
        ldr: Tensor,
        head_start: State,
        evidence: Evidence | None,
        clipped_from: float = CLIPPED,
    ) -> Estimate:
        if not head_start:
            return super().compose(features, ldr, head_start, evidence, clipped_from)
        ldr = ldr.float().contiguous()  # and what is made like it: `put` writes rows after rows
        whole = Estimate(ldr.clone(), measured_sigma(ldr), torch.zeros_like(ldr[:, :1]))
        pixels = clipped_pixels(ldr, clipped_from)
        if len(pixels):
            state, (fit, _, *trusts) = HeadStart(*head_start), evidence
            features, ldr, log_radiance, variance, *trusts = (
                take(x, pixels) for x in (features, ldr, state.log_radiance, state.variance, *trusts)
            )
            state = state._replace(log_radiance=log_radiance, variance=variance)
            shown = ldr.clamp_min(FLOOR).log()  # faster than taking it
            estimate = super().compose(features, ldr, state, Evidence(fit, shown, *trusts), clipped_from)
            for part, of in zip(estimate, whole, strict=True):
                put(part, pixels, of)
        return whole


def remade(kind: type[Rehdr], network: Rehdr) -> Rehdr:
    """The same network as another class of it, float32, for inference."""
    made = kind(network.config)
    made.load_state_dict(network.state_dict())
    return made.float().eval().requires_grad_(False)
