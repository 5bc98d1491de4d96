"""Simulated sequences by the batch, on any device: what a training consumes. The physics of simulator.py."""

import itertools
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from rehdr_ros.errors import InputError
from rehdr_ros.simulation.batch_scene import Background, BatchScene, luminance_of
from rehdr_ros.simulation.batch_sensors import BatchEventCamera, add_noise, expose

Range = tuple[float, float]

_DRAWN_BY_LOGARITHM = ("scale", "fps", "speed", "exposure", "contrast", "dark", "bandwidth")
_SHARES = ("jitter", "clipped", "hot_pixels", "lost")
_SHARES += ("mono", "bayer", "loses_packets", "changes_exposure", "tells_exposure")


@dataclass(frozen=True)
class Variety:
    """From where to where each property is drawn, anew for every sequence.

    scale: texture pixels a view pixel; fps, Hz; speed, px/s; jitter of the frame intervals; clipped: share of the
    pixels; exposure, s; contrast and other properties of the event camera as of EventCameraConfig (hot_pixels: in most
    sequences a thousandth at most; bandwidth: in half of them unlimited); lost: share of the packets in the sequences
    that lose any; gain: of an exposure step, in natural log units; things: at most so many in the foreground. The rest
    are shares of the sequences: of grey cameras, of Bayer sensors, that lose packets, whose exposure changes, whose
    exposure the network is told.

    Raises InputError for what can't be.
    """

    scale: Range = (0.7, 1.6)
    fps: Range = (8.0, 40.0)
    speed: Range = (10.0, 200.0)
    jitter: Range = (0.0, 0.4)
    clipped: Range = (0.02, 0.6)
    exposure: Range = (0.0005, 0.008)
    contrast: Range = (0.1, 0.6)
    mismatch: Range = (0.0, 0.1)
    refractory_us: Range = (50.0, 500.0)
    noise_rate: Range = (0.0, 1.0)
    leak_rate: Range = (0.0, 0.3)
    hot_pixels: Range = (0.0, 0.012)
    dark: Range = (5e-4, 5e-3)
    bandwidth: Range = (100.0, 3000.0)
    lost: Range = (0.1, 0.4)
    gain: Range = (-0.7, 0.7)
    things: int = 2
    mono: float = 0.15
    bayer: float = 0.3
    loses_packets: float = 0.25
    changes_exposure: float = 0.25
    tells_exposure: float = 0.5

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            default = getattr(type(self), name)
            is_range = isinstance(default, tuple)
            numbers = tuple(value) if is_range and isinstance(value, list | tuple) else (value,)
            if len(numbers) != np.size(default) or not all(isinstance(x, int | float) for x in numbers):
                raise InputError(f"{name}={value!r}: must be {'[from, to]' if is_range else 'a number'}")
            low, high = numbers[0], numbers[-1]
            if not -np.inf < low <= high < np.inf:
                raise InputError(f"{name}={value!r}: must be finite{', the lower first' if is_range else ''}")
            if name in _DRAWN_BY_LOGARITHM and not low > 0:
                raise InputError(f"{name}={value!r}: must be positive")
            if name != "gain" and not low >= 0:
                raise InputError(f"{name}={value!r}: must not be negative")
            if name in _SHARES and not high <= 1:
                raise InputError(f"{name}={value!r}: must not exceed 1")
            if is_range:
                object.__setattr__(self, name, numbers)  # YAML has lists
        if int(self.things) != self.things:
            raise InputError(f"things={self.things!r}: must be a whole number")


@dataclass(frozen=True)
class Batch:
    """ldr, truth: (N, T, 3, H, W); voxel: (N, T, B, H, W); gain: (N, T), all float32, as of training.Sequence.

    seconds: (N, T), since the frame before, 0 for the first; exposure, refractory: (N,), s, as drawn.
    """

    ldr: Tensor
    voxel: Tensor
    truth: Tensor
    gain: Tensor
    seconds: Tensor
    exposure: Tensor
    refractory: Tensor


