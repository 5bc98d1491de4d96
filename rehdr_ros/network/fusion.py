"""AFMF: fusion of image and event features, guided by a dynamic range mask."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rehdr_ros.network.blocks import make_norm


class DynamicRangeMask(nn.Module):
    """Supervised attention: the reduced LDR frame says which image features to trust."""

    def __init__(self, channels: int):
        super().__init__()
        self.features = nn.Conv2d(channels, channels, 3, padding=1)
        self.image = nn.Conv2d(channels, 3, 3, padding=1)
        self.gate = nn.Conv2d(3, channels, 3, padding=1)

    def forward(self, x: Tensor, ldr: Tensor) -> Tensor:
        return self.features(x) * torch.sigmoid(self.gate(self.image(x) + ldr)) + x


class ChannelAttention(nn.Module):
    """Squeeze-and-excitation (Hu et al. 2018), reduction 16."""

    def __init__(self, channels: int):
        super().__init__()
        reduced = max(1, channels // 16)
        self.squeeze = nn.Conv2d(channels, reduced, 1)
        self.excite = nn.Conv2d(reduced, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.squeeze(x.mean((2, 3), keepdim=True)))
        return x * torch.sigmoid(self.excite(y))


class Fusion(nn.Module):
    """What both forms share: masked image features, a joint descriptor, attention weights, a weighted sum.

    Inputs: image and event features (N, C, H, W) and the LDR frame at that size (N, 3, H, W).
    """

    def __init__(self, channels: int, norm: str):
        super().__init__()
        self.mask = DynamicRangeMask(channels)
        self.joint = nn.Conv2d(2 * channels, channels, 3, padding=1, bias=norm == "none")
        self.joint_norm = make_norm(norm, channels)
        self.mix = nn.Conv2d(channels, channels, 1)
        self.attention = ChannelAttention(channels)
        self.output_norm = make_norm(norm, channels)

    def forward(self, image: Tensor, events: Tensor, ldr: Tensor) -> Tensor:
        image = self.mask(image, ldr) * image
        joint = F.relu(self.joint_norm(self.joint(torch.cat((image, events), 1))))
        image_weight, event_weight = self.weights(joint.mean((2, 3), keepdim=True))
        mixed = self.mix(image * image_weight + events * event_weight)
        return self.output_norm(self.project(self.attention(mixed)))


class PublishedFusion(Fusion):
    """The fusion of the authors' code, for their checkpoints.

    One projection serves both modalities and the softmax runs over both copies of its output, so both
    weights are always equal: it can't choose a modality. Batch norm stays whatever the configured norm.
    """

    def __init__(self, channels: int, norm: str = "batch"):
        super().__init__(channels, "batch")
        self.projection = nn.Conv2d(channels, channels, 1, bias=False)

    def weights(self, joint: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.projection(joint)
        both = torch.softmax(torch.cat((logits, logits), 1), 1)
        return both.chunk(2, 1)

    def project(self, x: Tensor) -> Tensor:
        return self.projection(x)


class ModalityFusion(Fusion):
    """The fusion that the paper describes: a projection per modality, softmax across the two, per channel."""

    def __init__(self, channels: int, norm: str = "none"):
        super().__init__(channels, norm)
        self.image_projection = nn.Conv2d(channels, channels, 1)
        self.event_projection = nn.Conv2d(channels, channels, 1)
        self.output = nn.Conv2d(channels, channels, 1, bias=norm == "none")

    def weights(self, joint: Tensor) -> tuple[Tensor, Tensor]:
        # A softmax over two values is a sigmoid of their difference.
        image = torch.sigmoid(self.image_projection(joint) - self.event_projection(joint))
        return image, 1 - image

    def project(self, x: Tensor) -> Tensor:
        return self.output(x)


FUSION = {"modality": ModalityFusion, "published": PublishedFusion}
