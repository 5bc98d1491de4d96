"""Simulated sequences by the batch, on any device: what a training consumes. The physics of simulator.py."""

import itertools
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from rehdr_ros.errors import InputError
from rehdr_ros.settings import Settings, setting
from rehdr_ros.simulation.batch_scene import Background, BatchScene, luminance_of
from rehdr_ros.simulation.batch_sensors import BatchEventCamera, Readout, add_noise, expose

Range = tuple[float, float]

_MAY_BE_NONE = ("refractory_us", "noise_rate", "leak_rate", "bandwidth")  # though drawn by the logarithm
_MOST_STEPS = 7  # renders between two bins; up to 42 px an interval of five bins
_BLUR_STEP, _BLUR_STEPS = 2.0, 9  # px between two renders of an exposure; at most so many
_NOTHING = 1e-300  # zero as float32
_KNEE = 0.8  # luminance, white = 1, from which a ceiling is felt
_DARK = 0.02  # luminance, white = 1, below which a pixel's noise grows
_FEW = 1 / 12  # of the hot pixels
_IN_HALF = "in half of the sequences"


def _range(low: float, high: float, text: str, unit: str = "", **bounds: float) -> Range:
    return setting((low, high), text, unit=unit, lengths=(2,), **bounds)


def _share(default: float, text: str) -> float:
    return setting(default, f"share of the sequences {text}", least=0, most=1)


@dataclass(frozen=True)
class Variety(Settings):
    """From where to where each property is drawn, anew for every sequence; positive ones by logarithm."""

    scale: Range = _range(0.7, 1.6, "texture pixels a view pixel", above=0)
    fps: Range = _range(8.0, 50.0, "frame rate", "Hz", above=0)
    speed: Range = _range(8.0, 200.0, "how fast the image moves, about", "px/s", above=0)
    jitter: Range = _range(0.0, 0.4, "irregularity of the frame intervals", least=0, most=1)
    clipped: Range = _range(0.02, 0.6, "share of the pixels that clip", least=0, most=1)
    exposure: Range = _range(0.0003, 0.11, "exposure time; at most 0.9 of the interval", "s", above=0)
    contrast: Range = _range(0.1, 0.75, "contrast threshold, natural log units", above=0)
    skew: Range = _range(-0.4, 0.4, f"log of the ON over the OFF threshold, halved; {_IN_HALF}")
    mismatch: Range = _range(0.0, 0.12, "relative spread of the contrast thresholds", least=0)
    refractory_us: Range = _range(50.0, 1500.0, "dead time of a pixel after an event", "us", least=0)
    scatter: Range = _range(0.0, 0.7, f"relative error of a pixel's count; {_IN_HALF}", least=0)
    strays: Range = _range(0.0, 0.3, f"events beside, a true one; {_IN_HALF}", least=0)
    readout: Range = _range(3.0, 300.0, f"most events a pixel; {_IN_HALF}", "Hz", above=0)
    noise_rate: Range = _range(0.003, 1.0, "random events of a pixel", "Hz", least=0)
    leak_rate: Range = _range(0.003, 0.2, "ON events of a pixel without a change", "Hz", least=0)
    glare_rate: Range = _range(
        20.0, 500.0, "ON events of the brightest pixels without a change", "Hz", least=0
    )
    glaring: Range = _range(
        0.001, 0.05, "share of the pixels that glare fires, the brightest", above=0, most=1
    )
    hot_pixels: Range = _range(0.0, 0.012, "share of hot pixels; mostly 0.001 at most", least=0, most=1)
    dark: Range = _range(5e-4, 5e-3, "luminance, white = 1, below which the sensor sees nothing", above=0)
    bandwidth: Range = _range(30.0, 3000.0, f"low pass of a pixel at white; {_IN_HALF}", "Hz", least=0)
    latency: Range = _range(-0.002, 0.004, "how late the events' clock is, after whatever corrects it", "s")
    lost: Range = _range(0.1, 0.4, "share of the packets, in the sequences that lose any", least=0, most=1)
    gain: Range = _range(-0.7, 0.7, "of an exposure step, natural log units")
    wall: Range = _range(1.05, 4.0, "luminance, white = 1, that lights don't exceed in `walls`", above=0)
    vignetting: Range = _range(0.0, 0.4, f"loss of light in the corners; {_IN_HALF}", least=0, most=1)
    distortion: Range = _range(0.7, 1.3, f"power that the response is wrong by; {_IN_HALF}", least=0)
    things: int = setting(2, "at most so many in the foreground", least=0)
    mono: float = _share(0.35, "of grey cameras")
    bayer: float = _share(0.25, "of Bayer sensors")
    loses_packets: float = _share(0.2, "that lose packets")
    changes_exposure: float = _share(0.2, "whose exposure changes")
    tells_exposure: float = _share(0.5, "whose exposure the network is told")
    walls: float = _share(0.35, "whose lights are no brighter than a white wall")
    signs: float = _share(0.0, "in scenes with codes and letters, most of them far above white")
    good: float = _share(0.35, "without latency, vignetting, low pass, scatter, strays and readout")
    glares: float = _share(0.15, "whose brightest pixels fire whatever they see, as lamps make them")
    strange: float = _share(0.09, "whose events are out of time, of another scene, or none")
    twins: float = _share(0.0, "in pairs that see one scene by the same sensors, at two frame rates")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value in vars(self).items():
            if isinstance(value, tuple) and value[0] > value[1]:
                raise InputError(f"{name}={value!r}: must have the lower first")
            if name in _MAY_BE_NONE and value[0] == 0 < value[1]:
                raise InputError(f"{name}={value!r}: must be positive, or none: [0, 0]")


