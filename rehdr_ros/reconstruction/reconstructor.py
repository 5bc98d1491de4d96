"""The stateful network on a device."""

import math
import time
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from rehdr_ros.errors import InputError
from rehdr_ros.network import Stream, load_checkpoint
from rehdr_ros.network.contract import USUAL_SECONDS, Estimate, State
from rehdr_ros.network.engines.choice import PRECISIONS, choose
from rehdr_ros.network.event_fit import EventFit, initial_sums, read
from rehdr_ros.products import CAUSES
from rehdr_ros.reconstruction.dead_time import DeadTime, corrected
from rehdr_ros.reconstruction.deblurring import Deblurring
from rehdr_ros.reconstruction.frame_info import Fault, FrameInfo
from rehdr_ros.reconstruction.keyframe import Keyframe
from rehdr_ros.reconstruction.response import Response
from rehdr_ros.reconstruction.synchronizer import Job
from rehdr_ros.reconstruction.voxel_input import VoxelConfig, VoxelInput

_DEBLURRED = "deblurred"  # beside the network's own in a saved state


@dataclass(frozen=True)
class Reconstruction:
    """radiance: (1, 3, H, W) float32 on the device; clipped_fraction: of the LDR; durations: stage -> s.

    white: the radiance at which this frame clips, as far as its exposure is known.
    planes: what else network.contract.Estimate has, by its names. grid: the frame's signed events,
    (1, bins, H, W) float32 on the device. Both hold until the next frame. fault, reset_reason: why the hidden
    state was forgotten on the way, and in words; else None and empty.
    """

    radiance: Tensor
    planes: dict[str, Tensor]
    grid: Tensor
    clipped_fraction: float
    white: float = 1.0
    durations: dict[str, float] = field(default_factory=dict)
    fault: Fault | None = None
    reset_reason: str = ""


