"""One frame of REHDR with a plain state, for what knows tensors alone: ONNX and CUDA graphs."""

from collections.abc import Iterable

from torch import Tensor, nn

from rehdr_ros.network.head_start import HeadStart
from rehdr_ros.network.integrator import CLIPPED, IntegratorState
from rehdr_ros.network.rehdr import Rehdr, RehdrConfig, State

_CELLS = {"convlstm": ("hidden", "cell"), "convgru": ("hidden",)}


class Step(nn.Module):
    """`forward(ldr, voxel, *state)` -> (radiance, *state): as of Rehdr, with every tensor of the state on its own.

    names: of the state's tensors, in their order. clipped_from: as of Rehdr.
    """

    def __init__(self, network: Rehdr, clipped_from: float = CLIPPED):
        super().__init__()
        self.network, self._clipped_from = network, clipped_from
        config = network.config
        self.names = [f"{name}_{i}" for i in range(config.scales) for name in _CELLS[config.recurrent]]
        if config.radiance == "ldr_white":
            self.names += [*IntegratorState._fields, *HeadStart._fields[1:]]

    def forward(self, ldr: Tensor, voxel: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        radiance, new = self.network(ldr, voxel, nest(state, self.network.config), self._clipped_from)
        return radiance, *flatten(new)


def flatten(state: State | Tensor) -> list[Tensor]:
    """The tensors of a state, in the order of `Step.names`."""
    return [state] if isinstance(state, Tensor) else [tensor for part in state for tensor in flatten(part)]


def nest(tensors: Iterable[Tensor], config: RehdrConfig) -> State:
    """What `flatten` made flat, of the scales alone or with the head start."""
    rest = iter(tensors)
    scales = [tuple(next(rest) for _ in _CELLS[config.recurrent]) for _ in range(config.scales)]
    others = tuple(rest)
    integrator = len(IntegratorState._fields)
    return (*scales, *((HeadStart(IntegratorState(*others[:integrator]), *others[integrator:]),) if others else ()))