@dataclass(frozen=True)
class Batch:
    """All float32, as of training.Sequence; exposure and refractory, s, and levels of the LDR, as drawn.

    ldr, truth: (N, T, 3, H, W); voxel: (N, T, B, H, W); gain, seconds: (N, T); exposure, refractory, levels:
    (N,).
    """

    ldr: Tensor
    voxel: Tensor
    truth: Tensor
    gain: Tensor
    seconds: Tensor
    exposure: Tensor
    refractory: Tensor
    levels: Tensor


@dataclass(frozen=True)
class BatchSimulator:
    """size: px of the square frames. A batch is a function of the generator's state and the backgrounds."""

    size: int
    frames: int
    bins: int
    device: torch.device
    variety: Variety = field(default_factory=Variety)

    def __call__(self, backgrounds: list[Background], rng: np.random.Generator) -> Batch:
        """One sequence a background; of twins the first one's. Stamps are the middle of the exposures."""
        backgrounds = sorted(backgrounds, key=lambda b: not b.is_panorama)
        v, n, device = self.variety, len(backgrounds), self.device
        random = torch.Generator(device).manual_seed(int(rng.integers(2**62)))
        like = self._like(rng, n)
        alike = torch.as_tensor(like, device=device)
        backgrounds = [backgrounds[k] for k in like]

        def draw(limits: Range, share: float | np.ndarray = 1.0, usual: float = 0.0) -> np.ndarray:
            return np.where(rng.random(n) < share, rng.uniform(*limits, n), usual)[like]

        def draw_log(
            limits: Range,
            share: float | np.ndarray = 1.0,
            usual: float = 0.0,
            like: np.ndarray | slice = like,
        ) -> np.ndarray:
            # Nothing is drawn as next to nothing: what is drawn after it stays the same.
            exponents = rng.uniform(*np.log(np.maximum(limits, _NOTHING)), n)
            return np.where(rng.random(n) < share, np.exp(exponents), usual)[like]

        def tensor(values: np.ndarray) -> Tensor:
            return torch.as_tensor(np.asarray(values), dtype=torch.float32, device=device)

        def plane(values: np.ndarray) -> Tensor:
            return tensor(values).view(-1, 1, 1, 1)

        bad = (rng.random(n) >= v.good)[like]
        # Of the strange a third each: out of time, of another scene, none.
        strange = np.where(rng.random(n) < v.strange, rng.integers(1, 4, n), 0)[like]
        speed, fps = draw_log(v.speed), draw_log(v.fps, like=slice(None))
        exposure_time = np.minimum(draw_log(v.exposure), 0.9 / fps)
        things = int(rng.integers(v.things + 1))
        scene = BatchScene(backgrounds, self.size, speed, draw_log(v.scale), things, rng, device)
        scene.repeat(like)
        stamps = np.arange(self.frames) + draw(v.jitter)[:, None] * rng.uniform(-0.5, 0.5, (n, self.frames))
        stamps = (stamps - stamps[:, :1]) / fps[:, None]
        steps, times = self._steps(speed, fps), list(stamps.T)
        latency = np.where(strange == 1, rng.uniform(-0.06, 0.06, n)[like], draw(v.latency, bad))
        seen = list((stamps - latency[:, None]).T)  # what the events that arrive by then have seen
        looks = [_between(*pair, steps) for pair in itertools.pairwise(seen)]
        renders = int(np.clip(np.ceil((speed * exposure_time).max() / _BLUR_STEP), 3, _BLUR_STEPS))
        shares = (np.arange(renders) + 0.5) / renders - 0.5
        shutter = [np.stack([t + share * exposure_time for share in shares]) for t in times]
        scene.foresee(np.stack([seen[0], *times, *itertools.chain(*looks, *shutter)]))
        mono, loses, bayer = ((rng.random(n) < x)[like] for x in (v.mono, v.loses_packets, v.bayer))
        bayer &= ~mono
        clipped, glaring = draw(v.clipped), draw_log(v.glaring)
        pair = self._levels(scene, stamps, clipped, glaring, plane(mono) > 0)
        white, glare_from = (level[alike] for level in pair)
        ceiling = plane(draw_log(v.wall, v.walls, np.inf))
        shading = self._vignette(plane(draw(v.vignetting, 0.5 * bad)))
        distortion = plane(draw(v.distortion, 0.5, 1.0))
        gains, told = self._gains(rng, n)
        levels = tensor(rng.choice((255, 1023, 4095), n, p=(0.6, 0.2, 0.2))[like])
        shot, read = tensor(2e-4 * draw_log((0.5, 10))), tensor(2e-3 * draw_log((0.5, 5)))

        shape = (n, 1, self.size, self.size)
        deviation = torch.randn((n, 2, *shape[2:]), generator=random, device=device)[alike]
        spread = (1 + plane(draw(v.mismatch)) * deviation).clamp(0.4, 2.5)
        skew = np.exp(draw(v.skew, 0.5) / 2)
        thresholds = plane(draw_log(v.contrast)) * torch.cat((plane(1 / skew), plane(skew)), 1) * spread
        refractory = tensor(1e-6 * draw_log(v.refractory_us))
        bandwidth = tensor(draw_log(v.bandwidth, 0.5 * bad))
        sensor = BatchEventCamera(thresholds, refractory, tensor(draw_log(v.dark)), bandwidth)
        scatter, strays = (plane(draw(limits, 0.6 * bad)) for limits in (v.scatter, v.strays))
        readout = Readout(scatter, strays, plane(draw_log(v.readout, 0.4 * bad, np.inf)))
        mostly, few = rng.random(n) < 0.8, np.minimum(_FEW * draw(v.hot_pixels), 1e-3)
        share = np.where(mostly, few, draw(v.hot_pixels))[like]
        hot = torch.rand(shape, generator=random, device=device)[alike] < plane(share)
        noise_rate, leak_rate = plane(draw_log(v.noise_rate)), plane(draw_log(v.leak_rate))
        lost = tensor(draw(v.lost) * loses)
        glare = plane(draw_log(v.glare_rate, v.glares))
        glare_from = below(ceiling, glare_from / white)

        def luminance(seconds: np.ndarray) -> Tensor:
            return below(ceiling, scene.luminance(seconds) / white)

        view = luminance(seen[0])
        sensor.start(view, torch.rand(shape, generator=random, device=device)[alike])
        intervals, gain = tensor(np.diff(stamps)), tensor(gains)
        ldr, voxel, truth = [], [], []
        is_mono = plane(mono) > 0
        for k in range(self.frames):
            grid = white.new_zeros((n, self.bins, *shape[2:]))
            if k:
                seconds = intervals[:, k - 1]
                views = luminance(looks[k - 1])
                self._add_events(grid, sensor, views, seconds, lost, random)
                grid = readout(grid, seconds, random)
                darkness = 1 + 4 * (-views[-1] / _DARK).exp()
                on = leak_rate + glare * (views[-1] > glare_from)
                add_noise(grid, seconds, noise_rate * darkness, on, hot, random)
            radiance = scene.render(shutter[k]).sum(0) / (renders * white)
            radiance = torch.where(is_mono, luminance_of(radiance), radiance)
            y = luminance_of(radiance).clamp_min(1e-6)
            radiance = radiance * (below(ceiling, y) / y) * shading * gain[:, k].view(-1, 1, 1, 1)
            radiance = radiance**distortion
            truth.append(radiance)
            voxel.append(grid)
            frame = expose(radiance, levels, shot, read, bayer, random)
            ldr.append(torch.where(is_mono, frame[:, :1], frame))  # one noise for all three channels
        seconds = torch.cat((intervals[:, :1], intervals), 1) if self.frames > 1 else tensor(1 / fps)[:, None]
        ldr, voxel, truth = (torch.stack(x, 1) for x in (ldr, voxel, truth))
        if (strange > 1).any():
            others = np.where(strange == 2, np.roll(np.arange(n), 1), np.arange(n))
            voxel = voxel[torch.as_tensor(others, device=device)] * tensor(strange != 3).view(-1, 1, 1, 1, 1)
        return Batch(ldr, voxel, truth, tensor(told), seconds, tensor(exposure_time), refractory, levels)

    def _like(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """By sequence, the one whose scene and sensors it has: its own or, of twins, the first one's."""
        like = np.arange(n)
        if self.variety.twins:  # or nothing is drawn: sequences without twins stay what they are
            like[1::2] -= rng.random(n // 2) < self.variety.twins
        return like

    def _vignette(self, loss: Tensor) -> Tensor:
        """(N, 1, H, W): what is left of the light, least in the corners."""
        line = torch.linspace(-1, 1, self.size, device=self.device) ** 2 / 2
        return 1 - loss * (line[:, None] + line)

    def _steps(self, speed: np.ndarray, fps: np.ndarray) -> int:
        """Renders an interval: at most about 1.5 px apart, and a multiple of what lies between two bins."""
        motion = float(np.max(speed / fps))
        gaps = max(1, self.bins - 1)
        return gaps * int(np.clip(np.ceil(motion / 1.5 / gaps), 1, _MOST_STEPS))

    def _add_events(self, grid, sensor, views, seconds: Tensor, lost: Tensor, random) -> None:
        steps = len(views)
        polarity_sum, when = sensor.steps(views, seconds / steps)
        arrives = torch.rand((steps, len(lost)), generator=random, device=grid.device) >= lost
        polarity_sum = polarity_sum * arrives.view(steps, -1, 1, 1, 1)
        if self.bins == 1:
            grid += polarity_sum.sum(0)
            return
        # (gap between two bins, step in it, N, H, W)
        gaps = self.bins - 1
        polarity_sum, when = (x[:, :, 0].unflatten(0, (gaps, -1)) for x in (polarity_sum, when))
        within = torch.arange(steps // gaps, device=grid.device).view(-1, 1, 1, 1)
        right = (polarity_sum * (within + when) * (gaps / steps)).sum(1).transpose(0, 1)
        grid[:, 1:] += right
        grid[:, :-1] += polarity_sum.sum(1).transpose(0, 1) - right

    def _gains(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Exposure over the first frame's, and over the frame before as the network is told; (N, T) each."""
        v = self.variety
        changes = (rng.random((n, self.frames)) < 0.15) & (rng.random((n, 1)) < v.changes_exposure)
        changes[:, 0] = False
        steps = np.where(changes, rng.uniform(*v.gain, (n, self.frames)), 0)
        told = np.where(rng.random((n, 1)) < v.tells_exposure, np.exp(steps), 1)
        return np.exp(np.cumsum(steps, 1)), told

    def _levels(
        self, scene: BatchScene, stamps: np.ndarray, clipped: np.ndarray, glaring: np.ndarray, mono: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The radiance that must saturate for that share of clipped pixels, and the luminance that so many
        exceed; (N, 1, 1, 1)."""
        views = scene.render(stamps.T[np.linspace(0, self.frames - 1, 4).astype(int)])[..., ::2, ::2]
        luminance = luminance_of(views)
        brightest = torch.where(mono, luminance, views.amax(2, keepdim=True))
        return _exceeded(brightest, clipped), _exceeded(luminance, glaring)


def _exceeded(views: Tensor, shares: np.ndarray) -> Tensor:
    """(N, 1, 1, 1): by those shares of the values of views (T, N, 1, H, W)."""
    values = views.transpose(0, 1).flatten(1).sort(1).values
    index = ((1 - shares) * (values.shape[1] - 1)).astype(int)
    level = values[torch.arange(len(values)), torch.as_tensor(index)]
    return level.clamp_min(1e-6).view(-1, 1, 1, 1)


def below(ceiling: Tensor, luminance: Tensor) -> Tensor:
    """Luminance, white = 1, of a scene whose brightest is `ceiling` (N, 1, 1, 1): steadily less above 0.8."""
    room = ceiling - _KNEE
    above = (luminance - _KNEE).clamp_min(0)
    compressed = torch.where(room.isinf(), above, room * (1 - (-above / room).exp()))
    return torch.where(luminance > _KNEE, _KNEE + compressed, luminance)


def _between(t0: np.ndarray, t1: np.ndarray, steps: int) -> np.ndarray:
    """The ends of that many equal parts of intervals (N,): (steps, N)."""
    return np.stack([t0 + (step + 1) / steps * (t1 - t0) for step in range(steps)])
