"""Convolutions in the forms that an NVIDIA GPU's tensor cores take best. For inference."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rehdr_ros.network.blocks import EncoderBlock

_ALIGNED = 8  # channels; for others cuDNN copies, or leaves the tensor cores


def for_tensor_cores(network: nn.Module) -> nn.Module:
    """Change a network in place, and return it: it computes the same, up to rounding."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, EncoderBlock):
                setattr(module, name, ShortEncoderBlock(child))
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Conv2d) and child.kernel_size != (1, 1) and _is_odd(child):
                setattr(module, name, AlignedConv(child))
    return network


class ShortEncoderBlock(nn.Module):
    """An EncoderBlock whose shortcut goes by one 4x4 convolution to half the size.

    down(y + shortcut(x)) = down(y) + (down after shortcut)(x): the shortcut is never written at full size.
    Its bias joins y, so that the borders stay as they are.
    """

    def __init__(self, block: EncoderBlock):
        super().__init__()
        self.conv1, self.conv2, self.down = block.conv1, block.conv2, block.down
        inner, outer = block.shortcut, block.down
        self.bias = nn.Parameter(inner.bias.detach().view(1, -1, 1, 1).clone(), False)
        weight = torch.einsum("ocyx,ci->oiyx", outer.weight.double(), inner.weight[:, :, 0, 0].double())
        self.shortcut = nn.Conv2d(
            inner.in_channels, outer.out_channels, outer.kernel_size, outer.stride, outer.padding, bias=False
        )
        self.shortcut.weight = nn.Parameter(weight.to(outer.weight), False)

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.conv1(x), 0.2)
        y = F.leaky_relu(self.conv2(y), 0.2) + self.bias
        return self.down(y) + self.shortcut(x)


class AlignedConv(nn.Conv2d):
    """A convolution of few channels, zeros added to make them a multiple of eight."""

    def __init__(self, conv: nn.Conv2d):
        more_in, more_out = -conv.in_channels % _ALIGNED, -conv.out_channels % _ALIGNED
        channels = conv.in_channels + more_in, conv.out_channels + more_out
        super().__init__(*channels, conv.kernel_size, conv.stride, conv.padding, bias=conv.bias is not None)
        self._more, self._kept = more_in, conv.out_channels
        self.weight = nn.Parameter(F.pad(conv.weight.detach(), (0, 0, 0, 0, 0, more_in, 0, more_out)), False)
        if conv.bias is not None:
            self.bias = nn.Parameter(F.pad(conv.bias.detach(), (0, more_out)), False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (0, 0, 0, 0, 0, self._more)))[:, : self._kept]


def _is_odd(conv: nn.Conv2d) -> bool:
    plain = conv.groups == 1 and conv.dilation == (1, 1)
    return plain and bool(conv.in_channels % _ALIGNED or conv.out_channels % _ALIGNED)
