"""What decides a training."""

from dataclasses import dataclass, field

from rehdr_ros.errors import InputError
from rehdr_ros.network import RehdrConfig
from rehdr_ros.network.checkpoint import make_config
from rehdr_ros.network.contract import NetworkConfig
from rehdr_ros.simulation.batch import Variety


@dataclass(frozen=True)
class TrainConfig:
    """One training: `steps` of `batch` sequences of `frames` frames of `size` px; by several processes, each so many.

    reuse: how many batches are drawn of each that is simulated. minutes: end after so many, the learning rate's
    schedule with them; 0: no limit.

    network: of a new one, by its `architecture`, REHDR if it has none; start: a checkpoint to fine-tune from
    instead. Scenes are simulated, with the `variety` and from the folder `radiance` of `.hdr`/`.exr` files besides
    procedural ones; unless there are `recordings` to cut sequences from, linearised by `response`. precision: float32,
    bfloat16 (autocast), or auto, what the device computes natively. perceptual: weight of the perceptual loss, which
    needs `vgg`, a checkpoint of torchvision's VGG16. workers: processes that prepare batches (CPU only). Raises
    InputError for what can't be.
    """

    network: NetworkConfig = field(default_factory=RehdrConfig)
    variety: Variety = field(default_factory=Variety)
    steps: int = 4000
    minutes: float = 0.0
    batch: int = 4
    reuse: int = 1
    frames: int = 12
    size: int = 96
    learning_rate: float = 5e-4
    weight_decay: float = 1e-4
    ema: float = 0.995
    temporal: float = 0.3
    uncertainty: float = 0.2
    perceptual: float = 0.0
    seed: int = 0
    precision: str = "auto"
    save_every: int = 100
    radiance: str | None = None
    recordings: tuple[str, ...] = ()
    response: float | str = 2.2
    start: str | None = None
    vgg: str | None = None
    device: str = "auto"
    workers: int = 0

    def __post_init__(self):
        for name in ("steps", "batch", "frames", "size", "reuse", "save_every"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise InputError(f"{name}={value!r}: must be a positive integer")
        for name in ("seed", "workers"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 0:
                raise InputError(f"{name}={value!r}: must be an integer, not negative")
        if not isinstance(self.minutes, (int, float)) or self.minutes < 0:
            raise InputError(f"minutes={self.minutes!r}: must be a number, 0 for no limit")
        for name in ("learning_rate", "weight_decay", "ema", "temporal", "uncertainty", "perceptual"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not 0 <= value <= 1:  # YAML reads 5e-4, without a point, as text
                raise InputError(f"{name}={value!r}: must be a number between 0 and 1")
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise InputError(f"precision={self.precision!r}: use auto, float32 or bfloat16")
        if self.perceptual and not self.vgg:
            raise InputError("perceptual needs vgg, the file of torchvision's VGG16 weights")
        paths = self.recordings
        object.__setattr__(self, "recordings", (paths,) if isinstance(paths, str) else tuple(paths))

    @classmethod
    def from_dict(cls, values: dict) -> "TrainConfig":
        """Raises TypeError or ValueError that names a wrong key or value."""
        parts = {"network": make_config, "variety": Variety}
        return cls(**{k: parts[k](**v) if k in parts else v for k, v in values.items()})


# Of the machine that trained, not of the training.
PLACES = ("minutes", "radiance", "recordings", "start", "vgg", "device", "workers")
