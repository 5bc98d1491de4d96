"""The fixed benchmark: simulated sequences that everyone can make, from procedural scenes or a folder."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from rehdr_ros.errors import InputError
from rehdr_ros.simulation import EventCameraConfig, SimulationConfig
from rehdr_ros.simulation.scene import load_radiance
from rehdr_ros.training.scenes import VALIDATION_SCENES
from rehdr_ros.training.sequence import Sequence
from rehdr_ros.training.simulated import simulated_sequence

CLIPPED = (0.1, 0.2, 0.4)  # shares of the pixels
PROCEDURAL = 4  # scenes
FRAMES, FPS = 20, 20.0
_SEED = 20_260_000


@dataclass(frozen=True)
class Disturbance:
    """What goes wrong on the events' way. contrast: the sensor's threshold over the usual."""

    hot_pixels: float = 0.0
    lost: float = 0.0
    contrast: float = 1.0


DISTURBANCES = {
    "none": Disturbance(),
    "1 % hot pixels": Disturbance(hot_pixels=0.01),
    "30 % of the packets lost": Disturbance(lost=0.3),
    "twice the contrast threshold": Disturbance(contrast=2.0),
    "half the contrast threshold": Disturbance(contrast=0.5),
}


@dataclass(frozen=True)
class Case:
    """One sequence of the benchmark, made when it is asked for. scene: as of SimulationConfig."""

    name: str
    config: SimulationConfig

    def sequence(self, bins: int, disturbance: Disturbance | None = None) -> Sequence:
        d, usual = disturbance or Disturbance(), self.config.events.contrast
        events = EventCameraConfig(contrast=usual * d.contrast, hot_pixels=d.hot_pixels)
        config = replace(self.config, events=events)
        radiance = load_radiance(config.scene, config.height, config.width, config.seed)
        return simulated_sequence(config, radiance, bins, d.lost)


def cases(folder: str | Path | None = None, size: int = 192) -> Iterator[Case]:
    """Every scene with 10, 20 and 40 % of its pixels clipped: 20 square frames of `size` px at 20 Hz.

    The scenes are procedural, or the `.hdr`/`.exr` files of `folder`: only those of VALIDATION_SCENES where
    it has any, because trainings use the others. Raises InputError for a folder without any.
    """
    for number, (name, scene) in enumerate(scenes(folder)):
        for clipped in CLIPPED:
            config = SimulationConfig(scene=scene, width=size, height=size, seconds=FRAMES / FPS, fps=FPS)
            config = replace(config, seed=procedural_seed(number), clipped=clipped)
            yield Case(f"{name} {clipped:.0%}", config)


def procedural_seed(number: int) -> int:
    """Of a scene that no training draws."""
    return _SEED + number


def scenes(folder: str | Path | None) -> list[tuple[str, str]]:
    """Names and scenes, as of SimulationConfig; see `cases`."""
    if folder is None:
        return [(f"procedural {i}", "procedural") for i in range(PROCEDURAL)]
    if not Path(folder).is_dir():
        raise InputError(f"{folder} is not a folder")
    files = sorted(p for p in Path(folder).iterdir() if p.suffix.lower() in (".hdr", ".exr"))
    kept_out = [p for p in files if p.name.startswith(VALIDATION_SCENES)]
    if not files:
        raise InputError(f"{folder} holds no .hdr or .exr file")
    return [(p.stem, str(p)) for p in kept_out or files]
