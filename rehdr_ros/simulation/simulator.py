"""A simulated recording: LDR frames, events and the true HDR radiance, by one clock."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from rehdr_ros.events import Events
from rehdr_ros.settings import Settings, setting
from rehdr_ros.simulation.auto_exposure import AutoExposure
from rehdr_ros.simulation.hall import HallScene
from rehdr_ros.simulation.scene import Scene, load_radiance, make_scene
from rehdr_ros.simulation.sensors import EventCamera, EventCameraConfig, FrameCamera


@dataclass(frozen=True)
class SimulationConfig(Settings):
    """What to simulate. The same configuration gives the same recording."""

    scene: str = setting("procedural", "procedural, hall, or a .hdr panorama or .exr photograph")
    width: int = setting(346, "of frames and events", unit="px", above=0)
    height: int = setting(260, "of frames and events", unit="px", above=0)
    seconds: float = setting(3.0, "length", unit="s", above=0)
    fps: float = setting(20.0, "frame rate", unit="Hz", above=0)
    seed: int = setting(0, "the same seed gives the same recording", least=0)
    clipped: float = setting(0.2, "share of all pixels that the exposure lets clip", above=0, below=1)
    white: float = setting(0.0, "radiance that the exposure lets saturate; 0: as clipped says", least=0)
    exposure: float = setting(0.004, "exposure time, motion blur included", unit="s", above=0)
    auto_exposure: bool = setting(False, "exposure that follows the light from frame to frame; told")
    sharp_truth: bool = setting(False, "truth at the exposure's middle, without its blur; exposure told")
    speed: float = setting(60.0, "how fast the image moves, about", unit="px/s", above=0)
    renders: float = setting(400.0, "renderings, between which events are interpolated", unit="Hz", above=0)
    jitter: float = setting(0.0, "irregularity of the frame intervals, 0 to 1", least=0, below=1)
    events: EventCameraConfig = field(default_factory=EventCameraConfig)

    @property
    def frames(self) -> int:
        return max(1, round(self.seconds * self.fps))


_TAIL_NS, _TAIL_EXPOSURES = 10_000_000, 1.2
_LEAST_VIEWS, _VIEWS_PER_PIXEL = 3, 2  # rendered of an exposure, over the px that the image moves by


@dataclass(frozen=True)
class Sample:
    """One frame. ldr: (H, W, 3) uint8; truth: (H, W, 3) float32 radiance, 1.0 = the level that saturates the
    first ldr, the mean over the exposure or, with sharp_truth, at its middle; exposure: s, time x gain, of
    which config.exposure is the time; events: all since the previous frame; tail: those of the recording's
    last exposure and a little more, 10 ms at least, by which a reader sees that it is complete, empty before;
    stamp_ns: start of the exposure, from 0."""

    stamp_ns: int
    ldr: np.ndarray
    truth: np.ndarray
    events: Events
    tail: Events
    exposure: float

    @property
    def event_count(self) -> int:
        return len(self.events) + len(self.tail)


def simulate(config: SimulationConfig, radiance: np.ndarray | None = None) -> Iterator[Sample]:
    """The recording, frame by frame, in constant memory. `radiance`, if given, replaces config.scene's."""
    return simulate_scene(_scene(config, radiance), config)


def simulate_scene(scene: Scene, config: SimulationConfig) -> Iterator[Sample]:
    """The recording of a scene with a motion of its own, whatever config.scene and config.speed are."""
    rng = np.random.default_rng([config.seed, 2])
    control = AutoExposure(scene.render(0.0)) if config.auto_exposure else None
    camera = FrameCamera(white=control.white if control else _white(scene, config))
    sensor = EventCamera(config.height, config.width, config.events, rng)

    def advance(start: int, end: int) -> Events:
        times = np.linspace(start, end, 1 + max(1, round((end - start) * 1e-9 * config.renders)))[1:]
        return Events.concatenate(sensor.step(int(t), scene.render(t * 1e-9) / camera.white) for t in times)

    tail_ns = max(_TAIL_NS, round(_TAIL_EXPOSURES * config.exposure * 1e9))
    stamps = _stamps(config, rng)
    previous = stamps[0]
    for stamp in stamps:
        events = advance(previous, stamp)
        truth = _blurred(scene, stamp, config) / camera.white
        white = control.white if control else camera.white
        ldr = replace(camera, white=white).expose(truth * camera.white, rng)
        if config.sharp_truth:
            truth = scene.render(stamp * 1e-9 + config.exposure / 2) / camera.white
        tail = advance(stamp, stamp + tail_ns) if stamp == stamps[-1] else Events.empty()
        yield Sample(stamp, ldr, truth, events, tail, config.exposure * camera.white / white)
        if control:
            control.follow(ldr, 1 / config.fps)
        previous = stamp


def truth_at(config: SimulationConfig, radiance: np.ndarray | None = None) -> Callable[[float], np.ndarray]:
    """What the scene of `simulate` is at any s from 0, without blur: as of Sample.truth."""
    scene = _scene(config, radiance)
    white = np.float32(_white(scene, config))
    return lambda seconds: scene.render(seconds) / white


def _scene(config: SimulationConfig, radiance: np.ndarray | None) -> Scene:
    motion = np.random.default_rng([config.seed, 1])
    view = config.height, config.width, config.speed, motion
    if radiance is None and config.scene == "hall":
        return HallScene(*view)
    if radiance is None:
        radiance = load_radiance(config.scene, config.height, config.width, config.seed)
    return make_scene(radiance, *view)


def _stamps(config: SimulationConfig, rng: np.random.Generator) -> list[int]:
    """Frame stamps in ns; `jitter` moves each by up to that share of half an interval."""
    shift = rng.uniform(-0.5, 0.5, config.frames) * config.jitter
    shift[0] = 0
    return [int(round((i + s) / config.fps * 1e9)) for i, s in enumerate(shift)]


def _blurred(scene: Scene, stamp_ns: int, config: SimulationConfig) -> np.ndarray:
    """Mean radiance over the exposure."""
    renders = max(_LEAST_VIEWS, math.ceil(_VIEWS_PER_PIXEL * config.speed * config.exposure))
    offsets = (np.arange(renders) + 0.5) / renders * config.exposure
    return np.mean([scene.render(stamp_ns * 1e-9 + o) for o in offsets], 0, dtype=np.float32)


def _white(scene: Scene, config: SimulationConfig) -> float:
    """The radiance that must saturate for the wanted share of clipped pixels, where none is set."""
    if config.white:
        return config.white
    views = [scene.render(t).max(-1)[::2, ::2] for t in np.linspace(0, config.seconds, 12)]
    return float(max(np.quantile(views, 1 - config.clipped), 1e-6))
