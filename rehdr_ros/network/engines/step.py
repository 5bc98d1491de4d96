"""One frame of REHDR as a function of tensors alone, for ONNX."""

from torch import Tensor, nn

from rehdr_ros.network.integrator import CLIPPED
from rehdr_ros.network.rehdr import Rehdr


class Step(nn.Module):
    """`forward(ldr, voxel, seconds, *state)` -> (radiance, *state), as of Rehdr; seconds: (1,), left out by networks of
    "relative" radiance, for which time is nothing.

    names: of the state's tensors, in their order. clipped_from: as of Rehdr.
    """

    def __init__(self, network: Rehdr, clipped_from: float = CLIPPED):
        super().__init__()
        self.network, self._clipped_from = network, clipped_from
        self.names = network.state_names
        self.timed = network.config.radiance == "ldr_white"

    def forward(self, ldr: Tensor, voxel: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        seconds, *state = rest if self.timed else (ldr.new_zeros(1), *rest)
        radiance, new = self.network(ldr, voxel, tuple(state), self._clipped_from, seconds)
        return radiance, *new
