"""What decides a training."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rehdr_ros.errors import InputError
from rehdr_ros.network import RehdrConfig
from rehdr_ros.network.checkpoint import make_config
from rehdr_ros.network.contract import NetworkConfig
from rehdr_ros.settings import Settings, setting
from rehdr_ros.simulation.batch import Variety


@dataclass(frozen=True)
class TrainConfig(Settings):
    """One training, on simulated scenes or on recordings.

    network: of a new one, by its `architecture`, REHDR if it has none. variety: of the simulations.
    """

    network: NetworkConfig = field(default_factory=RehdrConfig)
    variety: Variety = field(default_factory=Variety)
    steps: int = setting(
        4000, "steps of the optimizer; where several processes train, each takes so many", least=1
    )
    minutes: float = setting(
        0.0, "end after so many, the schedule of the learning rate too; 0: no limit", least=0
    )
    batch: int = setting(4, "sequences of a step", least=1)
    reuse: int = setting(1, "batches that are drawn of each that is simulated", least=1)
    sequences: int = setting(
        0, "simulated once, to be drawn again and again; 0: every batch is simulated", least=0
    )
    margin: float = setting(0.25, "by which those are larger and longer than what is drawn", least=0, most=4)
    frames: int = setting(12, "frames of a sequence", least=1)
    size: int = setting(96, "of the square frames", unit="px", least=8)
    learning_rate: float = setting(5e-4, "at its highest", least=0, most=1)
    weight_decay: float = setting(1e-4, "of AdamW", least=0, most=1)
    ema: float = setting(0.995, "share of the averaged weights that a step keeps", least=0, most=1)
    temporal: float = setting(0.3, "weight of the loss of consistency over time", least=0, most=1)
    uncertainty: float = setting(0.2, "weight of the uncertainty's loss", least=0, most=1)
    perceptual: float = setting(0.0, "weight of the perceptual loss, which needs vgg", least=0, most=1)
    seed: int = setting(0, "of everything that is drawn", least=0)
    precision: str = setting(
        "auto",
        "auto (what the device computes natively), float32 or bfloat16 (autocast)",
        choices=("auto", "float32", "bfloat16"),
    )
    save_every: int = setting(100, "steps from save to save", least=1)
    pieces: float = setting(
        0.0, "size of a file of the training's state at most; 0: one file", unit="MiB", least=0
    )
    radiance: str | None = setting(
        None, "folder of .hdr and .exr scenes; without one all scenes are procedural"
    )
    simulated: str | None = setting(
        None, "folder for the `sequences`; without one they stay in the memory of the device"
    )
    recordings: tuple[str, ...] = setting(
        (),
        "train on these, not on simulations: folders with LDR/, HDR/ and event/, bags with truth, "
        "folders of bags",
    )
    response: float | str = setting(2.2, "of the recordings' frames: a power, or a file that tabulates it")
    start: str | None = setting(None, "checkpoint to fine-tune from, ours or the authors'")
    vgg: str | None = setting(None, "file of torchvision's VGG16 weights, for the perceptual loss")
    device: str = setting("auto", "auto, cpu, cuda or cuda:N")
    workers: int = setting(0, "processes that prepare batches, on the CPU", least=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.perceptual and not self.vgg:
            raise InputError("perceptual needs vgg, the file of torchvision's VGG16 weights")
        if 0 < self.sequences < self.batch:
            raise InputError(f"sequences={self.sequences!r}: must be 0, or as many as a batch has at least")
        if self.sequences and self.workers and not self.simulated:
            raise InputError("workers share the sequences by a folder: give `simulated`")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainConfig":
        network = {"network": make_config(**values["network"])} if "network" in values else {}
        return super().from_dict({**values, **network})


def read_config(path: str, options: dict, settings: Iterable[tuple[list[str], object]] = ()) -> TrainConfig:
    """The file's keys; options, and then the settings of single keys, take their place. Raises InputError."""
    try:
        values = {**(yaml.safe_load(Path(path).read_text()) or {}), **options}
        for (*parts, name), value in settings:
            part = values
            for key in parts:
                part = part.setdefault(key, {})
            part[name] = value
        return TrainConfig.from_dict(values)
    except InputError:
        raise
    except (TypeError, ValueError, AttributeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: {error}") from error


# Of the machine that trained, not of the training.
PLACES = ("minutes", "pieces", "radiance", "simulated", "recordings", "start", "vgg", "device", "workers")
