"""What a network is to the rest of the package: a step with a named state."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rehdr_ros.network.event_fit import EventFit
from rehdr_ros.network.integrator import CLIPPED

State = dict[str, Tensor]  # by name, what a network remembers of the stream
USUAL_SECONDS = 0.05  # between two frames, where nobody says


class Stream(NamedTuple):
    """What a step needs to know of the stream."""

    clipped_from: float | Tensor = CLIPPED  # linear value from which a channel counts as clipped
    seconds: float | Tensor = USUAL_SECONDS  # (N,) or one, since the last frame


USUAL_STREAM = Stream()


class Estimate(NamedTuple):
    """What a step makes of a frame, float32; the latter two None where a network doesn't tell them."""

    radiance: Tensor  # (N, 3, H, W), 1.0 = the LDR's white
    sigma: Tensor | None = None  # (N, 1, H, W), standard deviation of log luminance, nat
    cause: Tensor | None = None  # (N, 1, H, W), what each pixel rests on, an index of products.CAUSES


class NetworkConfig(Protocol):
    """A dataclass of what decides a network's shape, stored in its checkpoint; for these see RehdrConfig."""

    bins: int
    radiance: str
    voxel: str


class Network(nn.Module, ABC):
    """A step from frame to frame. A network that is no more runs on every engine that takes a step whole.

    configuration: the class of `config`. Inputs and estimates are float32, parameters too but for a
    PartedNetwork's.
    """

    configuration: type
    config: NetworkConfig

    @abstractmethod
    def step(
        self, ldr: Tensor, voxel: Tensor, state: State | None = None, stream: Stream = USUAL_STREAM
    ) -> tuple[Estimate, State]:
        """One frame.

        ldr: (N, 3, H, W) linear RGB, 1.0 = white. voxel: (N, bins, H, W), events of the interval that ends
        with this frame, in units of `config.voxel`. state: None at the start of a stream, else what the last
        call returned. Any H and W. What goes in stays as it is. Raises ValueError for other shapes.
        """

    @abstractmethod
    def initial_state(self, batch: int, height: int, width: int) -> State:
        """The state before the first of frames of this size, on the network's device."""

    @abstractmethod
    def rescale(self, state: State, gain: float | Tensor) -> State:
        """The state for a camera whose exposure has just changed by `gain`, (N,) or one."""

    def event_fit(self, state: State) -> EventFit | None:
        """How well the events explain the frames so far; None for networks that don't tell."""
        return None

    def carried(self, state: State) -> Tensor | None:
        """The log radiance that the state carries on, uncorrected, (N, 3, H, W) or padded; None: none."""
        return None

    def forward(
        self, ldr: Tensor, voxel: Tensor, state: State | None = None, stream: Stream = USUAL_STREAM
    ) -> tuple[Tensor, State]:
        """As `step`, the radiance alone."""
        estimate, state = self.step(ldr, voxel, state, stream)
        return estimate.radiance, state

    def check(self, ldr: Tensor, voxel: Tensor) -> None:
        """Raises ValueError for inputs of other shapes."""
        bins = self.config.bins
        if ldr.ndim != 4 or ldr.shape[1] != 3 or tuple(voxel.shape) != (len(ldr), bins, *ldr.shape[2:]):
            raise ValueError(
                f"network expects ldr (N,3,H,W) and voxel (N,{bins},H,W), "
                f"got {tuple(ldr.shape)} and {tuple(voxel.shape)}"
            )


class PartedNetwork(Network):
    """A network whose step has three parts, of which engines compute some otherwise; on padded frames.

    Its parameters may get any precision.

    multiple: what height and width are padded to. cells: the state's tensors that `features` takes and gives.
    outputs: channels of the features. halo: px around a block of multiple x multiple px whose features are
    needed, on which these depend by more than a thousandth; None where whole frames are always computed. A
    network with a halo has `needed` among its inputs, (N, 1, H / multiple, W / multiple), 1 for such blocks
    and 0 for others, and its cells far from them (half a halo) become those that `idle` gives.
    """

    multiple: int
    cells: tuple[str, ...]
    outputs: int
    halo: int | None = None

    @abstractmethod
    def prepare(
        self, ldr: Tensor, voxel: Tensor, state: State, stream: Stream, compiled: bool = False
    ) -> tuple[tuple[Tensor, ...], State, object]:
        """The convolutions' inputs, the new state but for the cells, and what is known for `compose`.

        stream.seconds: (N,). compiled: by kernels, where there are any: one frame, on a CPU.
        """

    @abstractmethod
    def features(self, inputs: tuple[Tensor, ...], cells: State) -> tuple[Tensor, State]:
        """Every convolution: (N, C, H, W), in the precision of the parameters, and the new cells."""

    def idle(self, inputs: tuple[Tensor, ...], cells: State) -> State:
        """The new cells where nothing near is needed."""
        raise NotImplementedError

    @abstractmethod
    def compose(
        self, features: Tensor, ldr: Tensor, known: object, stream: Stream, compiled: bool = False
    ) -> Estimate:
        """The estimate, from the features, the padded LDR and what `prepare` knows."""

    def step(
        self,
        ldr: Tensor,
        voxel: Tensor,
        state: State | None = None,
        stream: Stream = USUAL_STREAM,
        features: Callable | None = None,
        compiled: bool = False,
    ) -> tuple[Estimate, State]:
        """As of Network. features: in place of this one's; compiled: as of the parts."""
        self.check(ldr, voxel)
        count, _, height, width = ldr.shape
        state = self.initial_state(count, height, width) if state is None else state
        ldr, voxel = (pad_to_multiple(x, self.multiple) for x in (ldr, voxel))
        seconds = torch.as_tensor(stream.seconds, dtype=torch.float32, device=ldr.device).expand(count)
        stream = Stream(stream.clipped_from, seconds)  # torch.compile of PyTorch 2.8 knows no _replace
        inputs, new, known = self.prepare(ldr, voxel, state, stream, compiled)
        output, cells = (features or self.features)(inputs, {name: state[name] for name in self.cells})
        estimate = self.compose(output, ldr, known, stream, compiled)
        parts = (None if x is None else x[..., :height, :width] for x in estimate)
        if compiled:  # rows after rows, as what comes next wants them
            parts = (None if x is None else torch.from_numpy(np.ascontiguousarray(x)) for x in parts)
        return Estimate(*parts), {**cells, **new}


def padded(length: int, multiple: int) -> int:
    """A height or width, padded."""
    return length + -length % multiple


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Pad height and width at the end to multiples; by reflection where the image is large enough for it."""
    height, width = x.shape[-2:]
    bottom, right = -height % multiple, -width % multiple
    if not (bottom or right):
        return x
    mode = "reflect" if bottom < height and right < width else "replicate"
    return F.pad(x, (0, right, 0, bottom), mode=mode)
