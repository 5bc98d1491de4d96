"""One frame's step with the state as plain tensors: the form that exporters and compilers want."""

from collections.abc import Sequence

from torch import Tensor, nn

from rehdr_ros.network.head_start import HeadStart
from rehdr_ros.network.integrator import CLIPPED, IntegratorState
from rehdr_ros.network.rehdr import Rehdr, State


class Step(nn.Module):
    """(ldr, voxel, *state) -> (radiance, *new state), shapes as of Rehdr.

    `names`: of the state's tensors, in their order. clipped_from: as for the network, here for good.
    """

    def __init__(self, network: Rehdr, clipped_from: float = CLIPPED):
        super().__init__()
        self.network, self._clipped_from = network, clipped_from
        self._cells = ("hidden", "cell") if network.config.recurrent == "convlstm" else ("hidden",)
        self.names = [f"{cell}_{scale}" for scale in range(network.config.scales) for cell in self._cells]
        if network.config.radiance == "ldr_white":
            self.names += [*IntegratorState._fields, "log_radiance", "trust"]

    def forward(self, ldr: Tensor, voxel: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        radiance, new = self.network(ldr, voxel, self.unflatten(state), self._clipped_from)
        return radiance, *self.flatten(new)

    def flatten(self, state: State) -> list[Tensor]:
        """The network's state as the tensors of `names`."""
        scales = self.network.config.scales
        tensors = [tensor for cells in state[:scales] for tensor in cells]
        for head_start in state[scales:]:
            tensors += [*head_start.integrator, head_start.log_radiance, head_start.trust]
        return tensors

    def unflatten(self, tensors: Sequence[Tensor]) -> State:
        """The network's state of the tensors of `names`."""
        count, scales = len(self._cells), self.network.config.scales
        state = [tuple(tensors[i * count : (i + 1) * count]) for i in range(scales)]
        rest = tensors[count * scales :]
        return (*state, HeadStart(IntegratorState(*rest[:3]), *rest[3:])) if rest else tuple(state)