@dataclass(frozen=True)
class BatchSimulator:
    """size: px of the square frames. Every batch is a function of the generator's state and of the backgrounds."""

    size: int
    frames: int
    bins: int
    device: torch.device
    variety: Variety = field(default_factory=Variety)

    def __call__(self, backgrounds: list[Background], rng: np.random.Generator) -> Batch:
        """One sequence a background."""
        backgrounds = sorted(backgrounds, key=lambda b: not b.is_panorama)
        v, n, device = self.variety, len(backgrounds), self.device
        random = torch.Generator(device).manual_seed(int(rng.integers(2**62)))

        def draw(limits: Range) -> np.ndarray:
            return rng.uniform(*limits, n)

        def draw_log(limits: Range) -> np.ndarray:
            return np.exp(rng.uniform(*np.log(limits), n))

        def tensor(values: np.ndarray) -> Tensor:
            return torch.as_tensor(np.asarray(values), dtype=torch.float32, device=device)

        speed, fps, exposure_time = draw_log(v.speed), draw_log(v.fps), draw_log(v.exposure)
        things = int(rng.integers(v.things + 1))
        scene = BatchScene(backgrounds, self.size, speed, draw_log(v.scale), things, rng, device)
        stamps = np.arange(self.frames) + draw(v.jitter)[:, None] * rng.uniform(-0.5, 0.5, (n, self.frames))
        stamps = (stamps - stamps[:, :1]) / fps[:, None]
        steps, times = self._steps(speed, fps), list(stamps.T)
        looks = [_between(*pair, steps) for pair in itertools.pairwise(times)]
        shutter = [[t + share * exposure_time for share in (1 / 6, 3 / 6, 5 / 6)] for t in times]
        scene.foresee(np.stack([*times, *itertools.chain(*looks, *shutter)]))
        mono, bayer, loses = (tensor(rng.random(n) < share) > 0 for share in (v.mono, v.bayer, v.loses_packets))
        white = self._white(scene, stamps, draw(v.clipped), mono)
        gains, told = self._gains(rng, n)
        levels = tensor(rng.choice((255, 1023, 4095), n, p=(0.6, 0.2, 0.2)))
        shot, read = tensor(2e-4 * draw_log((0.5, 4))), tensor(2e-3 * draw_log((0.5, 4)))

        shape = (n, 1, self.size, self.size)
        spread = 1 + tensor(draw(v.mismatch)).view(-1, 1, 1, 1) * torch.randn(
            (n, 2, *shape[2:]), generator=random, device=device
        )
        thresholds = tensor(draw_log(v.contrast)).view(-1, 1, 1, 1) * spread.clamp(0.4, 2.5)
        bandwidth = np.where(rng.random(n) < 0.5, 0, draw_log(v.bandwidth))
        refractory = tensor(1e-6 * draw(v.refractory_us))
        sensor = BatchEventCamera(thresholds, refractory, tensor(draw_log(v.dark)), tensor(bandwidth))
        share = np.where(rng.random(n) < 0.8, np.minimum(draw(v.hot_pixels), 1e-3), draw(v.hot_pixels))
        hot = torch.rand(shape, generator=random, device=device) < tensor(share).view(-1, 1, 1, 1)
        noise = tensor(draw(v.noise_rate)), tensor(draw(v.leak_rate)), hot
        lost = tensor(draw(v.lost)) * loses

        sensor.start(scene.luminance(times[0]) / white)
        intervals, gain = tensor(np.diff(stamps)), tensor(gains)
        ldr, voxel, truth = [], [], []
        for k in range(self.frames):
            grid = white.new_zeros((n, self.bins, *shape[2:]))
            if k:
                views = (scene.luminance(t) / white for t in looks[k - 1])
                self._add_events(grid, sensor, views, intervals[:, k - 1], steps, lost, random)
                add_noise(grid, intervals[:, k - 1], *noise, random)
            radiance = sum(map(scene.render, shutter[k])) / 3
            radiance = torch.where(mono.view(-1, 1, 1, 1), luminance_of(radiance), radiance) / white
            radiance = radiance * gain[:, k].view(-1, 1, 1, 1)
            truth.append(radiance)
            voxel.append(grid)
            frame = expose(radiance, levels, shot, read, bayer & ~mono, random)
            ldr.append(torch.where(mono.view(-1, 1, 1, 1), frame[:, :1], frame))  # one noise for all three channels
        seconds = tensor(np.diff(stamps, prepend=stamps[:, :1]))
        return Batch(
            *(torch.stack(x, 1) for x in (ldr, voxel, truth)), tensor(told), seconds, tensor(exposure_time), refractory
        )

    def _steps(self, speed: np.ndarray, fps: np.ndarray) -> int:
        """Renders an interval: at most about 1.5 px apart, and a multiple of what lies between two bins."""
        motion = float(np.max(speed / fps))
        gaps = max(1, self.bins - 1)
        return gaps * int(np.clip(np.ceil(motion / 1.5 / gaps), 1, 4))

    def _add_events(self, grid, sensor, views, seconds: Tensor, steps: int, lost: Tensor, random) -> None:
        for step, view in enumerate(views):
            polarity_sum, when = sensor.step(view, seconds / steps)
            arrives = torch.rand(len(lost), generator=random, device=grid.device) >= lost
            polarity_sum = polarity_sum * arrives.view(-1, 1, 1, 1)
            place = (self.bins - 1) * (step + when) / steps
            left = min((self.bins - 1) * step // steps, max(0, self.bins - 2))
            right_share = place - left
            grid[:, left] += (polarity_sum * (1 - right_share))[:, 0]
            if self.bins > 1:
                grid[:, left + 1] += (polarity_sum * right_share)[:, 0]

    def _gains(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Exposure over the first frame's, (N, T), and over the frame before as the network is told, (N, T)."""
        v = self.variety
        changes = (rng.random((n, self.frames)) < 0.15) & (rng.random((n, 1)) < v.changes_exposure)
        changes[:, 0] = False
        steps = np.where(changes, rng.uniform(*v.gain, (n, self.frames)), 0)
        told = np.where(rng.random((n, 1)) < v.tells_exposure, np.exp(steps), 1)
        return np.exp(np.cumsum(steps, 1)), told

    def _white(self, scene: BatchScene, stamps: np.ndarray, clipped: np.ndarray, mono: Tensor) -> Tensor:
        """The radiance that must saturate for the wanted share of clipped pixels, (N, 1, 1, 1)."""
        views = []
        for k in np.linspace(0, self.frames - 1, 4).astype(int):
            view = scene.render(stamps[:, k])
            view = torch.where(mono.view(-1, 1, 1, 1), luminance_of(view), view)
            views.append(view.amax(1)[:, ::2, ::2].flatten(1))
        views = torch.cat(views, 1).sort(1).values
        index = ((1 - clipped) * (views.shape[1] - 1)).astype(int)
        white = views[torch.arange(len(views)), torch.as_tensor(index)]
        return white.clamp_min(1e-6).view(-1, 1, 1, 1)


def _between(t0: np.ndarray, t1: np.ndarray, steps: int) -> list[np.ndarray]:
    """The ends of that many equal parts of an interval."""
    return [t0 + (step + 1) / steps * (t1 - t0) for step in range(steps)]
