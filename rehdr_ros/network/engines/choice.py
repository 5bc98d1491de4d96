"""The network by the fastest way that its device has."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

import torch
from torch import Tensor

from rehdr_ros.errors import InputError
from rehdr_ros.network.contract import USUAL_STREAM, Estimate, Network, PartedNetwork, State, Stream
from rehdr_ros.network.engines.cpu import CpuEngine, for_inference
from rehdr_ros.network.engines.cuda import CudaEngine
from rehdr_ros.network.engines.fold import fold_norms
from rehdr_ros.network.engines.openvino import OpenVinoEngine, is_installed
from rehdr_ros.network.engines.tensor_cores import for_tensor_cores

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
ENGINES = ("auto", "pytorch")

_WORTH = 20  # frames of one size after which compiling pays
_TOLERANCE = 1e-2  # relative difference from PyTorch's radiance
_CHECK_SIZE = (96, 128)  # of the frames that are compared on a CPU
_CHECK_FRAMES = 6
_CORNER = 16  # px, which alone clips in as many frames more, where engines may compute a part
_CORNERS = 2


class Runner(Protocol):
    """What can run a network's step, one frame at a time, and may have to get ready for a frame size."""

    def step(self, ldr: Tensor, voxel: Tensor, state: State | None, stream: Stream) -> tuple[Estimate, State]:
        """As of Network."""

    def build(self, height: int, width: int) -> None: ...


Candidate = tuple[str, Callable[[], Runner]]  # its name, and what makes it


def choose(network: Network, device: torch.device, precision: str, choice: str = "auto") -> Engine:
    """choice: "auto", or "pytorch" for nothing else."""
    made = _as_configured(network, device, precision)
    compiled = device.type == "cpu" and isinstance(made, PartedNetwork)
    candidates = list(_faster(network, device, precision)) if choice == "auto" else []
    return Engine(made, device, CpuEngine(made) if compiled else made, candidates)


