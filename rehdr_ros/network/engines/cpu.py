"""A network on a CPU, with what PyTorch does slowly there done by kernels."""

import copy

import torch
from torch import Tensor, nn

from rehdr_ros.network.contract import USUAL_STREAM, Estimate, PartedNetwork, State, Stream
from rehdr_ros.network.engines.sparse import SparseFeatures
from rehdr_ros.threads import threads


class CpuEngine:
    """Convolutions where they are needed, the parts around them `compiled`. One frame at a time."""

    def __init__(self, network: PartedNetwork):
        self._network, self._features = network, SparseFeatures(network, self._convolved)
        self._threads = torch.get_num_threads()

    def build(self, height: int, width: int) -> None:
        """Nothing is to be done for a frame size."""

    def step(
        self, ldr: Tensor, voxel: Tensor, state: State | None = None, stream: Stream = USUAL_STREAM
    ) -> tuple[Estimate, State]:
        with threads(1):
            return self._network.step(ldr, voxel, state, stream, self._features, compiled=True)

    def _convolved(self, inputs: tuple[Tensor, ...], cells: State) -> tuple[Tensor, State]:
        with threads(self._threads):
            return self._network.features(inputs, cells)


def for_inference(network: nn.Module) -> nn.Module:
    """A copy, float32, in evaluation mode."""
    return copy.deepcopy(network).float().eval().requires_grad_(False)
