"""REHDR's convolutions as the paper has them, at full resolution."""

import torch.nn.functional as F
from torch import Tensor, nn

from rehdr_ros.network.blocks import UPSAMPLING, ConvNorm, EncoderBlock, ResidualBlock
from rehdr_ros.network.contract import State
from rehdr_ros.network.fusion import FUSION
from rehdr_ros.network.recurrent import RECURRENT


class ImageEncoder(nn.Module):
    """One scale: encoder block, fusion with the event features, recurrent cell."""

    def __init__(self, inputs: int, outputs: int, config):
        super().__init__()
        self.block = EncoderBlock(inputs, outputs)
        self.fusion = FUSION[config.fusion](outputs, config.norm)
        self.recurrent = RECURRENT[config.recurrent](outputs)

    def forward(self, x: Tensor, events: Tensor, ldr: Tensor, state: State) -> tuple[Tensor, State]:
        return self.recurrent(self.fusion(self.block(x), events, ldr), state)


class FullResolution(nn.Module):
    """The published form, every scale recurrent. See BODIES of rehdr.py for what a body is."""

    def __init__(self, config, channels: int, outputs: int):
        super().__init__()
        self.multiple, self.halo = 2**config.scales, None
        widths = [config.base_channels * 2**i for i in range(config.scales + 1)]
        pairs = list(zip(widths, widths[1:], strict=False))
        self.image_head = ConvNorm(channels, widths[0], 3, config.norm)
        self.event_head = ConvNorm(config.bins, widths[0], 3, config.norm)
        self.event_encoders = nn.ModuleList(EncoderBlock(a, b) for a, b in pairs)
        self.image_encoders = nn.ModuleList(ImageEncoder(a, b, config) for a, b in pairs)
        blocks = (ResidualBlock(widths[-1], config.norm) for _ in range(config.residual_blocks))
        self.bottleneck = nn.Sequential(*blocks)
        upsample = UPSAMPLING[config.upsampling]
        self.decoders = nn.ModuleList(upsample(b, a, config.norm) for a, b in reversed(pairs))
        self.prediction = ConvNorm(widths[0], outputs, 3, config.norm)

    def initial_state(self, n: int, height: int, width: int) -> State:
        weight, state = self.image_head.conv.weight, {}
        for i, encoder in enumerate(self.image_encoders):
            like = weight.new_empty((n, encoder.recurrent.channels, height >> i + 1, width >> i + 1))
            state |= {f"{name}_{i}": x for name, x in encoder.recurrent.initial_state(like).items()}
        return state

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
        x = head = self.image_head(image)
        events = self.event_head(voxel)
        outputs, new_state = [], {}
        encoders = zip(self.event_encoders, self.image_encoders, strict=True)
        for i, (event_encoder, image_encoder) in enumerate(encoders):
            events = event_encoder(events)
            ldr = F.avg_pool2d(ldr, 2)
            cell = {name: state[f"{name}_{i}"] for name in image_encoder.recurrent.names}
            x, cell = image_encoder(x, events, ldr, cell)
            outputs.append(x)
            new_state.update({f"{name}_{i}": value for name, value in cell.items()})  # PyTorch 2.5: no |=
        x = self.bottleneck(x)
        for decoder, skip in zip(self.decoders, reversed(outputs), strict=True):
            x = decoder(x + skip)
        return self.prediction(x + head), new_state
