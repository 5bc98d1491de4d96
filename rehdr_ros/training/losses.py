"""Training losses, all on display-like values: linear radiance would be ruled by its few brightest pixels."""

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rehdr_ros.errors import InputError
from rehdr_ros.training.metrics import FLOOR, MU

PEAK = 32.0  # LDR whites that mu-law maps to 1


def mu_law(x: Tensor) -> Tensor:
    """log(1 + 5000 x) / log(5001), the tone mapping of the paper's loss."""
    return torch.log1p(MU * x) / math.log1p(MU)


def radiance_loss(predicted: Tensor, truth: Tensor, clipped: Tensor) -> Tensor:
    """Mu-law L1 everywhere, as in the paper, plus the log error of clipped pixels (N, 1, H, W).

    predicted, truth: (N, 3, H, W) linear, 1.0 = LDR white. Each sequence weighs the same.
    """
    everywhere = (mu_law(predicted / PEAK) - mu_law(truth / PEAK)).abs().mean()
    error = log(predicted) - log(truth)
    return 10 * everywhere + _mean_clipped(error.abs() + 0.5 * error**2, clipped)


def temporal_loss(predicted: tuple[Tensor, Tensor], truth: tuple[Tensor, Tensor], clipped: Tensor) -> Tensor:
    """Flicker: the error of the log change between two frames, where both clip (N, 1, H, W)."""
    change, true_change = (log(x[1]) - log(x[0]) for x in (predicted, truth))
    return _mean_clipped((change - true_change).abs(), clipped)


def log(radiance: Tensor) -> Tensor:
    """Natural log with the floor of the measures."""
    return radiance.clamp_min(FLOOR).log()


def _mean_clipped(error: Tensor, clipped: Tensor) -> Tensor:
    # Frames with few clipped pixels get a share as if 2 % were.
    count = clipped.sum((1, 2, 3)).clamp_min(0.02 * clipped[0].numel()) * error.shape[1]
    return ((error * clipped).sum((1, 2, 3)) / count).mean()


class PerceptualLoss(nn.Module):
    """The paper's perceptual term: MSE of VGG16's features (relu1_2, 2_2, 3_3, 4_3) and of their Gram matrices, of
    mu-law images. path: torchvision's VGG16 checkpoint (.pth, read without running its code). Raises InputError."""

    _WIDTHS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512))

    def __init__(self, path: str | Path):
        super().__init__()
        self.blocks, inputs, number, names = nn.ModuleList(), 3, 0, {}
        for i, widths in enumerate(self._WIDTHS):
            layers: list[nn.Module] = [nn.MaxPool2d(2)] if i else []
            number += bool(i)
            for width in widths:
                names[f"features.{number}"] = f"{i}.{len(layers)}"
                layers += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
                inputs, number = width, number + 2
            self.blocks.append(nn.Sequential(*layers))
        try:
            stored = torch.load(path, map_location="cpu", weights_only=True)
            state = {f"{ours}.{k}": stored[f"{name}.{k}"] for name, ours in names.items() for k in ("weight", "bias")}
            self.blocks.load_state_dict(state)
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise InputError(f"vgg {path}: not torchvision's VGG16 weights ({reason})") from error
        self.requires_grad_(False)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))

    def forward(self, predicted: Tensor, truth: Tensor) -> Tensor:
        """(N, 3, H, W) linear, 1.0 = LDR white."""
        a, b = ((mu_law((x / PEAK).clamp(0, 1)) - self.mean) / self.std for x in (predicted, truth))
        total = predicted.new_zeros(())
        for block in self.blocks:
            a, b = block(a), block(b)
            total = total + F.mse_loss(a, b) + F.mse_loss(_gram(a), _gram(b))
        return total


def _gram(x: Tensor) -> Tensor:
    flat = x.flatten(2)
    return flat @ flat.transpose(1, 2) / flat[0].numel()
