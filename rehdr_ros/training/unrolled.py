"""The network along a sequence: what one training step differentiates, and what an evaluation runs."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from rehdr_ros.errors import InputError
from rehdr_ros.network import Rehdr
from rehdr_ros.network.integrator import CLIPPED
from rehdr_ros.reconstruction.voxel_input import normalised
from rehdr_ros.training.losses import PEAK, radiance_loss, temporal_loss
from rehdr_ros.training.sequence import Sequence


def unroll(network: Rehdr, sequence: Sequence) -> Iterator[Tensor]:
    """Radiance (N, 3, H, W) of frame after frame of a batch (N, T, ...), 1.0 = the frame's white; the state is carried.

    A "relative" network's 0..1 stand for 0..32 whites. Raises InputError for one that takes "log_intensity".
    """
    units, state = network.config.voxel, None
    if units == "log_intensity":
        raise InputError("networks that take voxel='log_intensity' run in the pipeline, not in a training")
    scale = PEAK if network.config.radiance == "relative" else 1.0
    for k in range(sequence.ldr.shape[1]):
        voxel, gain = sequence.voxel[:, k], sequence.gain[:, k]
        if units == "quantile":
            voxel = torch.stack([normalised(v) for v in voxel])
        if state is not None:
            state = network.rescale_state(state, gain)
        radiance, state = network(sequence.ldr[:, k], voxel, state)
        yield radiance * scale


class Unrolled(nn.Module):
    """The mean loss of a batch over its frames, backpropagated through all of them.

    temporal, perceptual: weights of those losses; vgg: for the latter.
    """

    def __init__(self, network: Rehdr, temporal: float, perceptual: float = 0.0, vgg: nn.Module | None = None):
        super().__init__()
        self.network, self._temporal, self._perceptual = network, temporal, perceptual
        self._vgg = (vgg,)  # hidden from parameters(): it isn't trained

    def forward(self, sequence: Sequence) -> Tensor:
        total, previous = sequence.ldr.new_zeros(()), None
        for k, radiance in enumerate(unroll(self.network, sequence)):
            truth = sequence.truth[:, k]
            clipped = (sequence.ldr[:, k].amax(1, keepdim=True) >= CLIPPED).float()
            total = total + radiance_loss(radiance, truth, clipped)
            if self._temporal and previous:
                predicted, true, both = zip(previous, (radiance, truth, clipped), strict=True)
                total = total + self._temporal * temporal_loss(predicted, true, both[0] * both[1])
            if self._perceptual:
                total = total + self._perceptual * self._vgg[0](radiance, truth)
            previous = radiance, truth, clipped
        return total / sequence.ldr.shape[1]
