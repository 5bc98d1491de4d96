"""REHDR: recurrent event-guided HDR video reconstruction (Guo et al.), one frame a call."""

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rehdr_ros.errors import InputError
from rehdr_ros.network.blocks import UPSAMPLING, ConvNorm, EncoderBlock, ResidualBlock
from rehdr_ros.network.fusion import FUSION
from rehdr_ros.network.head_start import HEAD_STARTS, advance, initial_state, rescale
from rehdr_ros.network.integrator import CLIPPED, luminance
from rehdr_ros.network.recurrent import RECURRENT

State = tuple  # one tuple of tensors per scale, then, for radiance "ldr_white", a HeadStart


@dataclass(frozen=True)
class RehdrConfig:
    """Everything that decides a network's shape; stored inside its checkpoint.

    radiance says what the output means: "ldr_white", 1.0 = the LDR's white, the LDR itself where it is
    exposed and a prediction where it is clipped; or "relative", a sigmoid in 0..1 as published. head_start, of the
    former: "filled" (head_start.py), "integrated", the events alone, or "none", the frame. voxel says in which
    units it takes the grid: "counts", signed events; "quantile", divided by a high quantile of their magnitudes, in
    -1..1; "log_intensity", events times the contrast threshold. One that gives "ldr_white" estimates the threshold
    itself and takes counts; for "relative" the default is "quantile", since published networks were trained on -1..1.
    """

    base_channels: int = 32
    scales: int = 3
    bins: int = 5
    residual_blocks: int = 2
    norm: str = "none"
    recurrent: str = "convlstm"
    upsampling: str = "transposed"
    fusion: str = "modality"
    radiance: str = "ldr_white"
    head_start: str = "filled"
    voxel: str | None = None

    def __post_init__(self):
        if self.voxel is None:
            object.__setattr__(self, "voxel", "counts" if self.radiance == "ldr_white" else "quantile")
        choices = {
            "norm": ("none", "batch", "instance", "group"),
            "recurrent": tuple(RECURRENT),
            "upsampling": tuple(UPSAMPLING),
            "fusion": tuple(FUSION),
            "radiance": ("ldr_white", "relative"),
            "head_start": HEAD_STARTS,
            "voxel": ("counts", "quantile", "log_intensity"),
        }
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in choices and value not in choices[field.name]:
                raise InputError(f"{field.name}={value!r}: use one of {', '.join(choices[field.name])}")
            if field.name not in choices and (not isinstance(value, int) or value < 1):
                raise InputError(f"{field.name}={value!r}: must be a positive integer")
        if self.radiance == "ldr_white" and self.voxel != "counts":
            raise InputError(f"voxel={self.voxel!r} goes with radiance='relative': 'ldr_white' takes counts")


class ImageEncoder(nn.Module):
    """One scale: encoder block, fusion with the event features, recurrent cell."""

    def __init__(self, inputs: int, outputs: int, config: RehdrConfig):
        super().__init__()
        self.block = EncoderBlock(inputs, outputs)
        self.fusion = FUSION[config.fusion](outputs, config.norm)
        self.recurrent = RECURRENT[config.recurrent](outputs)

    def forward(self, x: Tensor, events: Tensor, ldr: Tensor, state) -> tuple[Tensor, tuple]:
        x = self.fusion(self.block(x), events, ldr)
        return self.recurrent(x, self.recurrent.initial_state(x) if state is None else state)


