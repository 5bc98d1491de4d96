"""The network along a sequence: what one training step differentiates, and what an evaluation runs."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from rehdr_ros.network import Network, Stream
from rehdr_ros.network.contract import Estimate
from rehdr_ros.network.integrator import CLIPPED
from rehdr_ros.reconstruction.voxel_input import normalised
from rehdr_ros.training.losses import PEAK, ClippedError, everywhere_loss, temporal_loss, uncertainty_loss
from rehdr_ros.training.sequence import Sequence

_EVERYWHERE = 10.0


def unroll(network: Network, sequence: Sequence) -> Iterator[Estimate]:
    """Of frame after frame of a batch (N, T, ...), radiance 1.0 = the frame's white; the state is carried.

    A "relative" network's 0..1 stand for 0..32 whites.
    """
    state = None
    for k in range(sequence.ldr.shape[1]):
        voxel, gain = sequence.voxel[:, k], sequence.gain[:, k]
        if network.config.voxel == "quantile":
            voxel = torch.stack([normalised(v) for v in voxel])
        if state is not None:
            state = network.rescale(state, gain)
        stream = Stream(seconds=sequence.seconds[:, k])
        estimate, state = network.step(sequence.ldr[:, k], voxel, state, stream)
        if network.config.radiance == "relative":
            estimate = estimate._replace(radiance=estimate.radiance * PEAK)
        yield estimate


def radiances(network: Network, sequence: Sequence) -> Tensor:
    """(N, T, 3, H, W)."""
    return torch.stack([estimate.radiance for estimate in unroll(network, sequence)], 1)


class Unrolled(nn.Module):
    """The mean loss of a batch over its frames, backpropagated through all of them.

    temporal, uncertainty, perceptual: weights of those losses; vgg: for the latter.
    """

    def __init__(
        self,
        network: Network,
        temporal: float,
        uncertainty: float,
        perceptual: float = 0.0,
        vgg: nn.Module | None = None,
    ):
        super().__init__()
        self.network = network
        self._temporal, self._uncertainty, self._perceptual = temporal, uncertainty, perceptual
        self._vgg = (vgg,)  # hidden from parameters(): it isn't trained

    def forward(self, sequence: Sequence) -> Tensor:
        total, previous, error = sequence.ldr.new_zeros(()), None, ClippedError()
        for k, estimate in enumerate(unroll(self.network, sequence)):
            radiance, truth, ldr = estimate.radiance, sequence.truth[:, k], sequence.ldr[:, k]
            clipped = (ldr.amax(1, keepdim=True) >= CLIPPED).float()
            error.add(radiance, ldr, truth, clipped)
            total = total + _EVERYWHERE * everywhere_loss(radiance, truth)
            if self._uncertainty and estimate.sigma is not None:
                total = total + self._uncertainty * uncertainty_loss(estimate.sigma, radiance, truth, clipped)
            if self._temporal and previous:
                predicted, true, both = zip(previous, (radiance, truth, clipped), strict=True)
                total = total + self._temporal * temporal_loss(predicted, true, both[0] * both[1])
            if self._perceptual:
                total = total + self._perceptual * self._vgg[0](radiance, truth)
            previous = radiance, truth, clipped
        return total / sequence.ldr.shape[1] + error.loss()
