"""A simulated recording: LDR frames, events and the true HDR radiance, by one clock."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from rehdr_ros.errors import InputError
from rehdr_ros.events import Events
from rehdr_ros.simulation.scene import Scene, load_radiance, make_scene
from rehdr_ros.simulation.sensors import EventCamera, EventCameraConfig, FrameCamera


@dataclass(frozen=True)
class SimulationConfig:
    """What to simulate. The same configuration gives the same recording.

    scene: "procedural", or a `.hdr`/`.exr` file. seconds, fps: length, frame rate. clipped: share of the pixels, mean
    over the recording, that the exposure lets clip. exposure: s, motion blur included. speed: image motion, about px/s.
    renders: scene renderings a second from which events are interpolated.
    """

    scene: str = "procedural"
    width: int = 346
    height: int = 260
    seconds: float = 3.0
    fps: float = 20.0
    seed: int = 0
    clipped: float = 0.2
    exposure: float = 0.004
    speed: float = 60.0
    renders: float = 400.0
    jitter: float = 0.0
    events: EventCameraConfig = field(default_factory=EventCameraConfig)

    def __post_init__(self):
        for name in ("width", "height", "seconds", "fps", "speed", "renders", "exposure"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} must be positive, not {getattr(self, name)}")
        if not 0 < self.clipped < 1:
            raise InputError(f"clipped must lie between 0 and 1, not {self.clipped}")
        if not 0 <= self.jitter < 1:
            raise InputError(f"jitter must lie in [0, 1), not {self.jitter}")

    @property
    def frames(self) -> int:
        return max(1, round(self.seconds * self.fps))


_TAIL_NS = 10_000_000


@dataclass(frozen=True)
class Sample:
    """One frame. ldr: (H, W, 3) uint8; truth: (H, W, 3) float32 radiance, 1.0 = the level that saturates ldr;
    events: all since the previous frame; tail: those of the first 10 ms after the recording's last frame, by which a
    reader sees that it is complete, empty before; stamp_ns: start of the exposure, from 0."""

    stamp_ns: int
    ldr: np.ndarray
    truth: np.ndarray
    events: Events
    tail: Events


def simulate(config: SimulationConfig, radiance: np.ndarray | None = None) -> Iterator[Sample]:
    """The recording, frame by frame, in constant memory. `radiance`, if given, replaces config.scene's."""
    if radiance is None:
        radiance = load_radiance(config.scene, config.height, config.width, config.seed)
    motion = np.random.default_rng([config.seed, 1])
    scene = make_scene(radiance, config.height, config.width, config.speed, motion)
    rng = np.random.default_rng([config.seed, 2])
    camera = FrameCamera(white=_white(scene, config))
    sensor = EventCamera(config.height, config.width, config.events, rng)

    def advance(start: int, end: int) -> Events:
        times = np.linspace(start, end, 1 + max(1, round((end - start) * 1e-9 * config.renders)))[1:]
        return Events.concatenate(sensor.step(int(t), scene.render(t * 1e-9) / camera.white) for t in times)

    stamps = _stamps(config, rng)
    previous = stamps[0]
    for stamp in stamps:
        events = advance(previous, stamp)
        truth = _blurred(scene, stamp, config.exposure) / camera.white
        ldr = camera.expose(truth * camera.white, rng)
        tail = advance(stamp, stamp + _TAIL_NS) if stamp == stamps[-1] else Events.empty()
        yield Sample(stamp, ldr, truth, events, tail)
        previous = stamp


def _stamps(config: SimulationConfig, rng: np.random.Generator) -> list[int]:
    """Frame stamps in ns; `jitter` moves each by up to that share of half an interval."""
    shift = rng.uniform(-0.5, 0.5, config.frames) * config.jitter
    shift[0] = 0
    return [int(round((i + s) / config.fps * 1e9)) for i, s in enumerate(shift)]


def _blurred(scene: Scene, stamp_ns: int, exposure: float, renders: int = 3) -> np.ndarray:
    """Mean radiance over the exposure."""
    offsets = (np.arange(renders) + 0.5) / renders * exposure
    return np.mean([scene.render(stamp_ns * 1e-9 + o) for o in offsets], 0, dtype=np.float32)


def _white(scene: Scene, config: SimulationConfig) -> float:
    """The radiance that must saturate for the wanted share of clipped pixels."""
    views = [scene.render(t).max(-1)[::2, ::2] for t in np.linspace(0, config.seconds, 12)]
    return float(max(np.quantile(views, 1 - config.clipped), 1e-6))
