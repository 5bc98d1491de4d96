"""REHDR on a CPU, with what PyTorch does slowly there done otherwise."""

from torch import Tensor

from rehdr_ros.network.head_start import Evidence, HeadStart
from rehdr_ros.network.head_start_kernels import prepare
from rehdr_ros.network.rehdr import Prepared, Rehdr, State


class CpuRehdr(Rehdr):
    """The head start by the kernels of head_start_kernels.py. For inference, one frame at a time."""

    def prepare(
        self, ldr: Tensor, voxel: Tensor, head_start: State, clipped_from: float, seconds: Tensor
    ) -> tuple[Prepared, State, Evidence | None]:
        if not head_start:
            return super().prepare(ldr, voxel, head_start, clipped_from, seconds)
        return prepare(ldr.float(), voxel.float(), HeadStart(*head_start), clipped_from, seconds)


def remade(kind: type[Rehdr], network: Rehdr) -> Rehdr:
    """The same network as another class of it, float32, for inference."""
    made = kind(network.config)
    made.load_state_dict(network.state_dict())
    return made.float().eval().requires_grad_(False)