class Rehdr(nn.Module):
    """The network. `forward(ldr, voxel, state)` takes one frame and carries the state.

    ldr: (N, 3, H, W) linear RGB, 1.0 = white. voxel: (N, bins, H, W), signed event counts of the interval
    that ends with this frame. state: None at the start of a stream, else what the last call returned.
    clipped_from: linear value from which a channel counts as clipped; 250/255 of full scale through a response of 2.2.
    Returns radiance (N, 3, H, W) float32 and the new state. Any H and W: both inputs are padded by
    reflection to a multiple of 2**scales and the output is cropped. The convolutions run in the precision of the
    parameters (or of autocast); the integrator and the output stay float32.
    """

    def __init__(self, config: RehdrConfig | None = None):
        super().__init__()
        self.config = config = config or RehdrConfig()
        widths = [config.base_channels * 2**i for i in range(config.scales + 1)]
        pairs = list(zip(widths, widths[1:], strict=False))
        # The head start's three colours, the bare integration, trust, recency, and how far each pixel is clipped.
        image_channels = 10 if config.radiance == "ldr_white" else 3
        self.image_head = ConvNorm(image_channels, widths[0], 3, config.norm)
        self.event_head = ConvNorm(config.bins, widths[0], 3, config.norm)
        self.event_encoders = nn.ModuleList(EncoderBlock(a, b) for a, b in pairs)
        self.image_encoders = nn.ModuleList(ImageEncoder(a, b, config) for a, b in pairs)
        self.bottleneck = nn.Sequential(
            *(ResidualBlock(widths[-1], config.norm) for _ in range(config.residual_blocks))
        )
        self.decoders = nn.ModuleList(UPSAMPLING[config.upsampling](b, a, config.norm) for a, b in reversed(pairs))
        self.prediction = ConvNorm(widths[0], 3, 3, config.norm)
        if config.radiance == "ldr_white":
            # An untrained network then returns the head start.
            for parameter in self.prediction.parameters():
                nn.init.zeros_(parameter)

    def forward(
        self, ldr: Tensor, voxel: Tensor, state: State | None = None, clipped_from: float = CLIPPED
    ) -> tuple[Tensor, State]:
        self._check(ldr, voxel)
        height, width = ldr.shape[-2:]
        ldr, voxel = (pad_to_multiple(x, 2**self.config.scales) for x in (ldr, voxel))
        if self.config.radiance == "relative":
            features, state = self._features(ldr, ldr, voxel, state)
            radiance = torch.sigmoid(features.float())
        else:
            radiance, state = self._radiance(ldr, voxel, state, clipped_from)
        return radiance[..., :height, :width], state

    def rescale_state(self, state: State, gain: float | Tensor) -> State:
        """The state for a camera whose exposure has just changed by `gain`, (N,) or one."""
        if self.config.radiance == "relative":
            return state
        return (*state[:-1], rescale(state[-1], gain))

    def _radiance(self, ldr: Tensor, voxel: Tensor, state: State | None, clipped_from: float) -> tuple[Tensor, State]:
        *scales, head_start = state or (*[None] * self.config.scales, initial_state(ldr))
        head_start, threshold = advance(ldr, voxel, head_start, clipped_from, self.config.head_start)
        clipped = clip_mask(ldr, clipped_from)
        encoded = ldr.clamp_min(1e-4) ** (1 / 2.2)
        bare = head_start.integrator.log_luminance - luminance(head_start.log_radiance)
        image = torch.cat(
            (
                encoded,
                0.3 * head_start.log_radiance,
                0.3 * bare,
                head_start.trust,
                head_start.integrator.recency,
                clipped.amax(1, keepdim=True),
            ),
            1,
        )
        # In log-intensity units the grid looks alike for every contrast threshold, and no hot pixel rules it.
        voxel = (voxel * threshold).clamp(-3, 3)
        features, scales = self._features(image, encoded, voxel, scales)
        log_radiance = (head_start.log_radiance + 2 * features.float()).clamp(-12, 12)
        predicted = torch.maximum(log_radiance.exp(), ldr)
        return ldr + clipped * (predicted - ldr), (*scales, head_start)

    def _features(self, image: Tensor, ldr: Tensor, voxel: Tensor, state) -> tuple[Tensor, State]:
        dtype = self.image_head.conv.weight.dtype
        image, ldr, voxel = image.to(dtype), ldr.to(dtype), voxel.to(dtype)
        x = head = self.image_head(image)
        events = self.event_head(voxel)
        outputs, new_state = [], []
        for i, (event_encoder, image_encoder) in enumerate(zip(self.event_encoders, self.image_encoders, strict=True)):
            events = event_encoder(events)
            ldr = F.avg_pool2d(ldr, 2)
            x, scale_state = image_encoder(x, events, ldr, None if state is None else state[i])
            outputs.append(x)
            new_state.append(scale_state)
        x = self.bottleneck(x)
        for decoder, skip in zip(self.decoders, reversed(outputs), strict=True):
            x = decoder(x + skip)
        return self.prediction(x + head), tuple(new_state)

    def _check(self, ldr: Tensor, voxel: Tensor) -> None:
        expected = (ldr.shape[0], self.config.bins, *ldr.shape[2:])
        if ldr.ndim != 4 or ldr.shape[1] != 3 or tuple(voxel.shape) != expected:
            raise ValueError(
                f"network expects ldr (N,3,H,W) and voxel (N,{self.config.bins},H,W), "
                f"got {tuple(ldr.shape)} and {tuple(voxel.shape)}"
            )


def clip_mask(ldr: Tensor, clipped_from: float) -> Tensor:
    """Soft mask, per channel: 0 up to clipped_from, 1 at white."""
    return ((ldr - clipped_from) / (1 - clipped_from)).clamp(0, 1)


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Pad height and width at the end to multiples; by reflection where the image is large enough for it."""
    height, width = x.shape[-2:]
    bottom, right = -height % multiple, -width % multiple
    if not (bottom or right):
        return x
    mode = "reflect" if bottom < height and right < width else "replicate"
    return F.pad(x, (0, right, 0, bottom), mode=mode)
