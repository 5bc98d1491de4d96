"""What one frame costs, counted: the convolutions are nearly all of it."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rehdr_ros.network.contract import Stream, padded
from rehdr_ros.network.rehdr import Rehdr, RehdrConfig


@dataclass(frozen=True)
class Layer:
    """A convolution. flop: two a multiply-add. values: that it reads and writes once, its weights too."""

    name: str
    flop: int
    values: int

    def seconds(self, flop_per_second: float, bytes_per_second: float, bytes_per_value: int) -> float:
        """The least it takes on a machine of that speed: the roofline (Williams et al. 2009)."""
        return max(self.flop / flop_per_second, self.values * bytes_per_value / bytes_per_second)


@torch.no_grad()
def layers(config: RehdrConfig, width: int, height: int) -> list[Layer]:
    """The convolutions of one frame of that size, in their order; the sizes are those after padding."""
    network = Rehdr(config).eval().to("meta")
    shape = padded(height, network.multiple), padded(width, network.multiple)
    ldr, voxel = (torch.empty(1, channels, *shape, device="meta") for channels in (3, config.bins))
    state, stream = network.initial_state(1, *shape), Stream(seconds=torch.empty(1, device="meta"))
    inputs, _, _ = network.prepare(ldr, voxel, state, stream)
    found: list[Layer] = []
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(lambda m, x, y, name=name: found.append(_layer(name, m, x[0], y)))
    network.features(inputs, {name: state[name] for name in network.cells})
    return found


def _layer(name: str, module: nn.Module, given: Tensor, out: Tensor) -> Layer:
    weight = module.weight
    # Each weight meets every pixel of the smaller side: what a stride skips, a transposed one spreads.
    pixels = (given if isinstance(module, nn.ConvTranspose2d) else out)[0, 0].numel()
    return Layer(name, 2 * weight.numel() * pixels, given.numel() + out.numel() + weight.numel())
