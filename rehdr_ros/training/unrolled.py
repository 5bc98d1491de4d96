"""The network along a sequence: what one training step differentiates, and what an evaluation runs."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from rehdr_ros.network import Network, Stream
from rehdr_ros.network.contract import Estimate, State
from rehdr_ros.network.integrator import CLIPPED
from rehdr_ros.reconstruction.dead_time import corrected
from rehdr_ros.reconstruction.voxel_input import normalised
from rehdr_ros.training.losses import (
    PEAK,
    clipped_error,
    clipped_sums,
    everywhere_loss,
    temporal_loss,
    uncertainty_loss,
)
from rehdr_ros.training.sequence import Sequence

_EVERYWHERE = 10.0


def unroll(
    network: Network, sequence: Sequence, step: Callable[..., tuple[Estimate, State]] | None = None
) -> Iterator[Estimate]:
    """Of frame after frame of a batch (N, T, ...), radiance 1.0 = the frame's white; the state is carried.

    A "relative" network's 0..1 stand for 0..32 whites. In training events stay as they are, without what
    their pixels missed: it has sensors of all kinds. step: in place of the network's, but for the first
    frame, whose state no gradient reaches.
    """
    count, frames, _, height, width = sequence.ldr.shape
    state = network.initial_state(count, height, width)
    for k in range(frames):
        voxel, gain = sequence.voxel[:, k], sequence.gain[:, k]
        if network.config.voxel == "quantile":
            voxel = torch.stack([normalised(v) for v in voxel])
        take = network.step
        seconds = sequence.seconds[:, k]
        if k:
            state, take = network.rescale(state, gain), step or take
        if k and not network.training:
            voxel = corrected(voxel, seconds, sequence.dead_time, network.event_fit(state))
        stream = Stream(seconds=seconds)
        estimate, state = take(sequence.ldr[:, k], voxel, state, stream)
        if network.config.radiance == "relative":
            estimate = estimate._replace(radiance=estimate.radiance * PEAK)
        yield estimate


def radiances(network: Network, sequence: Sequence) -> Tensor:
    """(N, T, 3, H, W)."""
    return torch.stack([estimate.radiance for estimate in unroll(network, sequence)], 1)


class Unrolled(nn.Module):
    """The mean loss of a batch over its frames, backpropagated through all of them.

    temporal, uncertainty, perceptual: weights of those losses; vgg: for the latter. compiled: by
    torch.compile, a frame's step and its losses, which a batch of one shape then has ready.
    """

    def __init__(
        self,
        network: Network,
        temporal: float,
        uncertainty: float,
        perceptual: float = 0.0,
        vgg: nn.Module | None = None,
        compiled: bool = False,
    ):
        super().__init__()
        self.network = network
        self._temporal, self._uncertainty, self._perceptual = temporal, uncertainty, perceptual
        self._vgg = (vgg,)  # hidden from parameters(): it isn't trained
        parts = network.step, self._frame_losses
        self._parts = [torch.compile(x, fullgraph=True, dynamic=False) for x in parts] if compiled else parts

    def forward(self, sequence: Sequence) -> Tensor:
        step, losses = self._parts
        total, previous, errors = sequence.ldr.new_zeros(()), None, []
        for k, estimate in enumerate(unroll(self.network, sequence, step)):
            truth, ldr = sequence.truth[:, k], sequence.ldr[:, k]
            loss, sums, previous = (losses if k else self._frame_losses)(estimate, ldr, truth, previous)
            errors.append(sums)
            total = total + loss
            if self._perceptual:
                total = total + self._perceptual * self._vgg[0](estimate.radiance, truth)
        return total / len(errors) + clipped_error(errors, ldr[0, 0].numel())

    def _frame_losses(
        self, estimate: Estimate, ldr: Tensor, truth: Tensor, previous: tuple[Tensor, ...] | None
    ) -> tuple[Tensor, tuple[Tensor, ...], tuple[Tensor, ...]]:
        """A frame's loss, its clipped_sums, and what the next one needs of it as `previous`."""
        radiance, sigma = estimate.radiance, estimate.sigma
        clipped = (ldr.amax(1, keepdim=True) >= CLIPPED).float()
        loss = _EVERYWHERE * everywhere_loss(radiance, truth)
        if self._uncertainty and sigma is not None:
            loss = loss + self._uncertainty * uncertainty_loss(sigma, radiance, truth, clipped)
        if self._temporal and previous is not None:
            predicted, true, both = zip(previous, (radiance, truth, clipped), strict=True)
            loss = loss + self._temporal * temporal_loss(predicted, true, both[0] * both[1])
        return loss, clipped_sums(radiance, ldr, truth, clipped), (radiance, truth, clipped)
