"""The whole core behind one small face: packets and frames in, HDR frames out."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from functools import partial

import numpy as np
import torch

from rehdr_ros.errors import InputError
from rehdr_ros.events import Calibration, Events, Exposure, Frame, Packet, warm_up
from rehdr_ros.events.codecs import CODECS
from rehdr_ros.reconstruction.config import PipelineConfig
from rehdr_ros.reconstruction.event_image import event_image
from rehdr_ros.reconstruction.event_model import EventModel
from rehdr_ros.reconstruction.frame_info import Fault, Fit, FrameInfo
from rehdr_ros.reconstruction.front_end import FrontEnd
from rehdr_ros.reconstruction.hdr_frame import HdrFrame
from rehdr_ros.reconstruction.output_schedule import OutputJob
from rehdr_ros.reconstruction.propagation import LatePlane, Propagation, cause, sigma
from rehdr_ros.reconstruction.reconstructor import Reconstruction, Reconstructor
from rehdr_ros.reconstruction.response import Response
from rehdr_ros.reconstruction.snapshot import Snapshot
from rehdr_ros.reconstruction.synchronizer import Exposed, Job
from rehdr_ros.reconstruction.tonemap import ToneMapped, ToneMapper
from rehdr_ros.reconstruction.tonemap_kernels import interleaved
from rehdr_ros.reconstruction.voxel_input import VoxelConfig
from rehdr_ros.reconstruction.warm_up import warm_up as warm_up_kernels
from rehdr_ros.settings import changed
from rehdr_ros.transfer import Download, LateDownload


class HdrPipeline:
    """Receiver, synchroniser, network and tone mapping in one object.

    `add` and its likes may be called from one thread while another runs `take`: they never wait for the
    network. Raises CheckpointError or ValueError for what the configuration asks for and can't have.
    """

    def __init__(self, config: PipelineConfig | None = None):
        self.config = config = config or PipelineConfig()
        network = config.weights, config.device, config.precision
        others = config.white_level, config.fallback, config.engine, config.deblur
        self._reconstructor = Reconstructor(*network, config.response, config, *others)
        self._tonemapper = ToneMapper(config.tonemap)
        self._event_model = EventModel(config.fixed_latency, config.deblur)
        self._beside = ThreadPoolExecutor(1, "rehdr events")
        self._front_end = FrontEnd(config)
        self._use_event_model()
        self._changes: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._index = self._state_since_ns = 0
        self._propagation = Propagation()
        self._running: Job | None = None  # what the network works on
        self._passing: Snapshot | None = None  # until its frames have passed

    @property
    def device(self) -> str:
        return str(self._reconstructor.device)

    @property
    def precision(self) -> str:
        return self._reconstructor.precision

    @property
    def engine(self) -> str:
        """What runs the network, in words; it may change to something faster while frames go through."""
        return self._reconstructor.engine

    @property
    def radiance(self) -> str:
        """What the values mean: "ldr_white" (1.0 = white of the first frame) or "relative"."""
        return self._reconstructor.config.radiance

    @property
    def estimated_exposure(self) -> float:
        """Exposure time of frames that don't tell it, s, by the events; 0 where unknown, or not needed."""
        return self._event_model.exposure

    @property
    def counters(self) -> dict[str, int]:
        """Since activation, by cause: what was lost or odd on the way, and what the network could not do."""
        with self._lock:
            own = {"not_finite": self._reconstructor.not_finite, "fallbacks": self._reconstructor.fallbacks}
            return {**self._front_end.counters, **own}

    @property
    def events(self) -> int:
        """How many have come since activation."""
        with self._lock:
            self._front_end.decode()
            return self._front_end.events

    def configure(self, config: PipelineConfig) -> None:
        """Go on with other settings from the next frame on; a new response starts anew.

        Raises ValueError, and changes nothing, for a setting that a pipeline is made with for good (`fixed`).
        """
        new = changed(self.config, config)
        fixed = sorted(f.name for f in fields(PipelineConfig) if f.name in new and f.metadata["fixed"])
        if fixed:
            raise InputError(f"{', '.join(fixed)}: only a new pipeline can change that")
        reconstructor, changes = self._reconstructor, []
        if new & {"response", "white_level"}:
            response = Response(config.response, config.white_level)
            changes.append(partial(reconstructor.set_response, response))
            changes.append(lambda: self._front_end.synchronizer.reset("response"))
        if "deblur" in new:
            changes.append(partial(reconstructor.set_deblur, config.deblur))
            changes.append(partial(self._event_model.set_estimates_exposure, config.deblur))
        if new & {f.name for f in fields(VoxelConfig)}:
            changes.append(partial(reconstructor.set_voxels, config))
        if "tonemap" in new:
            changes.append(partial(setattr, self, "_tonemapper", ToneMapper(config.tonemap)))
        if new & _MAKES_ANOTHER_EVENT_MODEL:
            changes.append(self._event_model.forget)
        changes += [partial(self._event_model.set_fixed_latency, config.fixed_latency), self._use_event_model]
        changes.append(lambda: self._front_end.configure(config))
        with self._lock:
            self.config = config
            self._changes += changes

    @property
    def snapshot(self) -> Snapshot:
        """What `resume` needs, once the last frame of `take` has been used."""
        engine, state = self._reconstructor.saved
        return Snapshot(
            frames=self._index,
            device=self.device,
            precision=self.precision,
            engine=engine,
            state=state,
            since_ns=self._state_since_ns,
            event_fit=tuple(self._event_model.fit),
            exposure=self._tonemapper.exposure,
            not_finite=self._reconstructor.not_finite,
            fallbacks=self._reconstructor.fallbacks,
        )

    @property
    def passing(self) -> bool:
        """Whether frames that were done before `resume` are still to pass."""
        return self._passing is not None

    def resume(self, snapshot: Snapshot) -> None:
        """Go on with an interrupted stream, in a new pipeline of the same settings, to the same results.

        Its messages have to come again from the start. The frames that the snapshot had seen pass quickly,
        without the network, and `take` doesn't yield them. Raises ValueError where results would differ here,
        and for outputs between the frames.
        """
        if self.config.output_rate:
            raise InputError("outputs between the frames need all of the stream")
        before, now = f"{snapshot.precision} on {snapshot.device}", f"{self.precision} on {self.device}"
        if before != now or snapshot.fallbacks:
            raise InputError(f"the network ran in {before}, now it runs in {now}")
        self._reconstructor.require_engine(snapshot.engine)
        self._passing = snapshot if snapshot.frames else None

    def warm_up(self, size: tuple[int, int] | None = None) -> None:
        """Compile all for frames of that width and height, and run the network: no frame will wait for that.

        size None: not known yet; the first frames then go by PyTorch.
        """
        for encoding in CODECS:
            warm_up(encoding)
        warm_up_kernels()
        if size:
            self._reconstructor.compile(*size)
        image = np.zeros((*(size or (64, 64))[::-1], 3), np.uint8)
        image[: len(image) // 2] = 255  # what is clipped goes through other kernels
        # Frames are deblurred from the third on.
        for before in (None, Exposed(0, 2), Exposed(0, 2)):
            job = Job(Frame(1, image), Exposed(1, 3), before)
            self._tonemap(self._reconstructor.reconstruct(job), 0)
        self._reconstructor.reset()
        self._reconstructor.voxels.forget()
        self._tonemapper.reset()

    def close(self) -> None:
        """Free the network and the device's memory; the pipeline is of no use afterwards."""
        self._beside.shutdown()
        del self._reconstructor
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def add(
        self,
        message: Packet | Events | Frame | Exposure | Calibration,
        event_size: tuple[int, int] | None = None,
        now: float | None = None,
    ) -> None:
        """Whatever a camera or a recording brings. Packets' data must stay as it is until a frame is taken.

        event_size: where Events come, t in ROS ns: width and height of their camera, the frames' if None.
        now: where a Frame comes: s, by the clock whose time `take` gets, if not the monotonic one.
        Raises ValueError for a packet of an unknown encoding, of triggers, and of an impossible size.
        """
        arrived = time.monotonic()
        if isinstance(message, Calibration):
            self._reconstructor.voxels.set_camera(message.of, message.camera)
            return
        with self._lock:
            self._front_end.add(message, event_size, arrived, now)

    def add_packet(self, packet: Packet) -> None:
        """As `add`."""
        self.add(packet)

    def add_events(self, events: Events, size: tuple[int, int] | None = None) -> None:
        """Events that come decoded, as for `add`."""
        self.add(events, size)

    def add_frame(
        self,
        stamp_ns: int,
        image: np.ndarray,
        exposure: float | None = None,
        frame_id: str = "",
        now: float | None = None,
        grid: np.ndarray | None = None,
        exposure_seconds: float | None = None,
    ) -> None:
        """As add(Frame). exposure: time x gain, in s; exposure_seconds: the time alone. Raises as Frame."""
        self.add(Frame(stamp_ns, image, frame_id, exposure_seconds, exposure, grid), now=now)

    def add_exposure(self, stamp_ns: int, exposure: float, exposure_seconds: float | None = None) -> None:
        """As add(Exposure). exposure: time x gain, in s; exposure_seconds: the time. Raises as Exposure."""
        self.add(Exposure(stamp_ns, exposure, exposure_seconds))

    @property
    def registration_problem(self) -> str:
        """Why the events can't be brought into the frames, which then get none; empty if they can."""
        return self._reconstructor.voxels.problem

    @property
    def registration_doubt(self) -> str:
        """Why the events may be brought into the frames wrongly; empty where nothing speaks for it."""
        return self._reconstructor.voxels.doubt

    @property
    def frame_problem(self) -> str:
        """Why many frames are left out; empty where they aren't."""
        with self._lock:
            return self._front_end.synchronizer.problem

    @property
    def event_latency(self) -> float:
        """How late the events come, s: taken off their time."""
        return self._event_model.latency

    @property
    def event_fit(self) -> Fit:
        """How well the events explain the frames so far; waits for the network's device."""
        return Fit.of(self._reconstructor.event_fit)

    @property
    def event_problem(self) -> str:
        """Why the events are of little use, though they come; empty where they explain the frames."""
        return self._event_model.problem

    @property
    def hot_pixels(self) -> int:
        """How many event pixels hot_pixel_filter leaves out now."""
        return self._reconstructor.voxels.hot_pixels

    def reset(self, reason: str) -> None:
        """Forget the hidden state; the next frame starts anew and its info says why. What waits is kept."""
        with self._lock:
            self._front_end.synchronizer.reset(reason)

    def restart(self, reason: str) -> None:
        """Expect a new stream: forget the hidden state, what waits and the sensor's clock."""
        with self._lock:
            self._running = None
            self._front_end.restart(reason)
            self._event_model.forget()
            self._use_event_model()

    def activate(self) -> None:
        """As `restart`, with all that is counted at 0 again, and the frames' index."""
        with self._lock:
            self._front_end = FrontEnd(self.config)
            self._index = self._reconstructor.not_finite = self._reconstructor.fallbacks = 0
            self._propagation.reset()
        self.restart("activation")

    def take(self, now: float | None = None, flush: bool = False) -> Iterator[HdrFrame]:
        """The frames that may go, in order, each computed as it is asked for.

        With output_rate the outputs at regular stamps that are due, instead. now: s for the event timeout,
        live, by the monotonic clock or that of `add`; None: frames wait for their events for ever, unless
        `flush`, at the end of a recording.
        """
        for job, decode in self._jobs(now, flush):
            if self._passing:
                self._pass_over(job)
            elif not self.config.output_rate:
                yield self._process(job, decode, wait=now is None)
            else:
                self._update(job, decode, wait=now is None)
                yield from self.take_outputs(now, flush)
        if self.config.output_rate:
            yield from self.take_outputs(now, flush)

    def update(self, now: float) -> bool:
        """With output_rate: reconstruct a frame that may go, if any; another thread takes the outputs."""
        for job, decode in self._jobs(now, flush=False):
            self._update(job, decode, wait=False)
            return True
        return False

    def take_outputs(self, now: float | None = None, flush: bool = False) -> Iterator[HdrFrame]:
        """With output_rate: the outputs that are due, from frames reconstructed so far; else as `take`."""
        while True:
            with self._lock:
                job = self._front_end.next_output(self._running, now, flush)
            if job is None:
                return
            yield self._propagate(job)

    def _jobs(self, now: float | None, flush: bool) -> Iterator[tuple[Job, float]]:
        """The frames that may go, and the s that it took to decode their events."""
        while True:
            with self._lock:
                while self._changes:
                    self._changes.pop(0)()
                self._running = job = self._front_end.next(now, flush)
                if job is None:
                    return
                decode, self._front_end.decode_seconds = self._front_end.decode_seconds, 0.0
            self._begin(job)
            yield job, decode

    def _begin(self, job: Job) -> None:
        if job.reset_reason:
            self._reconstructor.reset()
            if not self.config.output_rate:
                self._tonemapper.reset()
            self._state_since_ns = job.frame.stamp_ns

    def _learn(self, job: Job) -> None:
        synchronizer = self._front_end.synchronizer
        self._event_model.learn(job, self._reconstructor, synchronizer.share_of_estimated)
        with self._lock:
            self._use_event_model()

    def _use_event_model(self) -> None:
        synchronizer = self._front_end.synchronizer
        synchronizer.latency_ns = _ns(self._event_model.latency)
        synchronizer.estimated_exposure_ns = _ns(self._event_model.exposure)

    def _pass_over(self, job: Job) -> None:
        self._reconstructor.pass_over(job)
        self._learn(job)
        self._index += 1
        if self._index == self._passing.frames:
            self._reconstructor.restore(self._passing.state)
            self._reconstructor.not_finite = self._passing.not_finite
            self._state_since_ns = self._passing.since_ns
            self._event_model.fit = Fit(*self._passing.event_fit)
            self._tonemapper.exposure = self._passing.exposure
            self._passing = None

    def _tonemap(self, result: Reconstruction, stamp_ns: int) -> ToneMapped:
        sigma = result.planes.get("sigma")
        sigma = None if sigma is None else sigma[0, 0]
        return self._tonemapper(_view(result.radiance), stamp_ns, sigma, result.white)

    def _process(self, job: Job, decode_seconds: float, wait: bool) -> HdrFrame:
        frame = job.frame
        result = self._reconstructor.reconstruct(job, wait)
        if result.reset_reason:
            self._state_since_ns = frame.stamp_ns
        started = time.perf_counter()
        learning = self._beside.submit(self._learn, job)
        radiance = _pixels(result.radiance)
        tonemapped, tonemapped_clipped = self._tonemap(result, frame.stamp_ns)
        download = Download(radiance)
        late = {name: LateDownload(part) for name, part in result.planes.items()}
        shown = time.perf_counter()
        learning.result()
        durations = {"decode": decode_seconds, **result.durations, "tonemap": shown - started}
        durations["voxel"] += time.perf_counter() - shown
        picture, white = None, self._reconstructor.white(frame.image.dtype)
        if self.config.event_image:
            started = time.perf_counter()
            picture = event_image(result.grid[0].cpu().numpy(), frame.image, white)
            durations["event_image"] = time.perf_counter() - started
        info = self._info(job, result, durations, tonemapped_clipped)
        self._index += 1
        ldr = frame.stamp_ns, frame.frame_id, frame.image, white
        return HdrFrame(*ldr, download, tonemapped, info, picture, late)

    def _info(
        self, job: Job, result: Reconstruction, durations: dict[str, float], tonemapped_clipped: float
    ) -> FrameInfo:
        counters, why = Counter(self.counters), result.reset_reason
        return FrameInfo(
            index=self._index,
            events=len(job.taken) if job.before else 0,
            **{name: counters[name] for name in _COUNTED},
            clipped_fraction=result.clipped_fraction,
            tonemapped_clipped_fraction=tonemapped_clipped,
            state_age=(job.frame.stamp_ns - self._state_since_ns) * 1e-9,
            reset_reason=why if result.fault is Fault.OUT_OF_MEMORY else job.reset_reason or why,
            radiance=self.radiance,
            ready_at=job.ready_at,
            event_latency=job.latency_ns * 1e-9,
            event_fit=self._event_model.fit,
            fault=result.fault,
            durations=durations,
        )

    def _update(self, job: Job, decode_seconds: float, wait: bool) -> None:
        """Reconstruct a frame for the outputs that rest on it."""
        result = self._reconstructor.reconstruct(job, wait)
        if result.reset_reason:
            self._state_since_ns = job.frame.stamp_ns
        info = self._info(job, result, {"decode": decode_seconds, **result.durations}, 0.0)
        learning = self._beside.submit(self._learn, job)
        keyframe = self._reconstructor.keyframe(job, result, info)
        with self._lock:
            if self._running is job:  # else another stream began meanwhile
                self._front_end.add_keyframe(keyframe)
            self._running = None
        learning.result()

    def _propagate(self, job: OutputJob) -> HdrFrame:
        """An output between the frames."""
        started = time.perf_counter()
        keyframe, stamp_ns = job.keyframe, job.stamp_ns
        if job.started:
            self._propagation.reset()
            self._tonemapper.reset()
        radiance, events = self._propagation(job)
        download = Download(torch.from_numpy(interleaved(radiance)))
        propagated = time.perf_counter()
        spread = None
        if keyframe.sigma is not None and self._tonemapper.takes_sigma:
            spread = torch.from_numpy(sigma(keyframe, events))
        view = _view(torch.from_numpy(radiance)[None])
        tonemapped, clipped = self._tonemapper(view, stamp_ns, spread, keyframe.clips_at)
        tone_mapped = time.perf_counter()
        made = keyframe.info.durations if job.is_first else dict.fromkeys(keyframe.info.durations, 0.0)
        durations = {**made, "propagation": propagated - started, "tonemap": tone_mapped - propagated}
        picture, frame = None, keyframe.frame
        if self.config.event_image:
            picture = event_image(self._propagation.grid(job), frame.image, keyframe.white)
            durations["event_image"] = time.perf_counter() - tone_mapped
        counters = Counter(self.counters)
        info = replace(
            keyframe.info,
            index=self._index,
            events=len(job.events),
            **{name: counters[name] for name in _COUNTED},
            tonemapped_clipped_fraction=clipped,
            state_age=keyframe.info.state_age + (stamp_ns - frame.stamp_ns) * 1e-9,
            reset_reason=job.started.info.reset_reason if job.started else "",
            fault=keyframe.info.fault if job.is_first else None,
            ready_at=job.ready_at,
            durations=durations,
            source="between",
            frame_age=(job.instant_ns - keyframe.time_ns) * 1e-9,
        )
        self._index += 1
        planes = (
            {}
            if keyframe.sigma is None
            else {"sigma": LatePlane(sigma, keyframe, events), "cause": LatePlane(cause, keyframe, events)}
        )
        ldr = stamp_ns, frame.frame_id, frame.image, keyframe.white
        return HdrFrame(*ldr, download, tonemapped, info, picture, planes)


_COUNTED = "dropped_events", "late_events", "lost_packets", "skipped_frames"  # in FrameInfo
# Settings whose change makes what was learned of the events wrong.
_MAKES_ANOTHER_EVENT_MODEL = {"response", "white_level", "event_time_offset", "stamp_is", *(
    f.name for f in fields(VoxelConfig) if not f.name.startswith("hot_pixel")
)}  # fmt: skip


def _view(radiance: torch.Tensor) -> torch.Tensor:
    """(1, 3, H, W) -> (H, W, 3)."""
    return radiance[0].permute(1, 2, 0)


def _pixels(radiance: torch.Tensor) -> torch.Tensor:
    """The same, always a copy: the network may use its memory again for the next frame."""
    if radiance.device.type == "cpu":
        return torch.from_numpy(interleaved(radiance[0].contiguous().numpy()))
    return _view(radiance).clone(memory_format=torch.contiguous_format)


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)