class Reconstructor:
    """Loads the weights and keeps the hidden state from frame to frame.

    device: auto, cpu, cuda or cuda:N; precision: auto, float32, bfloat16 or float16. white_level: of 16-bit
    images, 0 for their full scale. fallback: "auto", when the device has no memory left for a frame it goes
    on in 16 bits, then on the CPU; "none", the error is raised. voxels: how event pixels relate to frame
    pixels. deblur: show the middle of each exposure, see Deblurring. fallbacks: how often the device was out
    of memory; not_finite: frames of NaN or infinity.
    Raises CheckpointError for the weights, ValueError for the device, the precision or the response.
    """

    def __init__(
        self,
        weights: str,
        device: str = "auto",
        precision: str = "auto",
        response: float | str = 2.2,
        voxels: VoxelConfig | None = None,
        white_level: int = 0,
        fallback: str = "auto",
        engine: str = "auto",
        deblur: bool = False,
    ):
        self._dead_time = DeadTime()
        self.set_deblur(deblur)
        self._weights, self._fallback, self._choice = weights, fallback, engine
        self._voxel_config = voxels or VoxelConfig()
        self.fallbacks = self.not_finite = 0
        self.set_response(Response(response, white_level))
        self.device = pick_device(device)
        self.precision = pick_precision(precision, self.device)
        self._load_or_fall_back()

    def _load_or_fall_back(self) -> None:
        try:
            self._load()
        except torch.cuda.OutOfMemoryError:
            if not self._fall_back():
                raise

    def _load(self) -> None:
        network = load_checkpoint(self._weights, self.device)
        self._engine = choose(network, self.device, self.precision, self._choice)
        self.config = self._engine.config
        self.voxels = VoxelInput(self._voxel_config, self.config.bins, self.config.voxel, self.device)
        self.reset()

    @property
    def engine(self) -> str:
        """What runs the network, in words."""
        return self._engine.about

    def compile(self, width: int, height: int) -> None:
        """Make the fastest way to run the network ready for a frame size, and wait for it."""
        self._engine.compile(height, width)

    def set_response(self, response: Response) -> None:
        """Another response from the next frame on; the hidden state, made by the old one, should be reset."""
        self._response, self._clipped_from = response, response.clipped_from

    @property
    def response(self) -> Response:
        return self._response

    @property
    def event_fit(self) -> EventFit | None:
        """How well the events explain the frames so far, by the hidden state; None where it doesn't tell."""
        return None if self._state is None else self._engine.event_fit(self._state)

    @torch.inference_mode()
    def keyframe(self, job: Job, result: Reconstruction, info: FrameInfo) -> Keyframe:
        """What outputs until the next frame need of this one, which was the last; on the host."""
        radiance, planes = result.radiance, result.planes
        fit = self.event_fit
        is_known = job.event_size is not None or job.passed_ns is not None  # of what size the events are
        return Keyframe(
            job.frame,
            self.white(job.frame.image.dtype),
            job.exposed,
            job.latency_ns,
            job.passed_ns,
            _on_host(radiance[0]),
            *(_on_host(planes[name][0, 0]) if name in planes else None for name in ("sigma", "cause")),
            self._correction(radiance, planes.get("cause")),
            read(initial_sums(torch.zeros(1))) if fit is None else fit,
            self.voxels.registration,
            not self.voxels.problem and is_known,
            info,
            result.white,
        )

    def _correction(self, radiance: Tensor, cause: Tensor | None) -> np.ndarray | None:
        """As of Keyframe: mean over the channels, in clipped pixels."""
        carried = None if self._state is None else self._engine.carried(self._state)
        if carried is None or cause is None:
            return None
        height, width = radiance.shape[-2:]
        log = (radiance / self._gain).clamp_min(torch.finfo(torch.float32).tiny).log()
        correction = (log - carried[..., :height, :width]).mean(1, keepdim=True)
        return _on_host(torch.where(cause > 0, correction, torch.zeros_like(correction))[0, 0])

    @property
    def _gain(self) -> float:
        """Factor that brings the last frame to the first's scale."""
        return self._first_exposure / self._last_exposure if self._last_exposure else 1.0

    def white(self, dtype: np.dtype) -> float:
        """The value of images of this type that means white."""
        return self._response.white(dtype)

    def set_voxels(self, config: VoxelConfig) -> None:
        """Another relation of event pixels to frame pixels from the next frame on."""
        self._voxel_config = config
        self.voxels.configure(config)

    def set_deblur(self, deblur: bool) -> None:
        """Whether to take the blur out of frames from the next one on."""
        self._deblurring = Deblurring(self._dead_time) if deblur else None

    def reset(self) -> None:
        """Forget the hidden state, and the exposure that 1.0 refers to."""
        self._state: State | None = None
        self._first_exposure = self._last_exposure = None
        self._dead_time.forget()
        if self._deblurring:
            self._deblurring.reset()

    @torch.inference_mode()
    def reconstruct(self, job: Job, wait: bool = True) -> Reconstruction:
        """One frame, with the events of its interval; a zero grid for the first after a reset.

        wait: for a compilation that pays; else it goes on in the background. Raises ValueError for a grid of
        another shape than the network's.
        """
        self._engine.expect(*job.frame.image.shape[:2], wait)
        fault: dict = {}
        while True:
            try:
                result = self._step(job)
            except torch.cuda.OutOfMemoryError:
                if not self._fall_back():
                    raise
                words = f"{Fault.OUT_OF_MEMORY.value}, now {self.precision} on {self.device}"
                fault = {"fault": Fault.OUT_OF_MEMORY, "reset_reason": words}
            else:
                return replace(result, **fault)

    @torch.inference_mode()
    def pass_over(self, job: Job) -> None:
        """A frame that an interrupted run has done: learn from it all but the hidden state."""
        self._engine.expect(*job.frame.image.shape[:2], wait=True)
        self._inputs(job, _Stopwatch(self.device))

    @property
    def saved(self) -> tuple[str | None, State]:
        """The engine that runs, once decided, and the hidden state, empty after a reset; on the CPU."""
        state = {name: x.to("cpu", copy=True) for name, x in (self._state or {}).items()}
        if self._deblurring and self._deblurring.radiance is not None:
            state[_DEBLURRED] = self._deblurring.radiance
        return self._engine.decided, state

    def require_engine(self, name: str | None) -> None:
        """Run the network by what ran it before an interruption. Raises ValueError where that isn't there."""
        if name is not None:
            self._engine.require(name)

    def restore(self, state: State) -> None:
        """Go on from a hidden state that `saved` gave."""
        if self._deblurring:
            self._deblurring.radiance = state.get(_DEBLURRED)
        of_network = {name: x.to(self.device) for name, x in state.items() if name != _DEBLURRED}
        self._state = of_network or None

    def _inputs(self, job: Job, watch: "_Stopwatch"):
        frame, deblurring, instant = job.frame, self._deblurring, None
        if frame.grid is None:
            exposures = deblurring.exposures_ns(job) if deblurring else job.exposures_ns
            times = *job.interval_ns, frame.size, exposures
            grid = self.voxels.build(job.events, job.event_size, *times)
        else:
            grid = self.voxels.from_grid(frame.grid, frame.size)
        watch.lap("voxel")
        ldr, clipped = self._response.linearise(frame.image, self.device)
        gain, voxel = self._rescale(frame.effective_time_s), grid
        if not self.voxels.problem:
            self._dead_time.add(job.taken, *(job.event_size or frame.size))
        if deblurring and not self.voxels.problem:
            instant = deblurring(job, ldr, self.voxels.registration, self._clipped_from, gain)
            if instant:
                instant = instant.to(self.device)
                ldr, voxel = instant.ldr, instant.weighted(grid)
            watch.lap("deblur")
        if instant is None and frame.grid is None:
            voxel = self._with_missed(grid, job)
        return grid, ldr, self.voxels.in_units(voxel), clipped, gain, instant

    def _with_missed(self, grid: Tensor, job: Job) -> Tensor:
        dead_ns, fit = self._dead_time.ns, self.event_fit
        if not dead_ns or fit is None:
            return grid
        return corrected(grid, *(grid.new_tensor([s]) for s in (_seconds(job), dead_ns * 1e-9)), fit)

    def _step(self, job: Job) -> Reconstruction:
        watch, fault = _Stopwatch(self.device), None
        grid, ldr, voxel, clipped, gain, instant = self._inputs(job, watch)
        stream = Stream(self._clipped_from, _seconds(job))
        estimate, self._state = self._engine.step(ldr, voxel, self._state, stream)
        if not _is_finite(estimate.radiance):
            self.not_finite += 1
            fault, self._state = Fault.NOT_FINITE, None
            estimate, self._state = self._engine.step(ldr, voxel, None, stream)
            if not _is_finite(estimate.radiance):  # no state is to blame
                estimate, self._state = _where_finite(estimate, ldr), None
        if instant and self.config.radiance == "ldr_white":
            estimate = instant.complete(estimate)
        planes = {name: part for name, part in estimate._asdict().items() if part is not None}
        radiance = planes.pop("radiance")
        if gain != 1.0:
            radiance = radiance * gain  # of which sigma, a share, knows nothing
        if self._deblurring:
            self._deblurring.radiance = radiance.to("cpu", copy=True)
        watch.lap("network")
        reason = fault.value if fault else ""
        return Reconstruction(radiance, planes, grid, clipped, gain, watch.durations, fault, reason)

    def _fall_back(self) -> bool:
        """To 16 bits on this device, else to the CPU; False where that isn't allowed, or nothing is left."""
        if self._fallback == "none" or self.device.type == "cpu":
            return False
        self.fallbacks += 1
        cameras = getattr(self, "voxels", None)
        self._engine = self._state = None
        torch.cuda.empty_cache()
        if self.precision == "float32":
            self.precision = pick_precision("auto", self.device)
        else:
            self.device, self.precision = torch.device("cpu"), pick_precision("auto", torch.device("cpu"))
        self._load_or_fall_back()
        if cameras is not None:
            self.voxels.take_cameras(cameras)
        return True

    def _rescale(self, exposure: float | None) -> float:
        """Factor that brings this frame to the first's scale; tells the state what changed since the last."""
        if not exposure or not exposure > 0:
            return self._gain
        if self._first_exposure is None:
            self._first_exposure = exposure
        elif exposure != self._last_exposure and self._state is not None:
            self._state = self._engine.rescale(self._state, exposure / self._last_exposure)
        self._last_exposure = exposure
        return self._gain


