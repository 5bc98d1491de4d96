"""The stateful network on a device."""

import time
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from rehdr_ros.errors import InputError
from rehdr_ros.events import Events
from rehdr_ros.network import load_checkpoint
from rehdr_ros.reconstruction.response import Response
from rehdr_ros.reconstruction.voxel_input import VoxelConfig, VoxelInput

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_CLIPPED_8_BIT = 250 / 255


@dataclass(frozen=True)
class Reconstruction:
    """radiance: (1, 3, H, W) float32 on the device; clipped_fraction: of the LDR; durations: stage -> s."""

    radiance: Tensor
    clipped_fraction: float
    durations: dict[str, float] = field(default_factory=dict)


class Reconstructor:
    """Loads the weights and keeps the hidden state from frame to frame.

    device: auto, cpu, cuda or cuda:N; precision: auto, float32, bfloat16 or float16.
    Raises CheckpointError for the weights, ValueError for the device, the precision or the response.
    voxels: how event pixels relate to frame pixels.
    """

    def __init__(
        self,
        weights: str,
        device: str = "auto",
        precision: str = "auto",
        response: float | str = 2.2,
        voxels: VoxelConfig | None = None,
    ):
        self.device = pick_device(device)
        self.precision = pick_precision(precision, self.device)
        self._response = Response(response)
        self._clipped_from = self._response(_CLIPPED_8_BIT)
        network = load_checkpoint(weights, self.device)
        self._network = network.to(dtype=PRECISIONS[self.precision], memory_format=torch.channels_last)
        self.config = network.config
        self.voxels = VoxelInput(voxels or VoxelConfig(), self.config.bins, self.config.voxel, self.device)
        self.reset()

    def reset(self) -> None:
        """Forget the hidden state, and the exposure that 1.0 refers to."""
        self._state = None
        self.voxels.reset()
        self._first_exposure = self._last_exposure = None

    @torch.inference_mode()
    def reconstruct(
        self,
        image: np.ndarray,
        events: Events,
        t0_ns: int | None,
        t1_ns: int,
        exposure: float | None = None,
        event_size: tuple[int, int] | None = None,
    ) -> Reconstruction:
        """One frame, with the events of (t0_ns, t1_ns]; t0_ns None: a zero grid.

        image: (H, W) or (H, W, 3) RGB, uint8, uint16 or float32 in 0..1. event_size: width and height of the event
        camera, the image's if None.
        """
        watch = _Stopwatch(self.device)
        start_ns = t1_ns if t0_ns is None else t0_ns
        voxel = self.voxels.build(events, event_size, start_ns, t1_ns, image.shape[1::-1])
        watch.lap("voxel")
        ldr = self._response.linearise(image, self.device)
        gain = self._rescale(exposure)
        voxel = self.voxels.in_units(voxel, ldr, self._clipped_from)
        radiance, self._state = self._network(ldr, voxel, self._state, self._clipped_from)
        if gain != 1.0:
            radiance = radiance * gain
        watch.lap("network")
        return Reconstruction(radiance, clipped_fraction(image), watch.durations)

    def _rescale(self, exposure: float | None) -> float:
        """Factor that brings this frame to the scale of the first; tells the state of the change since the last."""
        if not exposure or not exposure > 0:
            return self._first_exposure / self._last_exposure if self._last_exposure else 1.0
        if self._first_exposure is None:
            self._first_exposure = exposure
        elif exposure != self._last_exposure and self._state is not None:
            self._state = self._network.rescale_state(self._state, exposure / self._last_exposure)
            self.voxels.rescale(exposure / self._last_exposure)
        self._last_exposure = exposure
        return self._first_exposure / exposure


def clipped_fraction(image: np.ndarray) -> float:
    """Share of pixels with a channel at or above 250/255 of full scale."""
    full = np.iinfo(image.dtype).max if image.dtype.kind == "u" else 1.0
    # In the image's own type: no pixel is converted. 250/255 is a whole number in 8 and in 16 bits.
    clipped = image >= image.dtype.type(round(_CLIPPED_8_BIT * full) if full > 1 else _CLIPPED_8_BIT)
    if image.ndim == 3:
        clipped = clipped[..., 0] | clipped[..., 1] | clipped[..., 2]
    return float(np.count_nonzero(clipped) / clipped.size)


def pick_device(name: str) -> torch.device:
    """The torch device behind auto, cpu, cuda or cuda:N. Raises ValueError where it isn't there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"device {name!r}: use auto, cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"device {name!r}: use auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"device {name!r} is not there: {torch.cuda.device_count()} CUDA devices found")
    return device


def pick_precision(name: str, device: torch.device) -> str:
    """auto: the 16-bit format that the device computes natively, else float32."""
    if name in PRECISIONS:
        return name
    if name != "auto":
        raise InputError(f"precision {name!r}: use auto, {', '.join(PRECISIONS)}")
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    native = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    return "bfloat16" if native else "float32"


class _Stopwatch:
    """Durations of stages; waits for the device at each lap, so that they are the device's too."""

    def __init__(self, device: torch.device):
        self._device, self._last = device, time.perf_counter()
        self.durations: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        self.durations[stage] = now - self._last
        self._last = now
