"""rehdr benchmark network: one step of the network with its state."""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from rehdr_ros.cli.arguments import size
from rehdr_ros.cli.benchmarks.timing import Figures, pair, seconds
from rehdr_ros.network import Network, Rehdr, RehdrConfig, Stream, load_checkpoint
from rehdr_ros.network.checkpoint import SHIPPED
from rehdr_ros.network.cost import layers
from rehdr_ros.network.engines.choice import PRECISIONS, Engine, choose
from rehdr_ros.reconstruction.reconstructor import pick_device, pick_precision

_CONFIGURATIONS = {
    "rehdr_t": RehdrConfig(form="compact", base_channels=16),
    "rehdr_s": RehdrConfig(form="compact", base_channels=40),
    "rehdr_b": RehdrConfig(),
}
_SIZES = [(346, 260), (640, 480)]
_MATRIX = {"cpu": 2048, "cuda": 8192}  # whose product tells how fast a device computes
_COPIED = 1 << 28  # bytes whose copy tells how fast its memory is


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add, several = parser.add_argument, {"nargs": "+", "action": "extend"}
    networks = "for network: which; those shipped if not given"
    add("--networks", **several, choices=list(_CONFIGURATIONS), help=networks)
    sizes = "for network: of frames, WIDTHxHEIGHT; 346x260 and 640x480 if not given"
    add("--sizes", **several, type=size, help=sizes)


@torch.inference_mode()
def network(args: argparse.Namespace) -> Figures:
    """One step with its state, ms, the fastest way, against eager float32 NCHW (on a GPU without TF32).

    roofline_ms: the least that its convolutions take, by the machine's speed of matrix products and copies.
    difference: of the radiance from that of eager float32, relative, over the frames measured.
    """
    device = pick_device(args.device)
    precision = pick_precision(args.precision, device)
    figures = {}
    for name in args.networks or ("rehdr_t", "rehdr_s"):
        plain = make_network(name).to(device)
        for width, height in args.sizes or _SIZES:
            engine = choose(plain, device, precision, args.engine)
            engine.compile(height, width)
            ours, reference = Steps(engine, width, height, device), Steps(plain, width, height, device)
            with _without_tf32():
                fast, slow = pair(ours, reference, args.repeat)
            flop_per_second, bytes_per_second = _speed(device, PRECISIONS[precision])  # as busy as it is now
            counted = layers(plain.config, width, height)
            value = torch.finfo(PRECISIONS[precision]).bits // 8
            floor = sum(layer.seconds(flop_per_second, bytes_per_second, value) for layer in counted)
            difference = (ours.radiance - reference.radiance).norm() / reference.radiance.norm()
            row = {
                "ms": 1e3 * fast,
                "ratio_to_float32": slow / fast,
                "gflop": sum(layer.flop for layer in counted) / 1e9,
                "roofline_ms": 1e3 * floor,
                "share_of_roofline": floor / fast,
                "difference": difference.item(),
            }
            if device.type == "cuda":
                row["ratio_to_tf32"] = seconds(Steps(plain, width, height, device), args.repeat) / fast
            figures[f"{name} {width}x{height}, {engine.name}"] = row
    return figures


def make_network(name: str) -> Rehdr:
    """The shipped network of that name, or an untrained one of its size."""
    if (SHIPPED / f"{name}.safetensors").exists():
        return load_checkpoint(name)
    return untrained(_CONFIGURATIONS[name])


def untrained(config: RehdrConfig) -> Rehdr:
    """Random weights, the same each time."""
    torch.manual_seed(0)
    network = Rehdr(config).eval().requires_grad_(False)
    for parameter in network.body.prediction.parameters():
        torch.nn.init.normal_(parameter, std=0.01)  # or its features would not show
    return network


class Steps:
    """One frame a call, of a scene that clips, with carried state."""

    def __init__(self, network: Engine | Network, width: int, height: int, device: torch.device):
        generator = torch.Generator().manual_seed(0)
        self._ldr = (1.2 * torch.rand(1, 3, height, width, generator=generator)).clamp_max(1).to(device)
        voxel = torch.randint(-2, 3, (1, network.config.bins, height, width), generator=generator)
        self._voxel = voxel.float().to(device)
        self._network, self._state, self._device = network, None, device

    def __call__(self) -> None:
        estimate, self._state = self._network.step(self._ldr, self._voxel, self._state, Stream())
        self.radiance = estimate.radiance
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)


@contextmanager
def _without_tf32() -> Iterator[None]:
    backends = torch.backends.cudnn, torch.backends.cuda.matmul
    before = [backend.allow_tf32 for backend in backends]
    try:
        for backend in backends:
            backend.allow_tf32 = False
        yield
    finally:
        for backend, allowed in zip(backends, before, strict=True):
            backend.allow_tf32 = allowed


def _speed(device: torch.device, dtype: torch.dtype) -> tuple[float, float]:
    """FLOP/s of a matrix product and bytes/s of a copy, read and written; the best of some."""
    n = _MATRIX[device.type]
    a, b = (torch.rand(n, n, device=device).to(dtype) for _ in range(2))
    source = torch.zeros(_COPIED, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    product = _best(lambda: torch.mm(a, b), device)
    return 2 * n**3 / product, 2 * _COPIED / _best(lambda: target.copy_(source), device)


def _best(function: Callable[[], object], device: torch.device) -> float:
    shortest = float("inf")
    for _ in range(6):
        started = time.perf_counter()
        function()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        shortest = min(shortest, time.perf_counter() - started)
    return shortest
