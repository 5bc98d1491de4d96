"""Convolutional building blocks of REHDR."""

import torch.nn.functional as F
from torch import Tensor, nn

from rehdr_ros.errors import InputError


def make_norm(kind: str, channels: int) -> nn.Module:
    """Normalisation layer `kind`: none, batch, instance (running statistics, as published) or group."""
    match kind:
        case "none":
            return nn.Identity()
        case "batch":
            return nn.BatchNorm2d(channels)
        case "instance":
            return nn.InstanceNorm2d(channels, track_running_stats=True)
        case "group":
            return nn.GroupNorm(max(1, channels // 8), channels)
    raise InputError(f"unknown norm {kind!r}: use none, batch, instance or group")


class ConvNorm(nn.Module):
    """Convolution that keeps the size, then normalisation; batch norm replaces the bias."""

    def __init__(self, inputs: int, outputs: int, kernel: int, norm: str = "none"):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=norm != "batch")
        self.norm = make_norm(norm, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class EncoderBlock(nn.Module):
    """Two 3x3 convolutions beside a 1x1 shortcut, then a 4x4 convolution to half the size."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.shortcut = nn.Conv2d(inputs, outputs, 1)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.down = nn.Conv2d(outputs, outputs, 4, stride=2, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.conv1(x), 0.2)
        y = F.leaky_relu(self.conv2(y), 0.2)
        return self.down(y + self.shortcut(x))


class ResidualBlock(nn.Module):
    """relu(x + conv(relu(conv(x))))."""

    def __init__(self, channels: int, norm: str = "none"):
        super().__init__()
        bias = norm != "batch"
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=bias)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=bias)
        # Published: instance norm keeps no running statistics inside residual blocks.
        make = nn.InstanceNorm2d if norm == "instance" else lambda c: make_norm(norm, c)
        self.norm1 = make(channels)
        self.norm2 = make(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(x + self.norm2(self.conv2(y)))


class TransposedUpsample(nn.Module):
    """5x5 transposed convolution to twice the size, then a residual block."""

    def __init__(self, inputs: int, outputs: int, norm: str):
        super().__init__()
        bias = norm != "batch"
        self.up = nn.ConvTranspose2d(inputs, outputs, 5, stride=2, padding=2, output_padding=1, bias=bias)
        self.residual = ResidualBlock(outputs)
        self.norm = make_norm(norm, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.residual(self.up(x)))


class BilinearUpsample(nn.Module):
    """Bilinear enlargement to twice the size, then a 5x5 convolution: no checkerboard, but slower."""

    def __init__(self, inputs: int, outputs: int, norm: str):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 5, padding=2, bias=norm != "batch")
        self.norm = make_norm(norm, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return F.relu(self.norm(self.conv(x)))


UPSAMPLING = {"transposed": TransposedUpsample, "bilinear": BilinearUpsample}
