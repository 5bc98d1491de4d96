"""A training step's loss and gradients as one CUDA graph: thousands of launches would rule it."""

from importlib.util import find_spec

import torch
from torch import Tensor, nn

from rehdr_ros.training.sequence import Sequence

_WARM_UPS = 3


def can_compile() -> bool:
    """Whether torch.compile makes kernels for GPUs here: by Triton, which not every build of torch brings."""
    return hasattr(torch, "compile") and find_spec("triton") is not None


class GraphedLoss:
    """`loss(batch)` gives the loss, and parameters their gradients; all batches have the shapes of the first.

    The loss holds until the next call. half: autocast to bfloat16.
    """

    def __init__(self, loss: nn.Module, half: bool):
        self._module, self._half = loss, half
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, batch: Sequence) -> Tensor:
        if self._graph is None:
            self._capture(batch)
        for mine, given in zip(vars(self._batch).values(), vars(batch).values(), strict=True):
            mine.copy_(given)
        self._graph.replay()
        return self._loss

    def _capture(self, batch: Sequence) -> None:
        self._batch = batch.map(torch.clone)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(_WARM_UPS):
                self._step()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        for parameter in self._module.parameters():
            parameter.grad = None  # the graph's own
        with torch.cuda.graph(graph):
            self._loss = self._step()
        self._graph = graph

    def _step(self) -> Tensor:
        # Casts are not kept from one step to the next: the graph would hold the weights of its recording.
        with torch.autocast("cuda", torch.bfloat16, enabled=self._half, cache_enabled=False):
            loss = self._module(self._batch)
        loss.backward()
        return loss.detach()
