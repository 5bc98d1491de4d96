"""The training loop: backpropagation through whole sequences, resumable, with an averaged copy of the weights."""

import json
import math
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from rehdr_ros.errors import InputError
from rehdr_ros.network import Rehdr, RehdrConfig, load_checkpoint, save_checkpoint
from rehdr_ros.network.integrator import CLIPPED
from rehdr_ros.reconstruction.reconstructor import pick_device
from rehdr_ros.training.dataset import Sequence, SimulatedSequences, collate, linearise
from rehdr_ros.training.losses import radiance_loss
from rehdr_ros.training.metrics import fill_constant, mean_scores, score


@dataclass(frozen=True)
class TrainConfig:
    """One training. steps, batch, frames (a sequence), size (px); start: a checkpoint to fine-tune from;
    radiance: folder of `.hdr`/`.exr` scenes; precision: float32, or bfloat16 autocast."""

    network: RehdrConfig = field(default_factory=RehdrConfig)
    steps: int = 4000
    batch: int = 4
    frames: int = 8
    size: int = 112
    learning_rate: float = 5e-4
    weight_decay: float = 1e-4
    ema: float = 0.998
    seed: int = 0
    radiance: str | None = None
    start: str | None = None
    device: str = "auto"
    precision: str = "bfloat16"
    workers: int = 1
    save_every: int = 250

    def __post_init__(self):
        for name in ("steps", "batch", "frames", "size", "save_every"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise InputError(f"{name}={value!r}: must be a positive integer")
        if not isinstance(self.workers, int) or self.workers < 0:
            raise InputError(f"workers={self.workers!r}: must be an integer, not negative")
        for name in ("learning_rate", "weight_decay", "ema"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not 0 <= value <= 1:  # YAML reads 5e-4, without a point, as text
                raise InputError(f"{name}={value!r}: must be a number between 0 and 1")
        if self.precision not in ("float32", "bfloat16"):
            raise InputError(f"precision={self.precision!r}: use float32 or bfloat16")

    @classmethod
    def from_dict(cls, values: dict) -> "TrainConfig":
        """Raises TypeError or ValueError that names a wrong key or value."""
        network = RehdrConfig(**values.get("network", {}))
        return cls(**{**values, "network": network})


_PLACES = ("radiance", "start", "device", "workers")  # of the machine that trained, not of the training


class Trainer:
    """Trains one network into a folder: state.pt (to resume from), weights.safetensors (averaged), log.jsonl."""

    def __init__(self, config: TrainConfig, folder: str | Path):
        self._config, self._folder = config, Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._device = pick_device(config.device)
        torch.manual_seed(config.seed)
        network = load_checkpoint(config.start) if config.start else Rehdr(config.network)
        network.config = replace(network.config, voxel="counts")  # is what it is trained on here
        self.network = network.requires_grad_(True).train().to(self._device, memory_format=torch.channels_last)
        self._average = {name: p.detach().clone() for name, p in self.network.state_dict().items()}
        self._optimizer = torch.optim.AdamW(
            self.network.parameters(),
            config.learning_rate,
            betas=(0.9, 0.99),
            weight_decay=config.weight_decay,
        )
        self._step = 0
        self._resume()

    def run(self) -> None:
        """Train to the end, saving every `save_every` steps."""
        config = self._config
        bins = self.network.config.bins
        data = SimulatedSequences(
            config.steps * config.batch, config.size, config.frames, bins, config.seed, config.radiance
        )
        # Sequences are a function of their index: a resumed training sees what an uninterrupted one would have.
        loader = DataLoader(
            data,
            config.batch,
            sampler=range(self._step * config.batch, len(data)),
            num_workers=config.workers,
            collate_fn=collate,
        )
        validation = [
            SimulatedSequences(12, config.size, 12, bins, config.seed, config.radiance, validation=True)[i]
            for i in range(12)
        ]
        losses, started = [], time.monotonic()
        for batch in tqdm(loader, initial=self._step, total=config.steps, mininterval=2, unit="step"):
            losses.append(self._train_step(batch))
            self._step += 1
            if self._step % config.save_every == 0 or self._step == config.steps:
                self._save()
                entry = {
                    "step": self._step,
                    "loss": float(np.mean(losses)),
                    "seconds": time.monotonic() - started,
                }
                entry |= validate(self.averaged(), validation)
                self._log(entry)
                losses = []

    def _log(self, entry: dict[str, float]) -> None:
        """A line of log.jsonl and on the terminal; scalars for TensorBoard where that is installed (extra `train`)."""
        with open(self._folder / "log.jsonl", "a") as log:
            log.write(json.dumps(entry) + "\n")
        tqdm.write(json.dumps(entry))
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        with SummaryWriter(self._folder / "tensorboard") as writer:
            for name, value in entry.items():
                writer.add_scalar(name, value, entry["step"])

    def averaged(self) -> Rehdr:
        """The network with the exponential moving average of its weights, in evaluation mode."""
        network = Rehdr(self.network.config).to(self._device)
        network.load_state_dict(self._average)
        return network.eval().requires_grad_(False)

    def _train_step(self, batch: Sequence) -> float:
        config = self._config
        for group in self._optimizer.param_groups:
            group["lr"] = config.learning_rate * _schedule(self._step, config.steps)
        ldr, voxel, truth = (x.to(self._device, non_blocking=True) for x in (batch.ldr, batch.voxel, batch.truth))
        ldr = linearise(ldr)
        total, state = 0.0, None
        with torch.autocast(self._device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            for k in range(ldr.shape[1]):
                radiance, state = self.network(ldr[:, k], voxel[:, k], state)
                clipped = (ldr[:, k].amax(1, keepdim=True) >= CLIPPED).float()
                total = total + radiance_loss(radiance, truth[:, k], clipped)
        loss = total / ldr.shape[1]
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self._optimizer.step()
        keep = min(config.ema, (1 + self._step) / (10 + self._step))
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                self._average[name].lerp_(value, 1 - keep)
            else:
                self._average[name].copy_(value)
        return loss.item()

    def _save(self) -> None:
        state = {
            "step": self._step,
            "network": self.network.state_dict(),
            "average": self._average,
            "optimizer": self._optimizer.state_dict(),
        }
        torch.save(state, self._folder / "state.tmp")
        (self._folder / "state.tmp").replace(self._folder / "state.pt")
        recipe = {name: value for name, value in asdict(self._config).items() if name not in _PLACES}
        notes = {"training": json.dumps({**recipe, "step": self._step})}
        save_checkpoint(self.averaged(), self._folder / "weights.safetensors", torch.float16, **notes)

    def _resume(self) -> None:
        path = self._folder / "state.pt"
        if path.is_file():
            state = torch.load(path, map_location=self._device, weights_only=True)
            self._step = state["step"]
            self.network.load_state_dict(state["network"])
            self._average = state["average"]
            self._optimizer.load_state_dict(state["optimizer"])


@torch.inference_mode()
def validate(network: Rehdr, sequences: list[Sequence]) -> dict[str, float]:
    """Clipped error in stops, and mu-law PSNR, of the network, of it without events, and of the baselines."""
    device = next(network.parameters()).device
    rows: dict[str, list] = {"ours": [], "ours_without_events": [], "ldr": [], "constant_fill": []}
    for sequence in sequences:
        ldr8 = list(sequence.ldr.permute(0, 2, 3, 1).numpy())
        truth = list(sequence.truth.permute(0, 2, 3, 1).numpy())
        linear = linearise(sequence.ldr)
        plain = list(linear.permute(0, 2, 3, 1).numpy())
        for name, gain in (("ours", 1.0), ("ours_without_events", 0.0)):
            state, predicted = None, []
            for k in range(len(linear)):
                voxel = (sequence.voxel[k : k + 1] * gain).to(device)
                radiance, state = network(linear[k : k + 1].to(device), voxel, state)
                predicted.append(radiance[0].permute(1, 2, 0).cpu().numpy())
            rows[name].append(score(predicted, ldr8, truth))
        rows["ldr"].append(score(plain, ldr8, truth))
        rows["constant_fill"].append(
            score([fill_constant(a, b) for a, b in zip(ldr8, plain, strict=True)], ldr8, truth)
        )
    means = {name: mean_scores(scores) for name, scores in rows.items()}
    return {
        f"{name}_{measure}": round(values[measure], 4)
        for name, values in means.items()
        for measure in ("clipped_log2_rmse", "mu_psnr")
    }


def _schedule(step: int, steps: int, warm_up: int = 100) -> float:
    """Linear warm-up, then a cosine to a hundredth."""
    if step < warm_up:
        return (step + 1) / warm_up
    progress = (step - warm_up) / max(1, steps - warm_up)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress))
