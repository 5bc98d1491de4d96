"""A network on an NVIDIA GPU: one compiled step, recorded once as a CUDA graph, replayed for every frame."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from rehdr_ros.network.contract import USUAL_STREAM, Estimate, Network, State, Stream

_WARM_UPS = 3  # runs before the recording, as CUDA graphs want them


class CudaEngine:
    """For inference, one frame at a time; a size that it meets for the first time is compiled and recorded.

    Inputs, output and state live in buffers that stay: what a call returns holds until the next one.
    compiled: whether torch.compile fuses the step first; without, the graph replays PyTorch's own kernels.
    """

    def __init__(self, network: Network, compiled: bool):
        self._network, self._compiled = network, compiled
        self._size: tuple[int, ...] | None = None

    @torch.inference_mode()
    def build(self, height: int, width: int) -> None:
        """Get ready for a frame size. Allocates all that the frames will need."""
        self._size = None
        device = next(self._network.parameters()).device
        ldr = torch.zeros(1, 3, height, width, device=device)
        voxel = torch.zeros(1, self._network.config.bins, height, width, device=device)
        clipped_from, seconds = USUAL_STREAM
        stream = torch.full((), clipped_from, device=device), torch.full((1,), seconds, device=device)
        self._initial = self._network.initial_state(1, height, width)
        # In the order in which the convolutions keep their pixels.
        self._state = {name: x.clone(memory_format=_layout(x)) for name, x in self._initial.items()}
        self._inputs = ldr, voxel, *stream
        step = self.step_in_place
        if self._compiled:
            step = torch.compile(step, fullgraph=True, dynamic=False)
        stream = torch.cuda.Stream(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            step(*self._inputs, self._state)  # compiles
            with _searching():
                for _ in range(_WARM_UPS):
                    step(*self._inputs, self._state)
        torch.cuda.current_stream(device).wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        # Another thread may allocate or copy meanwhile.
        with _searching(), torch.cuda.graph(self._graph, stream=stream, capture_error_mode="thread_local"):
            self._estimate = step(*self._inputs, self._state)
        self._size = height, width

    @torch.inference_mode()
    def step(
        self, ldr: Tensor, voxel: Tensor, state: State | None = None, stream: Stream = USUAL_STREAM
    ) -> tuple[Estimate, State]:
        self._network.check(ldr, voxel)
        if tuple(ldr.shape[-2:]) != self._size:
            self.build(*ldr.shape[-2:])
        for mine, new in zip(self._inputs, (ldr, voxel, *stream), strict=True):
            mine.copy_(new) if isinstance(new, Tensor) else mine.fill_(new)
        state = self._initial if state is None else state
        for name, mine in self._state.items():
            if mine is not state[name]:
                mine.copy_(state[name])
        self._graph.replay()
        return self._estimate, self._state

    def step_in_place(
        self, ldr: Tensor, voxel: Tensor, clipped_from: Tensor, seconds: Tensor, state: State
    ) -> Estimate:
        """What is recorded: the new state is written where the last one was."""
        estimate, new = self._network.step(ldr, voxel, state, Stream(clipped_from, seconds))
        for name, old in state.items():
            old.copy_(new[name])
        return estimate


def _layout(x: Tensor) -> torch.memory_format:
    return torch.channels_last if x.ndim == 4 else torch.preserve_format


@contextmanager
def _searching() -> Iterator[None]:
    """cuDNN measures which of its algorithms is fastest for each new convolution; in other threads, too."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
