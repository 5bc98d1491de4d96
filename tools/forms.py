"""What a frame of which half clips costs in other forms of the network, untrained: docs/performance.md.

Forms of other widths, of other blocks, and the published one. ms: of the head start and the network, by
OpenVINO, where it is installed, and by PyTorch, taken in turn.
"""

import argparse
from contextlib import ExitStack
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rehdr_ros.cli.arguments import size
from rehdr_ros.cli.benchmarks.network import Steps, untrained
from rehdr_ros.cli.benchmarks.timing import pair
from rehdr_ros.network import RehdrConfig
from rehdr_ros.network.compact import Block
from rehdr_ros.network.cost import layers
from rehdr_ros.network.engines.choice import choose
from rehdr_ros.reconstruction.reconstructor import pick_precision

_CPU = torch.device("cpu")


def _of_depthwise(kernel: int):
    """A Block whose depthwise convolution has that size."""

    def init(self: Block, channels: int) -> None:
        _init(self, channels)
        self.depthwise = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels)

    return init


class _Plain(nn.Module):
    """x + conv 3x3(relu(conv 3x3(x)))."""

    def __init__(self, channels: int):
        super().__init__()
        self.first, self.second = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(x)))


class _Reparameterised(nn.Module):
    """relu(conv 3x3(x)): RepVGG's block (Ding et al. 2021) as it is after training."""

    def __init__(self, channels: int):
        super().__init__()
        self.one = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.one(x))


_init = Block.__init__
_BLOCK = "rehdr_ros.network.compact.Block"
_COMPACT = {width: RehdrConfig(form="compact", base_channels=width) for width in (8, 12, 16, 24, 40, 56)}
# A configuration, and what is patched by what.
FORMS = {
    **{f"compact, width {width}": (config, {}) for width, config in _COMPACT.items()},
    "… 16, depthwise 3x3": (_COMPACT[16], {f"{_BLOCK}.__init__": _of_depthwise(3)}),
    "… 16, depthwise 7x7": (_COMPACT[16], {f"{_BLOCK}.__init__": _of_depthwise(7)}),
    "… 16, one 3x3 a block": (_COMPACT[16], {_BLOCK: _Reparameterised}),
    "… 16, two 3x3 a block": (_COMPACT[16], {_BLOCK: _Plain}),
    "full (published), width 8": (RehdrConfig(base_channels=8), {}),
}


@torch.inference_mode()
def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    add = parser.add_argument
    add("--sizes", nargs="+", type=size, default=[(346, 260), (640, 480)], help="of frames, WIDTHxHEIGHT")
    add("--precision", default="auto", help="auto, float32 or bfloat16 (default: %(default)s)")
    repeat = "measurements, of which the median counts (default: %(default)s)"
    add("--repeat", type=int, default=9, help=repeat)
    args = parser.parse_args(arguments)
    precision = pick_precision(args.precision, _CPU)
    print(f"{precision:28}{'px':>10}{'GFLOP':>8}{'OpenVINO, ms':>14}{'PyTorch, ms':>14}")
    for form, (config, patches) in FORMS.items():
        with ExitStack() as stack:
            for patched in patches.items():
                stack.enter_context(patch(*patched))
            network = untrained(config)
            gflop = {shape: sum(layer.flop for layer in layers(config, *shape)) / 1e9 for shape in args.sizes}
        for width, height in args.sizes:
            engines = [choose(network, _CPU, precision, choice) for choice in ("auto", "pytorch")]
            engines[0].compile(height, width)
            fast, slow = pair(*(Steps(engine, width, height, _CPU) for engine in engines), args.repeat)
            ms = f"{1e3 * fast:14.1f}{1e3 * slow:14.1f}"
            print(f"{form:28}{f'{width}x{height}':>10}{gflop[width, height]:8.2f}{ms}", flush=True)


if __name__ == "__main__":
    main()
