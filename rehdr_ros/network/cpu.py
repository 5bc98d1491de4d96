"""REHDR on a CPU, with what PyTorch does slowly there done otherwise."""

from torch import Tensor

from rehdr_ros.network.head_start_kernels import prepare
from rehdr_ros.network.integrator import CLIPPED
from rehdr_ros.network.rehdr import Prepared, Rehdr, State


class CpuRehdr(Rehdr):
    """The head start by the kernels of head_start_kernels.py. For inference, one frame at a time."""

    def prepare(
        self, ldr: Tensor, voxel: Tensor, head_start: State, clipped_from: float = CLIPPED
    ) -> tuple[Prepared, State]:
        if not head_start or self.config.head_start != "filled":
            return super().prepare(ldr, voxel, head_start, clipped_from)
        prepared, state = prepare(ldr.float(), voxel.float(), head_start[0], clipped_from)
        return prepared, (state,)


def remade(kind: type[Rehdr], network: Rehdr) -> Rehdr:
    """The same network as another class of it, float32, for inference."""
    made = kind(network.config)
    made.load_state_dict(network.state_dict())
    return made.float().eval().requires_grad_(False)
