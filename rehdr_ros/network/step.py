"""One frame of REHDR with a plain state, for what knows tensors alone: ONNX and CUDA graphs."""

from collections.abc import Iterable

from torch import Tensor, nn

from rehdr_ros.network.head_start import HeadStart
from rehdr_ros.network.integrator import CLIPPED, IntegratorState
from rehdr_ros.network.rehdr import Rehdr, State


class Step(nn.Module):
    """`forward(ldr, voxel, *state)` -> (radiance, *state): as of Rehdr, with every tensor of the state on its own.

    names: of the state's tensors, in their order. clipped_from: as of Rehdr.
    """

    def __init__(self, network: Rehdr, clipped_from: float = CLIPPED):
        super().__init__()
        self.network, self._clipped_from = network, clipped_from
        self._cells = ("hidden", "cell") if network.config.recurrent == "convlstm" else ("hidden",)
        self.names = [f"{name}_{i}" for i in range(network.config.scales) for name in self._cells]
        if network.config.radiance == "ldr_white":
            self.names += [*IntegratorState._fields, *HeadStart._fields[1:]]

    def forward(self, ldr: Tensor, voxel: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        radiance, new = self.network(ldr, voxel, self.nest(state), self._clipped_from)
        return radiance, *flatten(new)

    def nest(self, tensors: Iterable[Tensor]) -> State:
        """The state as Rehdr has it."""
        rest = iter(tensors)
        scales = [tuple(next(rest) for _ in self._cells) for _ in range(self.network.config.scales)]
        if self.network.config.radiance == "relative":
            return tuple(scales)
        integrator = IntegratorState(*(next(rest) for _ in IntegratorState._fields))
        return (*scales, HeadStart(integrator, *rest))


def flatten(state: State | Tensor) -> list[Tensor]:
    """The tensors of a state, in the order of `Step.names`."""
    return [state] if isinstance(state, Tensor) else [tensor for part in state for tensor in flatten(part)]
