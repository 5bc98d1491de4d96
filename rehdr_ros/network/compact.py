"""REHDR in a form that CPUs run well: half resolution inside, separable convolutions, time-aware cells.

The paper's parts stay: an encoder for each modality, attention that chooses between them per pixel,
recurrence in the encoder, a decoder with skips, one pass. Pixel unshuffle (Shi et al. 2016) halves the
resolution without loss; blocks are depthwise and pointwise convolutions (ConvNeXt, Liu et al. 2022).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rehdr_ros.network.contract import State
from rehdr_ros.network.head_start.reference import CONDITIONS

_NEAR = 2  # blocks of `multiple` px around those that are needed, in which cells are updated


class Halving(nn.Conv2d):
    """Pixel unshuffle and a 1x1 convolution of its channels, as the strided 2x2 convolution that they are."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(4 * inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight.view(self.out_channels, -1, 2, 2), self.bias, 2)


class Block(nn.Module):
    """x + pointwise(relu(pointwise(depthwise 5x5(x))))."""

    def __init__(self, channels: int):
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.widen = nn.Conv2d(channels, 2 * channels, 1)
        self.narrow = nn.Conv2d(2 * channels, channels, 1)
        with torch.no_grad():  # nearly the identity: deep stacks train at once
            self.narrow.weight *= 0.3
            self.narrow.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.narrow(F.relu(self.widen(self.depthwise(x))))


class TimeAwareGru(nn.Module):
    """A gated recurrent cell whose state decays with the time since the last frame (GRU-D, Che et al. 2018).

    Where `near` is 0 it only decays. The state stays float32 whatever the precision: it lives as long as the
    stream.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.channels = channels
        self.depthwise = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.gates = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.candidate = nn.Conv2d(2 * channels, channels, 1)
        self.rate = nn.Parameter(torch.full((1, channels, 1, 1), -1.0))  # of the decay, softplus, 1/s

    def decayed(self, hidden: Tensor, seconds: Tensor) -> Tensor:
        return hidden * torch.exp(-F.softplus(self.rate.float()) * seconds)

    def forward(self, x: Tensor, hidden: Tensor, seconds: Tensor, near: Tensor) -> Tensor:
        hidden = self.decayed(hidden, seconds)
        y = self.depthwise(torch.cat((x, hidden.to(x.dtype)), 1))
        update, reset = torch.sigmoid(self.gates(y)).chunk(2, 1)
        new, old = y.chunk(2, 1)
        candidate = torch.tanh(self.candidate(torch.cat((new, reset * old), 1)))
        return hidden + near * update * (candidate - hidden)


class Attention(nn.Module):
    """Which modality to take, per pixel and channel; the image's share is the dynamic range mask."""

    def __init__(self, channels: int):
        super().__init__()
        self.share = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, image: Tensor, events: Tensor) -> Tensor:
        share = torch.sigmoid(self.share(torch.cat((image, events), 1)))
        return events + share * (image - events)


class Compact(nn.Module):
    """Widths base, 2 base, 4 base at a half, a quarter, an eighth; cells at the latter two. See BODIES.

    Cells remember what lies near clipped pixels alone, so that frames, and parts of them, without any need
    not be computed.
    """

    multiple, halo = 8, 32

    def __init__(self, config, channels: int, outputs: int):
        super().__init__()
        half, quarter, eighth = (config.base_channels * n for n in (1, 2, 4))
        self.image_head = Halving(channels, half)
        self.event_head = Halving(config.bins, half)
        self.condition = nn.Linear(CONDITIONS, half)
        self.image_block, self.event_block = Block(half), Block(half)
        self.attention = Attention(half)
        self.down = nn.ModuleList((nn.Conv2d(half, quarter, 2, 2), nn.Conv2d(quarter, eighth, 2, 2)))
        self.cells = nn.ModuleList((TimeAwareGru(quarter), TimeAwareGru(eighth)))
        self.encoder = nn.Sequential(*(Block(quarter) for _ in range(config.residual_blocks)))
        self.bottleneck = nn.Sequential(*(Block(eighth) for _ in range(config.residual_blocks + 1)))
        self.up = nn.ModuleList((nn.Conv2d(eighth, 4 * quarter, 1), nn.Conv2d(quarter, 4 * half, 1)))
        self.decoders = nn.ModuleList((Block(quarter), Block(half)))
        self.prediction = nn.Conv2d(half, 4 * outputs, 1)

    def initial_state(self, n: int, height: int, width: int) -> State:
        like = self.prediction.weight
        shapes = [(n, cell.channels, height >> i, width >> i) for i, cell in enumerate(self.cells, 2)]
        return {f"hidden_{i}": like.new_zeros(shape, dtype=torch.float32) for i, shape in enumerate(shapes)}

    def idle(self, state: State, seconds: Tensor) -> State:
        return {name: c.decayed(x, seconds) for (name, x), c in zip(state.items(), self.cells, strict=True)}

    def forward(
        self,
        image: Tensor,
        ldr: Tensor,
        voxel: Tensor,
        condition: Tensor,
        seconds: Tensor,
        needed: Tensor,
        state: State,
    ) -> tuple[Tensor, State]:
        near = F.max_pool2d(needed, 2 * _NEAR + 1, 1, _NEAR)
        bias = self.condition(condition)[..., None, None]
        x = self.image_block(F.relu(self.image_head(image) + bias))
        events = self.event_block(F.relu(self.event_head(voxel) + bias))
        half = self.attention(x, events)
        x = self.down[0](half)
        first = self.cells[0](x, state["hidden_0"], seconds, F.interpolate(near, scale_factor=2.0))
        quarter = self.encoder(x + first.to(x.dtype))
        x = self.down[1](quarter)
        second = self.cells[1](x, state["hidden_1"], seconds, near)
        x = self.bottleneck(x + second.to(x.dtype))
        x = self.decoders[0](quarter + F.pixel_shuffle(self.up[0](x), 2))
        x = self.decoders[1](half + F.pixel_shuffle(self.up[1](x), 2))
        return F.pixel_shuffle(self.prediction(x), 2), {"hidden_0": first, "hidden_1": second}
