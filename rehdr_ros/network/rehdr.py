"""REHDR: recurrent event-guided HDR video reconstruction (Guo et al.), one frame a call."""

from dataclasses import dataclass, fields
from typing import NamedTuple

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


class Prepared(NamedTuple):
    """What the convolutions take of a frame: image (N, 10 or 3, H, W), ldr (N, 3, H, W), voxel (N, bins, H, W)."""

    image: Tensor
    ldr: Tensor
    voxel: Tensor


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
        return self.recurrent(self.fusion(self.block(x), events, ldr), state)


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
        scales, head_start = self.split(self.initial_state(ldr) if state is None else state)
        prepared, head_start = self.prepare(ldr, voxel, head_start, clipped_from)
        features, scales = self.features(prepared, scales)
        radiance = self.compose(features, ldr, head_start, clipped_from)
        return radiance[..., :height, :width], (*scales, *head_start)

    def initial_state(self, ldr: Tensor) -> State:
        """The state before the first frame; of (N, 3, H, W) padded to a multiple of 2**scales the size counts alone."""
        n, _, height, width = ldr.shape
        weight = self.image_head.conv.weight
        scales = []
        for i, encoder in enumerate(self.image_encoders, 1):
            like = weight.new_empty((n, self.config.base_channels * 2**i, height >> i, width >> i))
            scales.append(encoder.recurrent.initial_state(like))
        return (*scales, *(() if self.config.radiance == "relative" else (initial_state(ldr),)))

    def split(self, state: State) -> tuple[State, State]:
        """The state of the scales, and that of the head start, which networks of "relative" radiance don't have."""
        return state[: self.config.scales], state[self.config.scales :]

    def rescale_state(self, state: State, gain: float | Tensor) -> State:
        """The state for a camera whose exposure has just changed by `gain`, (N,) or one."""
        scales, head_start = self.split(state)
        return (*scales, *(rescale(each, gain) for each in head_start))

    def prepare(
        self, ldr: Tensor, voxel: Tensor, head_start: State, clipped_from: float = CLIPPED
    ) -> tuple[Prepared, State]:
        """The first of three parts of `forward`, on padded inputs: the head start, and what the convolutions take."""
        if not head_start:
            return Prepared(ldr, ldr, voxel), ()
        state, threshold = advance(ldr, voxel, head_start[0], clipped_from, self.config.head_start)
        encoded = ldr.clamp_min(1e-4) ** (1 / 2.2)
        bare = state.integrator.log_luminance - luminance(state.log_radiance)
        clipped = clip_mask(ldr, clipped_from).amax(1, keepdim=True)
        image = (encoded, 0.3 * state.log_radiance, 0.3 * bare, state.trust, state.integrator.recency, clipped)
        # In log-intensity units the grid looks alike for every contrast threshold, and no hot pixel rules it.
        return Prepared(torch.cat(image, 1), encoded, (voxel * threshold).clamp(-3, 3)), (state,)

    def features(self, prepared: Prepared, scales: State) -> tuple[Tensor, State]:
        """The second part: every convolution. Returns (N, 3, H, W) in the parameters' precision, and the new scales."""
        image, ldr, voxel = (x.to(self.image_head.conv.weight.dtype) for x in prepared)
        x = head = self.image_head(image)
        events = self.event_head(voxel)
        outputs, new_state = [], []
        for event_encoder, image_encoder, state in zip(self.event_encoders, self.image_encoders, scales, strict=True):
            events = event_encoder(events)
            ldr = F.avg_pool2d(ldr, 2)
            x, state = image_encoder(x, events, ldr, state)
            outputs.append(x)
            new_state.append(state)
        x = self.bottleneck(x)
        for decoder, skip in zip(self.decoders, reversed(outputs), strict=True):
            x = decoder(x + skip)
        return self.prediction(x + head), tuple(new_state)

    def compose(self, features: Tensor, ldr: Tensor, head_start: State, clipped_from: float = CLIPPED) -> Tensor:
        """The third part: radiance (N, 3, H, W) float32 from the features, the padded LDR and the new head start."""
        if not head_start:
            return torch.sigmoid(features.float())
        log_radiance = (head_start[0].log_radiance + 2 * features.float()).clamp(-12, 12)
        predicted = torch.maximum(log_radiance.exp(), ldr)
        return ldr + clip_mask(ldr, clipped_from) * (predicted - ldr)

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
