"""REHDR: recurrent event-guided HDR video reconstruction (Guo et al.), one frame a call."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rehdr_ros.errors import InputError
from rehdr_ros.network.blocks import UPSAMPLING
from rehdr_ros.network.compact import Compact
from rehdr_ros.network.event_fit import EventFit
from rehdr_ros.network.full import FullResolution
from rehdr_ros.network.fusion import FUSION
from rehdr_ros.network.head_start import FLOOR, Evidence, HeadStart, advance, initial_state, rescale
from rehdr_ros.network.integrator import CLIPPED, luminance
from rehdr_ros.network.recurrent import RECURRENT
from rehdr_ros.settings import Settings, setting

State = tuple[Tensor, ...]  # the body's, then, for radiance "ldr_white", the tensors of HeadStart
USUAL_SECONDS = 0.05  # between two frames, where nobody says

# A body is the network's convolutions: Body(config, image channels, output channels), with `multiple`, what height and
# width divide by; `state_names`; initial_state(n, height, width); and forward(image, ldr, voxel, condition, seconds,
# *state) -> (features, *state), the inputs as of Prepared.
BODIES = {"full": FullResolution, "compact": Compact}
NORMS = ("none", "batch", "instance", "group")

IMAGE_CHANNELS, OUTPUTS = 10, 5  # of a network of "ldr_white" radiance

DARKEST, ENCODING = 1e-4, 2.2  # the LDR as the convolutions see it: at least, and to which root
LOG_SHARE = 0.3  # of log radiances, as they see them
MOST_MOVED = 3.0  # nat, of events

_PRIOR_VARIANCE = 2.0  # nat^2, of what lies above white: the head start's excess is shrunk by how it compares with it
_LEAST_BOUND, _VARIANCE_BOUND, _EXCESS_BOUND = 0.1, 0.7, 0.6  # of the correction, nat
_LOG_SIGMA = (math.log(0.01), math.log(4.0))  # nat
MEASURED_SIGMA = 0.01, 0.002  # nat, of usual cameras; the latter over luminance: shot, read and quantisation noise


class Prepared(NamedTuple):
    """What the convolutions take of a frame.

    image (N, 10 or 3, H, W), ldr (N, 3, H, W), voxel (N, bins, H, W); condition (N, 3), of the stream: R^2 and noise of
    its events, the interval; seconds (N, 1, 1, 1) since the last frame.
    """

    image: Tensor
    ldr: Tensor
    voxel: Tensor
    condition: Tensor
    seconds: Tensor


class Estimate(NamedTuple):
    """radiance: (N, 3, H, W), 1.0 = the LDR's white; sigma: (N, 1, H, W), standard deviation of log luminance, nat;
    cause: (N, 1, H, W), what each pixel rests on, an index of products.CAUSES. float32; the latter two None for
    "relative" radiance."""

    radiance: Tensor
    sigma: Tensor | None
    cause: Tensor | None


_CARRIED, _FILLED = 0.25, 0.1  # trust from which a pixel counts as such


@dataclass(frozen=True)
class RehdrConfig(Settings):
    """Everything that decides a network's shape; stored inside its checkpoint.

    scales, norm, recurrent, upsampling and fusion apply to the full form alone. A network that gives "ldr_white"
    estimates the contrast threshold itself and takes counts; for "relative" the default of voxel is "quantile", since
    published networks were trained on -1..1.
    """

    base_channels: int = setting(32, "channels of the first scale", least=1)
    scales: int = setting(3, "each of half the resolution", least=1)
    bins: int = setting(5, "of the voxel grid", least=1)
    residual_blocks: int = setting(2, "at the lowest resolution", least=1)
    norm: str = setting(
        "none", "of the convolutions: none, batch, instance or group", choices=("none", "batch", "instance", "group")
    )
    recurrent: str = setting("convlstm", "cell: convlstm or convgru", choices=tuple(RECURRENT))
    upsampling: str = setting("transposed", "transposed (a convolution) or bilinear", choices=tuple(UPSAMPLING))
    fusion: str = setting("modality", "of image and events: modality or published", choices=tuple(FUSION))
    radiance: str = setting(
        "ldr_white",
        "what the output means: ldr_white (1.0 = the LDR's white; the LDR itself where it is exposed, a prediction "
        "where it is clipped) or relative (a sigmoid in 0..1, as published)",
        choices=("ldr_white", "relative"),
    )
    voxel: str | None = setting(
        None,
        "units of the grid: counts (signed events), quantile (divided by a high quantile of their magnitudes, in "
        "-1..1) or log_intensity (events times the contrast threshold)",
        choices=("counts", "quantile", "log_intensity"),
    )
    form: str = setting("full", "full (the paper's) or compact", choices=tuple(BODIES))

    def __post_init__(self) -> None:
        if self.voxel is None:
            object.__setattr__(self, "voxel", "counts" if self.radiance == "ldr_white" else "quantile")
        super().__post_init__()
        if self.radiance == "ldr_white" and self.voxel != "counts":
            raise InputError(f"voxel={self.voxel!r} goes with radiance='relative': 'ldr_white' takes counts")


class Rehdr(nn.Module):
    """The network. `forward(ldr, voxel, state)` takes one frame and carries the state.

    ldr: (N, 3, H, W) linear RGB, 1.0 = white. voxel: (N, bins, H, W), signed event counts of the interval
    that ends with this frame. state: None at the start of a stream, else what the last call returned.
    clipped_from: linear value from which a channel counts as clipped; 250/255 of full scale through a response of 2.2.
    seconds: (N,) or one, since the last frame.
    Returns radiance (N, 3, H, W) float32 and the new state; `estimate` the uncertainty too. Any H and W: both inputs
    are padded by reflection to a multiple of the body's and the output is cropped. The convolutions run in the
    precision of the parameters (or of autocast); the head start and the output stay float32.
    """

    def __init__(self, config: RehdrConfig | None = None):
        super().__init__()
        self.config = config = config or RehdrConfig()
        self.channels, self.outputs = (IMAGE_CHANNELS, OUTPUTS) if config.radiance == "ldr_white" else (3, 3)
        self.body = BODIES[config.form](config, self.channels, self.outputs)
        if config.radiance == "ldr_white":
            # An untrained network then returns the head start, shrunk by what is known of its noise.
            for parameter in self.body.prediction.parameters():
                nn.init.zeros_(parameter)

    def forward(
        self,
        ldr: Tensor,
        voxel: Tensor,
        state: State | None = None,
        clipped_from: float | Tensor = CLIPPED,
        seconds: float | Tensor = USUAL_SECONDS,
    ) -> tuple[Tensor, State]:
        estimate, state = self.estimate(ldr, voxel, state, clipped_from, seconds)
        return estimate.radiance, state

    def estimate(
        self,
        ldr: Tensor,
        voxel: Tensor,
        state: State | None = None,
        clipped_from: float | Tensor = CLIPPED,
        seconds: float | Tensor = USUAL_SECONDS,
    ) -> tuple[Estimate, State]:
        """As `forward`, with the uncertainty of the radiance and what it rests on."""
        self._check(ldr, voxel)
        height, width = ldr.shape[-2:]
        ldr, voxel = (pad_to_multiple(x, self.body.multiple) for x in (ldr, voxel))
        cells, head_start = self.split(self.initial_state(ldr) if state is None else state)
        seconds = torch.as_tensor(seconds, dtype=torch.float32, device=ldr.device).expand(len(ldr))
        prepared, head_start, evidence = self.prepare(ldr, voxel, head_start, clipped_from, seconds)
        features, *cells = self.features(prepared, cells)
        estimate = self.compose(features, ldr, head_start, evidence, clipped_from)
        cropped = (None if x is None else x[..., :height, :width] for x in estimate)
        return Estimate(*cropped), (*cells, *head_start)

    @property
    def state_names(self) -> list[str]:
        """Of the tensors of the state, in their order."""
        return [*self.body.state_names, *(HeadStart._fields if self.config.radiance == "ldr_white" else ())]

    def initial_state(self, ldr: Tensor) -> State:
        """The state before the first frame; of (N, 3, H, W) padded to the body's multiple the size counts alone."""
        cells = self.body.initial_state(len(ldr), *ldr.shape[-2:])
        return (*cells, *(() if self.config.radiance == "relative" else initial_state(ldr)))

    def split(self, state: State) -> tuple[State, State]:
        """The state of the body, and that of the head start, which networks of "relative" radiance don't have."""
        cells = len(self.body.state_names)
        return state[:cells], state[cells:]

    def rescale_state(self, state: State, gain: float | Tensor) -> State:
        """The state for a camera whose exposure has just changed by `gain`, (N,) or one."""
        cells, head_start = self.split(state)
        return (*cells, *(rescale(HeadStart(*head_start), gain) if head_start else ()))

    def prepare(
        self, ldr: Tensor, voxel: Tensor, head_start: State, clipped_from: float | Tensor, seconds: Tensor
    ) -> tuple[Prepared, State, Evidence | None]:
        """The first of three parts of `estimate`, on padded inputs: the head start, and what the convolutions take."""
        interval = seconds.view(-1, 1, 1, 1)
        if not head_start:
            return Prepared(ldr, ldr, voxel, torch.zeros(len(ldr), 3).to(ldr), interval), (), None
        state, evidence = advance(ldr, voxel, HeadStart(*head_start), seconds, clipped_from)
        encoded = ldr.clamp_min(DARKEST) ** (1 / ENCODING)
        clipped = clip_mask(ldr, clipped_from).amax(1, keepdim=True)
        image = (encoded, LOG_SHARE * state.log_radiance, evidence.own, evidence.trust, (-state.age).exp(), clipped)
        fit = evidence.fit
        # In log-intensity units the grid looks alike for every contrast threshold, and no hot pixel rules it.
        moved = torch.where(voxel > 0, fit.on * voxel, fit.off * voxel).clamp(-MOST_MOVED, MOST_MOVED)
        return Prepared(torch.cat(image, 1), encoded, moved, condition(fit, interval), interval), tuple(state), evidence

    def features(self, prepared: Prepared, cells: State) -> State:
        """The second part: every convolution. Returns (N, 5 or 3, H, W), in their precision, and the new cells."""
        *inputs, seconds = prepared
        precision = next(self.body.parameters()).dtype
        return self.body(*(x.to(precision) for x in inputs), seconds, *cells)

    def compose(
        self,
        features: Tensor,
        ldr: Tensor,
        head_start: State,
        evidence: Evidence | None,
        clipped_from: float | Tensor = CLIPPED,
    ) -> Estimate:
        """The third part: the estimate from the features, the padded LDR and the new head start.

        What the head start has above the LDR is taken by a share, and corrected, by no more than is unknown: the share
        and the correction are the network's.
        """
        features = features.float()
        if not head_start:
            return Estimate(torch.sigmoid(features), None, None)
        state, (fit, shown, own, trust) = HeadStart(*head_start), evidence
        colour, share, spread = features.split((3, 1, 1), 1)
        excess = state.log_radiance - shown
        usual = (fit.explained * _PRIOR_VARIANCE / (_PRIOR_VARIANCE + state.variance)).clamp(0.02, 0.98)
        unknown = state.variance.clamp_max(1.0).sqrt()
        bound = _LEAST_BOUND + _VARIANCE_BOUND * unknown + _EXCESS_BOUND * excess
        above = torch.sigmoid(share + torch.logit(usual)) * excess + bound * torch.tanh(colour)
        clipped = clip_mask(ldr, clipped_from)
        radiance = ldr + clipped * ((shown + above.clamp(0, 12)).exp() - ldr).clamp_min(0)
        return Estimate(radiance, self._sigma(spread, unknown, ldr, clipped), _cause(own, trust, clipped))

    def _sigma(self, spread: Tensor, unknown: Tensor, ldr: Tensor, clipped: Tensor) -> Tensor:
        predicted = (spread + (0.05 + 0.5 * unknown).log()).clamp(*_LOG_SIGMA).exp()
        least, over = MEASURED_SIGMA
        measured = least + over / (luminance(ldr) + FLOOR)
        return torch.where(clipped.amax(1, keepdim=True) > 0, predicted, measured)

    def _check(self, ldr: Tensor, voxel: Tensor) -> None:
        expected = (ldr.shape[0], self.config.bins, *ldr.shape[2:])
        if ldr.ndim != 4 or ldr.shape[1] != 3 or tuple(voxel.shape) != expected:
            raise ValueError(
                f"network expects ldr (N,3,H,W) and voxel (N,{self.config.bins},H,W), "
                f"got {tuple(ldr.shape)} and {tuple(voxel.shape)}"
            )


def _cause(own: Tensor, trust: Tensor, clipped: Tensor) -> Tensor:
    cause = torch.where(own >= _CARRIED, 1.0, torch.where(trust >= _FILLED, 2.0, 3.0))
    return torch.where(clipped.amax(1, keepdim=True) > 0, cause, 0.0)


def condition(fit: EventFit, interval: Tensor) -> Tensor:
    """What Prepared has of it; interval: (N, 1, 1, 1) s."""
    return torch.cat((fit.explained, 0.2 * fit.noise.log(), 0.2 * (interval + 1e-3).log()), 1)[..., 0, 0]


def clip_mask(ldr: Tensor, clipped_from: float | Tensor) -> Tensor:
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
