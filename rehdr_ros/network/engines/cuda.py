"""REHDR on an NVIDIA GPU: one compiled step, recorded once as a CUDA graph and replayed for every frame."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from rehdr_ros.network.integrator import CLIPPED
from rehdr_ros.network.rehdr import USUAL_SECONDS, Estimate, Rehdr, State, pad_to_multiple

_WARM_UPS = 3  # runs before the recording, as CUDA graphs want them


class CudaRehdr(Rehdr):
    """For inference, one frame at a time; a size that it meets for the first time is compiled and recorded.

    Inputs, output and state live in buffers that stay: what a call returns holds until the next one.
    compiled: whether torch.compile fuses the step first; without, the graph replays PyTorch's own kernels.
    """

    compiled = True
    _size: tuple[int, ...] | None = None

    @torch.inference_mode()
    def build(self, height: int, width: int) -> None:
        """Get ready for a frame size. Allocates all that the frames will need."""
        self._size = None
        device = next(self.body.parameters()).device
        ldr = torch.zeros(1, 3, height, width, device=device)
        voxel = torch.zeros(1, self.config.bins, height, width, device=device)
        clipped_from, seconds = torch.full((), CLIPPED, device=device), torch.full((1,), USUAL_SECONDS, device=device)
        self._initial = self.initial_state(pad_to_multiple(ldr, self.body.multiple))
        # In the order in which the convolutions keep their pixels.
        self._state = tuple(x.clone(memory_format=_layout(x)) for x in self._initial)
        self._inputs = ldr, voxel, clipped_from, seconds
        step = torch.compile(self._step, fullgraph=True, dynamic=False) if self.compiled else self._step
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
    def estimate(
        self,
        ldr: Tensor,
        voxel: Tensor,
        state: State | None = None,
        clipped_from: float | Tensor = CLIPPED,
        seconds: float | Tensor = USUAL_SECONDS,
    ) -> tuple[Estimate, State]:
        self._check(ldr, voxel)
        if tuple(ldr.shape[-2:]) != self._size:
            self.build(*ldr.shape[-2:])
        for mine, given in zip(self._inputs, (ldr, voxel, clipped_from, seconds), strict=True):
            mine.copy_(given) if isinstance(given, Tensor) else mine.fill_(given)
        for mine, given in zip(self._state, self._initial if state is None else state, strict=True):
            if mine is not given:
                mine.copy_(given)
        self._graph.replay()
        return self._estimate, self._state

    def _step(self, ldr: Tensor, voxel: Tensor, clipped_from: Tensor, seconds: Tensor, state: State) -> Estimate:
        """The state is written where the last one was."""
        estimate, new = Rehdr.estimate(self, ldr, voxel, state, clipped_from, seconds)
        for old, value in zip(state, new, strict=True):
            old.copy_(value)
        return estimate


def _layout(x: Tensor) -> torch.memory_format:
    return torch.channels_last if x.ndim == 4 else torch.preserve_format


@contextmanager
def _searching() -> Iterator[None]:
    """cuDNN measures which of its algorithms is fastest for each convolution that it meets for the first time; in other
    threads, too."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