class Engine:
    """A network that starts at once, as PyTorch runs it, and may be made faster for a frame size.

    Calls are those of Network, one frame each. The first candidate is taken, the fastest come first, that is
    faster than `plain` here and within 1 % of its radiance. name: what runs; about: how that was found, too.
    """

    def __init__(
        self, network: Network, device: torch.device, plain: Network | Runner, candidates: list[Candidate]
    ):
        self.config, self.rescale, self.event_fit = network.config, network.rescale, network.event_fit
        self.carried = network.carried
        self._device, self._plain, self._candidates = device, plain, candidates
        self._required: str | None = None
        self._fast: Runner | None = None
        self._ready: tuple[int, int] | None = None  # the size that `_fast` is compiled for
        self._size, self._frames = None, 0
        self._thread: threading.Thread | None = None
        self.name = self.about = "PyTorch"

    def step(self, ldr: Tensor, voxel: Tensor, state: State | None, stream: Stream) -> tuple[Estimate, State]:
        fast = self._fast if self._ready == tuple(ldr.shape[-2:]) else None
        return (fast or self._plain).step(ldr, voxel, state, stream)

    @property
    def decided(self) -> str | None:
        """The name of what runs, None while something faster may still take over."""
        return self.name if self._fast or not self._candidates else None

    def require(self, name: str) -> None:
        """Use that, however fast it is here: a run goes on as it began. Raises ValueError for want of it."""
        self._required = name
        self._candidates = [candidate for candidate in self._candidates if candidate[0] == name]
        if not self._candidates and name != self.name:
            raise InputError(f"{name} can't run the network here")

    def expect(self, height: int, width: int, wait: bool) -> None:
        """A frame of that size comes next; after twenty, what is faster is compiled for them.

        wait: until that is done; else it is done in the background.
        """
        size = height, width
        if self._size != size:
            self._size, self._frames = size, 0
        self._frames += 1
        if self._frames > _WORTH and self._ready != size:
            self.compile(*size, wait)

    def compile(self, height: int, width: int, wait: bool = True) -> None:
        """Make what is faster ready for a frame size; does nothing where nothing is."""
        if self._thread is not None and self._thread.is_alive():
            if not wait:
                return
            self._thread.join()
        size = height, width
        if self._ready == size or not (self._fast or self._candidates):
            return
        inputs = *size, torch.get_num_threads()
        self._thread = threading.Thread(target=self._compile, args=inputs, name="rehdr compile", daemon=True)
        self._thread.start()
        if wait:
            self._thread.join()

    @torch.inference_mode()
    def _compile(self, height: int, width: int, threads: int) -> None:
        torch.set_num_threads(threads)  # of this thread, which might have found fewer
        self._ready = None
        while self._candidates and self._fast is None:
            name, make = self._candidates.pop(0)
            self._fast = self._checked(name, make, (height, width))
        if self._fast is None:
            return
        try:
            self._fast.build(height, width)
        except Exception as error:
            self._fast = None
            self.name, self.about = "PyTorch", f"PyTorch ({_said(error)})"
        else:
            self._ready = height, width

    def _checked(self, name: str, make: Callable[[], Runner], size: tuple[int, int]) -> Runner | None:
        try:
            fast = make()
            ratio, difference = self._compare(fast, size if self._device.type == "cuda" else _CHECK_SIZE)
        except Exception as error:  # a compiler that isn't there, a processor that can't
            self.about = f"PyTorch ({name}: {_said(error)})"
            return None
        if (ratio > 1 or name == self._required) and difference <= _TOLERANCE:
            self.name, self.about = name, f"{name}, {ratio:.1f} times as fast as PyTorch here"
            return fast
        self.about = f"PyTorch ({name}: {ratio:.1f} times as fast here, relative difference {difference:.0e})"
        return None

    def _compare(self, fast: Runner, size: tuple[int, int]) -> tuple[float, float]:
        """How many times as fast as PyTorch, and how far from it, over some frames with carried state.

        The speed is that of frames that clip all over.
        """
        fast.build(*size)
        generator = torch.Generator().manual_seed(0)
        states, shortest, differences = [None, None], [float("inf")] * 2, []
        shape, dimmed = (1, self.config.bins, *size), torch.full(size, 0.5)
        dimmed[:_CORNER, :_CORNER] = 1
        for i in range(_CHECK_FRAMES + _CORNERS):
            ldr = (1.2 * torch.rand(1, 3, *size, generator=generator)).clamp_max(1)
            ldr = (ldr if i < _CHECK_FRAMES else ldr * dimmed).to(self._device)
            voxel = torch.randint(-2, 3, shape, generator=generator).float().to(self._device)
            outputs = []
            for which, runner in enumerate((self._plain, fast)):
                started = time.perf_counter()
                estimate, states[which] = runner.step(ldr, voxel, states[which], USUAL_STREAM)
                outputs.append(estimate.radiance.cpu())
                seconds = time.perf_counter() - started
                shortest[which] = min(shortest[which], seconds if i < _CHECK_FRAMES else shortest[which])
            plain, ours = outputs
            differences.append(((ours - plain).norm() / plain.norm()).item())
        return shortest[0] / shortest[1], torch.tensor(differences).max().item()  # NaN where one is


def _faster(network: Network, device: torch.device, precision: str) -> Iterator[Candidate]:
    """What may be faster, the fastest first."""
    how = network, device, precision
    if device.type == "cuda":
        for compiled, name in ((True, "torch.compile and a CUDA graph"), (False, "CUDA graph")):
            yield name, lambda compiled=compiled: CudaEngine(_as_configured(*how, for_tensor_cores), compiled)
    elif is_installed() and precision in ("float32", "bfloat16"):
        yield f"OpenVINO {precision}", lambda: OpenVinoEngine(for_inference(network), precision)


def _as_configured(network: Network, device: torch.device, precision: str, *forms: Callable) -> Network:
    """forms: what changes the network, in float32, after its norms were folded."""
    made = for_inference(network)
    for form in (fold_norms, *forms):
        made = form(made)
    # Of another network nobody knows what meets the float32 of its inputs.
    dtype = PRECISIONS[precision] if isinstance(made, PartedNetwork) else torch.float32
    return made.to(device, dtype, memory_format=torch.channels_last)


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
