"""Training sequences: simulated on the fly, each one a pure function of (seed, index)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from rehdr_ros.events import voxel_grid
from rehdr_ros.recordings.images import read_radiance
from rehdr_ros.simulation import EventCameraConfig, SimulationConfig, simulate
from rehdr_ros.simulation.procedural import procedural_canvas
from rehdr_ros.simulation.sensors import RESPONSE

# Kept out of every training so that results on them mean something.
VALIDATION_SCENES = ("leadenhall_market", "narrow_moonlit_road", "studio_small_05", "thatch_chapel")

_TRAINING, _VALIDATION = 0x7EA1, 0x7A1D  # streams of random numbers that no user's seed reaches


@dataclass(frozen=True)
class Sequence:
    """ldr: (T, 3, H, W) uint8; voxel: (T, B, H, W) float32; truth: (T, 3, H, W) float32, 1.0 = LDR white."""

    ldr: torch.Tensor
    voxel: torch.Tensor
    truth: torch.Tensor


class SimulatedSequences(Dataset):
    """`count` sequences of `frames` frames of size x size pixels.

    radiance: folder with `.hdr`/`.exr` files that half of the scenes come from (VALIDATION_SCENES left out); the
    others are procedural, all of them where there is no folder. validation: sequences from another stream.
    """

    def __init__(
        self,
        count: int,
        size: int,
        frames: int,
        bins: int,
        seed: int = 0,
        radiance: str | Path | None = None,
        validation: bool = False,
    ):
        self._count, self._size, self._frames, self._bins = count, size, frames, bins
        self._key = (_VALIDATION if validation else _TRAINING, seed)
        files = sorted(p for p in Path(radiance).iterdir() if p.suffix in (".hdr", ".exr")) if radiance else []
        self._files = [p for p in files if not p.name.startswith(VALIDATION_SCENES)]
        self._cache: dict[Path, np.ndarray] = {}

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Sequence:
        rng = np.random.default_rng([*self._key, index])
        sequence = simulate_sequence(self._config(rng), self._radiance(rng), self._bins)
        return _flipped(sequence, rng)

    def _radiance(self, rng: np.random.Generator) -> np.ndarray:
        if self._files and rng.random() < 0.5:
            path = self._files[rng.integers(len(self._files))]
            if path not in self._cache:
                self._cache[path] = np.maximum(read_radiance(path), 0)
            radiance = self._cache[path]
        else:
            sides = rng.integers(2 * self._size, 5 * self._size, 2)
            radiance = procedural_canvas(int(rng.integers(2**62)), *sides)
        # Other colours and other dynamic ranges of the same scene.
        gamma = rng.uniform(0.9, 1.7)
        tint = np.exp(rng.normal(0, 0.15, 3)).astype(np.float32)
        middle = np.median(radiance) + 1e-9
        return (radiance[..., rng.permutation(3)] / middle) ** np.float32(gamma) * tint

    def _config(self, rng: np.random.Generator) -> SimulationConfig:
        fps = rng.uniform(10, 30)
        events = EventCameraConfig(
            contrast=float(np.exp(rng.uniform(np.log(0.1), np.log(0.6)))),
            mismatch=rng.uniform(0, 0.1),
            refractory_us=rng.uniform(50, 500),
            noise_rate=rng.uniform(0, 1.0),
            leak_rate=rng.uniform(0, 0.3),
            hot_pixels=rng.uniform(0, 1e-3),
        )
        return SimulationConfig(
            width=self._size,
            height=self._size,
            seconds=self._frames / fps,
            fps=fps,
            seed=int(rng.integers(2**62)),
            clipped=rng.uniform(0.04, 0.5),
            speed=float(np.exp(rng.uniform(np.log(15), np.log(200)))),
            renders=200,
            jitter=rng.uniform(0, 0.4),
            events=events,
        )


def simulate_sequence(config: SimulationConfig, radiance: np.ndarray | None, bins: int) -> Sequence:
    """Run the simulator and voxelise; the first grid is zero, as after a reset."""
    ldr, voxel, truth, previous = [], [], [], None
    for sample in simulate(config, radiance):
        t0 = sample.stamp_ns if previous is None else previous
        voxel.append(voxel_grid(sample.events, t0, sample.stamp_ns, bins, config.height, config.width))
        ldr.append(sample.ldr.transpose(2, 0, 1))
        truth.append(sample.truth.transpose(2, 0, 1))
        previous = sample.stamp_ns
    return Sequence(*(torch.from_numpy(np.stack(x)) for x in (ldr, voxel, truth)))


def collate(sequences: list[Sequence]) -> Sequence:
    """Stack to (N, T, ...)."""
    return Sequence(*(torch.stack([getattr(s, n) for s in sequences]) for n in ("ldr", "voxel", "truth")))


def linearise(ldr: torch.Tensor) -> torch.Tensor:
    """uint8 display values -> linear float32, 1.0 = white."""
    return (ldr.float() / 255) ** RESPONSE


def _flipped(sequence: Sequence, rng: np.random.Generator) -> Sequence:
    """One augmentation for the whole sequence: independent flips and a quarter turn."""
    dims = [d for d in (-1, -2) if rng.random() < 0.5]
    turns = int(rng.integers(2))
    return Sequence(
        *(torch.rot90(x.flip(dims), turns, (-2, -1)) for x in (sequence.ldr, sequence.voxel, sequence.truth))
    )
