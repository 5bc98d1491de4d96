"""REHDR: recurrent event-guided HDR video reconstruction (Guo et al.), one frame a call."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rehdr_ros.errors import InputError
from rehdr_ros.network import head_start
from rehdr_ros.network.blocks import UPSAMPLING
from rehdr_ros.network.compact import Compact
from rehdr_ros.network.contract import Estimate, PartedNetwork, State, Stream, padded
from rehdr_ros.network.event_fit import EventFit, read
from rehdr_ros.network.full import FullResolution
from rehdr_ros.network.fusion import FUSION
from rehdr_ros.network.head_start import Evidence, HeadStart
from rehdr_ros.network.head_start.composition import OUTPUTS, Calibration
from rehdr_ros.network.head_start.reference import CONDITIONS, IMAGE_CHANNELS, initial_state, rescale
from rehdr_ros.network.recurrent import RECURRENT
from rehdr_ros.settings import Settings, setting

# A body is the network's convolutions: Body(config, image channels, output channels), with `multiple`, what
# height and width divide by, and `halo`, as of PartedNetwork; initial_state(n, height, width);
# forward(*BodyInputs, cells) -> (features, cells); with a halo idle(cells, seconds) -> cells.
BODIES = {"full": FullResolution, "compact": Compact}
NORMS = ("none", "batch", "instance", "group")


class BodyInputs(NamedTuple):
    """Those of the head start, or like them, and which blocks of the frame are needed."""

    image: Tensor
    ldr: Tensor
    voxel: Tensor
    condition: Tensor
    seconds: Tensor
    needed: Tensor  # as of PartedNetwork


Known = tuple[HeadStart, Evidence] | None  # by `prepare`, for `compose`; None without a head start


@dataclass(frozen=True)
class RehdrConfig(Settings):
    """Everything that decides a network's shape; stored inside its checkpoint.

    scales, norm, recurrent, upsampling and fusion are the full form's alone. A network that gives "ldr_white"
    estimates the contrast threshold itself and takes counts; for "relative" the default of voxel is
    "quantile", since published networks were trained on -1..1.
    """

    base_channels: int = setting(32, "channels of the first scale", least=1)
    scales: int = setting(3, "each of half the resolution (full form)", least=1)
    bins: int = setting(5, "of the voxel grid", least=1)
    residual_blocks: int = setting(2, "at the lowest resolution", least=1)
    norm: str = setting(
        "none", "of the convolutions: none, batch, instance or group (full form)", choices=NORMS
    )
    recurrent: str = setting("convlstm", "cell: convlstm or convgru (full form)", choices=tuple(RECURRENT))
    upsampling: str = setting(
        "transposed", "transposed (a convolution) or bilinear (full form)", choices=tuple(UPSAMPLING)
    )
    fusion: str = setting(
        "modality", "of image and events: modality or published (full form)", choices=tuple(FUSION)
    )
    radiance: str = setting(
        "ldr_white",
        "what the output means: ldr_white (1.0 = the LDR's white; the LDR itself where it is exposed, a "
        "prediction where it is clipped) or relative (a sigmoid in 0..1, as published)",
        choices=("ldr_white", "relative"),
    )
    voxel: str | None = setting(
        None,
        "units of the grid: counts (signed events) or quantile (divided by a high quantile of their "
        "magnitudes, in -1..1)",
        choices=("counts", "quantile"),
    )
    form: str = setting("full", "full (the paper's) or compact", choices=tuple(BODIES))
    expansion: float = setting(
        0.0,
        "share of what an estimate is above the frame that is added, where that is much and events explain "
        "the frames; measured after a training, which goes without",
        least=0,
        most=2,
    )
    sigma: float = setting(
        1.0,
        "what the uncertainty is multiplied by where events are believed; measured after a training, too",
        above=0,
    )

    def __post_init__(self) -> None:
        if self.voxel is None:
            object.__setattr__(self, "voxel", "counts" if self.radiance == "ldr_white" else "quantile")
        super().__post_init__()
        if self.radiance == "ldr_white" and self.voxel != "counts":
            raise InputError(f"voxel={self.voxel!r} goes with radiance='relative': 'ldr_white' takes counts")


class Rehdr(PartedNetwork):
    """The network. `network(ldr, voxel, state)` takes one frame and carries the state.

    Any H and W: both inputs are padded by reflection to a multiple of the body's and the output is cropped.
    The convolutions run in the precision of the parameters (or of autocast); the head start, which networks
    of "relative" radiance don't have, and the output stay float32.
    """

    configuration = RehdrConfig

    def __init__(self, config: RehdrConfig | None = None):
        super().__init__()
        self.config = config = config or RehdrConfig()
        self._has_head_start = config.radiance == "ldr_white"
        channels, self.outputs = (IMAGE_CHANNELS, OUTPUTS) if self._has_head_start else (3, 3)
        self.body = BODIES[config.form](config, channels, self.outputs)
        self.multiple = self.body.multiple
        self.halo = self.body.halo if self._has_head_start else None
        self.cells = tuple(self.body.initial_state(1, self.multiple, self.multiple))
        if self._has_head_start:
            # An untrained network then returns the head start, shrunk by what is known of its noise.
            for parameter in self.body.prediction.parameters():
                nn.init.zeros_(parameter)

    def initial_state(self, batch: int, height: int, width: int) -> State:
        height, width = padded(height, self.multiple), padded(width, self.multiple)
        cells = self.body.initial_state(batch, height, width)
        if not self._has_head_start:
            return cells
        ldr = next(self.body.parameters()).new_empty(batch, 3, height, width)
        return {**cells, **initial_state(ldr)._asdict()}

    def rescale(self, state: State, gain: float | Tensor) -> State:
        return {**state, **rescale(_head_start(state), gain)._asdict()} if self._has_head_start else state

    def event_fit(self, state: State) -> EventFit | None:
        return read(state["fit"].cpu()) if self._has_head_start else None

    def carried(self, state: State) -> Tensor | None:
        return state["log_radiance"] if self._has_head_start else None

    def prepare(
        self, ldr: Tensor, voxel: Tensor, state: State, stream: Stream, compiled: bool = False
    ) -> tuple[BodyInputs, State, Known]:
        if not self._has_head_start:
            interval, condition = stream.seconds.view(-1, 1, 1, 1), torch.zeros(len(ldr), CONDITIONS).to(ldr)
            needed = torch.ones_like(ldr[:, :1, :: self.multiple, :: self.multiple])
            return BodyInputs(ldr, ldr, voxel, condition, interval, needed), {}, None
        before, sparse = _head_start(state), self.halo is not None
        inputs, new, evidence = head_start.prepare(ldr, voxel, before, stream, compiled, sparse)
        clipped = F.max_pool2d(inputs.image[:, -1:], self.multiple)
        named = {name: getattr(new, name) for name in HeadStart._fields}  # as for _replace in contract.py
        return BodyInputs(*inputs, (clipped > 0).float()), named, (new, evidence)

    def features(self, inputs: BodyInputs, cells: State) -> tuple[Tensor, State]:
        *inputs, seconds, needed = inputs
        precision = next(self.body.parameters()).dtype
        return self.body(*(x.to(precision) for x in inputs), seconds, needed, cells)

    def idle(self, inputs: BodyInputs, cells: State) -> State:
        return self.body.idle(cells, inputs.seconds)

    def compose(
        self, features: Tensor, ldr: Tensor, known: Known, stream: Stream, compiled: bool = False
    ) -> Estimate:
        if known is None:
            return Estimate(torch.sigmoid(features.float()))
        config = self.config
        calibration = None if self.training else Calibration(config.expansion, config.sigma)
        return head_start.compose(features, ldr, *known, stream.clipped_from, calibration, compiled)


def _head_start(state: State) -> HeadStart:
    return HeadStart(**{name: state[name] for name in HeadStart._fields})
