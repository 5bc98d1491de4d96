"""Training losses, all on display-like values: linear radiance would be ruled by its few brightest pixels."""

import math
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rehdr_ros.errors import InputError
from rehdr_ros.network.head_start.surroundings import BLOCK, local_mean
from rehdr_ros.network.integrator import luminance
from rehdr_ros.training.metrics import FLOOR, MU

PEAK = 32.0  # LDR whites that mu-law maps to 1
_LEAST_ERROR = 0.03  # nat
WITHIN = 0.683  # share of the errors within one sigma


def mu_law(x: Tensor) -> Tensor:
    """log(1 + 5000 x) / log(5001), the tone mapping of the paper's loss."""
    return torch.log1p(MU * x) / math.log1p(MU)


def everywhere_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """Mu-law L1 of linear radiance (N, 3, H, W), 1.0 = LDR white, as in the paper."""
    return (mu_law(predicted / PEAK) - mu_law(truth / PEAK)).abs().mean()


def clipped_sums(predicted: Tensor, ldr: Tensor, truth: Tensor, clipped: Tensor) -> tuple[Tensor, ...]:
    """What clipped_error needs of a frame: squared errors, ours and the LDR's, then of structure, (N,) each.

    predicted, ldr, truth: (N, 3, H, W) linear; clipped: (N, 1, H, W), 1 or 0.
    """
    true = log(truth)
    errors = log(predicted) - true, log(ldr) - true
    structures = (local_structure(error.mean(1, keepdim=True), clipped) for error in errors)
    return tuple((x**2 * clipped).sum((1, 2, 3)) / x.shape[1] for x in (*errors, *structures))


def clipped_error(sums: Sequence[tuple[Tensor, ...]], pixels: int) -> Tensor:
    """The error in clipped pixels along sequences, as a share of what the plain LDR has there, their mean.

    A share, so that a scene whose clipped pixels lie just above white counts like one with lamps, and harm
    against the LDR is seen as such: a sequence that is worse than its LDR counts double from there on. Two
    shares: of the log error of each channel, and of its local structure, the error less its mean over the
    clipped pixels around, which no constant lift can lower. sums: by frame; pixels: of a frame.
    """
    ours, ldr, structure, flat = (torch.stack(x).sum(0) for x in zip(*sums, strict=True))
    # What is far below a quantisation step's worth of error is as good as none.
    least = _LEAST_ERROR**2 * 0.02 * pixels * len(sums)
    shares = [((a + least) / (b + least)).sqrt() for a, b in ((ours, ldr), (structure, flat))]
    return sum((share + (share - 1).clamp_min(0)).mean() for share in shares)


def local_structure(error: Tensor, clipped: Tensor) -> Tensor:
    """(N, 1, H, W) less its mean over the clipped pixels of about 28x28 around."""
    return error if min(error.shape[-2:]) < BLOCK else error - local_mean(error, clipped)


def uncertainty_loss(sigma: Tensor, predicted: Tensor, truth: Tensor, clipped: Tensor) -> Tensor:
    """Pinball loss: sigma (N, 1, H, W), nat, becomes the 68 % quantile of clipped log luminance errors.

    A quantile, since the errors' tails are heavier than a Gaussian's, whose likelihood few pixels would rule;
    of logarithms, to be sharp for small errors too (Koenker and Bassett 1978). No gradient for the radiance.
    """
    error = (log(luminance(predicted)) - log(luminance(truth))).detach().abs()
    excess = (error + 1e-3).log() - sigma.log()
    return _mean_clipped(torch.maximum(WITHIN * excess, (WITHIN - 1) * excess), clipped)


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
    """The paper's perceptual term: MSE of VGG16's features (relu1_2, 2_2, 3_3, 4_3) and their Gram matrices.

    Of mu-law images. path: torchvision's VGG16 checkpoint (.pth, whose code isn't run). Raises InputError.
    """

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
            pairs = [(f"{a}.{k}", f"{b}.{k}") for a, b in names.items() for k in ("weight", "bias")]
            self.blocks.load_state_dict({ours: stored[theirs] for theirs, ours in pairs})
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