def _seconds(job: Job) -> float:
    t0_ns, t1_ns = job.interval_ns
    return USUAL_SECONDS if job.before is None else max(t1_ns - t0_ns, 0) * 1e-9


def _on_host(x: Tensor) -> np.ndarray:
    """A copy, rows after rows: the network may use its memory again for the next frame."""
    return x.float().cpu().clone(memory_format=torch.contiguous_format).numpy()


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
        if name != "float32" and device.type == "cpu" and torch.__version__ < "2":
            raise InputError(
                f"precision {name} on a CPU needs PyTorch 2.0, and this is {torch.__version__}: use float32"
            )
        return name
    if name != "auto":
        raise InputError(f"precision {name!r}: use auto, {', '.join(PRECISIONS)}")
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    native = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    return "bfloat16" if native else "float32"


def _is_finite(radiance: Tensor) -> bool:
    return math.isfinite(radiance.sum().item())


def _where_finite(estimate: Estimate, ldr: Tensor) -> Estimate:
    """Elsewhere the frame as it came, of which, where it clips, nothing is known."""
    radiance, sigma, cause, *_ = estimate
    finite = radiance.isfinite()
    if sigma is not None:
        lost = (cause > 0) & ~finite.all(1, keepdim=True)
        sigma, cause = sigma.masked_fill(lost, math.inf), cause.masked_fill(lost, CAUSES.index("lost"))
    return estimate._replace(radiance=torch.where(finite, radiance, ldr), sigma=sigma, cause=cause)


class _Stopwatch:
    """Durations of stages; each lap waits for the device, whose work counts too, but for no download."""

    def __init__(self, device: torch.device):
        self._device, self._last = device, time.perf_counter()
        self.durations: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        if self._device.type == "cuda":
            torch.cuda.current_stream(self._device).synchronize()
        now = time.perf_counter()
        self.durations[stage] = now - self._last
        self._last = now
