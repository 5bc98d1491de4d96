"""The training loop: resumable to the exact step, on a GPU, several (torchrun), or a CPU."""

import hashlib
import json
import math
import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import compress
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from rehdr_ros.errors import InputError, writing
from rehdr_ros.network import Network, load_checkpoint, save_checkpoint
from rehdr_ros.network.checkpoint import make_network, resolve
from rehdr_ros.reconstruction.reconstructor import pick_device, pick_precision
from rehdr_ros.simulation.batch import BatchSimulator
from rehdr_ros.training import checkpoint_files
from rehdr_ros.training.batches import Batches, RecordedBatches, SimulatedBatches, stream
from rehdr_ros.training.config import PLACES, TrainConfig
from rehdr_ros.training.deadline import Deadline
from rehdr_ros.training.drawn import DrawnBatches, KeptSequences
from rehdr_ros.training.graphed import GraphedLoss, can_compile
from rehdr_ros.training.losses import PerceptualLoss
from rehdr_ros.training.recorded import RecordedSequences
from rehdr_ros.training.sequence import Sequence
from rehdr_ros.training.unrolled import Unrolled
from rehdr_ros.training.validation import validate

_VALIDATION_BATCHES = 3
_VALIDATION_BATCH = 4  # sequences at most: the measures take long
_OF_A_RUN = ("steps", "save_every")  # of the recipe what may be another one when a training goes on


class _NoTime(Exception):
    pass


class Trainer:
    """Trains one network into a folder: state.pt (to resume from), weights.safetensors (averaged), log.jsonl.

    Started by torchrun, each process trains on batches of its own and the gradients are averaged (DDP).
    graphed: on a GPU, alone, the step is compiled where it can be, and one CUDA graph. started: as of
    Deadline.
    """

    def __init__(
        self, config: TrainConfig, folder: str | Path, graphed: bool = True, started: float | None = None
    ):
        self._deadline = Deadline(config.minutes, started)
        self._config, self._folder = config, Path(folder)
        self._weights = self._folder / "weights.safetensors"
        self._rank, self._processes = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        self._device = self._pick_device()
        precision = config.precision
        self._half = (pick_precision("auto", self._device) if precision == "auto" else precision) != "float32"
        torch.manual_seed(config.seed)
        network = load_checkpoint(config.start) if config.start else make_network(config.network)
        # Of its content, since it may lie elsewhere when the training goes on.
        self._start = config.start and hashlib.sha256(resolve(config.start).read_bytes()).hexdigest()
        network.requires_grad_(True).train()
        if self._rank == 0:
            self._folder.mkdir(parents=True, exist_ok=True)
        self.network = network.to(self._device, memory_format=torch.channels_last)
        self._average = {name: p.detach().clone() for name, p in self.network.state_dict().items()}
        options = {"lr": config.learning_rate, "betas": (0.9, 0.99), "weight_decay": config.weight_decay}
        options |= {"fused": True} if self._device.type == "cuda" else {}
        self.optimizer = torch.optim.AdamW(self.network.parameters(), **options)
        self.step, self._passed = 0, 0.0
        self._validation: list[Sequence] = []
        self._computed: torch.cuda.Event | None = None  # the step before
        self._resume()
        vgg = PerceptualLoss(config.vgg).to(self._device) if config.perceptual else None
        weights = config.temporal, config.uncertainty, config.perceptual
        graphed &= self._processes == 1 and self._device.type == "cuda"
        self._loss: nn.Module = Unrolled(self.network, *weights, vgg, compiled=graphed and can_compile())
        if self._processes > 1:
            ids = [self._device.index] if self._device.type == "cuda" else None
            self._loss = DistributedDataParallel(self._loss, device_ids=ids)
        self._graphed = GraphedLoss(self._loss, self._half) if graphed else None

    def run(self) -> None:
        """Train to the end, saving every `save_every` steps; or for `minutes`, whatever comes first.

        The minutes hold the last save, and its measures where they fit.
        """
        config = self._config
        first, last = self.step * self._processes + self._rank, config.steps * self._processes
        batches = stream(self.batches(), range(first, last, self._processes), self._workers())
        losses, begun = [], self._deadline.elapsed()
        shown = {"unit": "step", "mininterval": 2, "disable": True if self._rank else None}
        if first >= last and not self._weights.is_file():  # the state alone was copied here
            self._save()
        if config.minutes and first < last:
            self._save()  # it also tells how long a save takes
            if self._share_of_the_minutes("save") >= 1:
                return
        for batch in tqdm(batches, initial=self.step, total=config.steps, **shown):
            begun = self._deadline.note("batch", begun)
            if self._share_of_the_minutes("step", "save") >= 1:
                self._save()
                break
            losses.append(self.train_step(batch))
            self._keep_pace()
            begun = self._deadline.note("step", begun)
            self._passed = self._share_of_the_minutes("batch", "step", "save", "validation")
            last = self.step == config.steps or self._passed >= 1
            if self.step % config.save_every == 0 or last:
                self._save()
                if self._rank == 0:
                    entry = {"step": self.step, "loss": torch.stack(losses).mean().item()}
                    self._log({**entry, "seconds": self._deadline.elapsed(), **self._validated()})
                losses, begun = [], self._deadline.elapsed()
                if self._processes > 1:
                    dist.barrier()
            if last:
                break

    def _keep_pace(self) -> None:
        """Wait for a GPU's step before this one: what it has in its queue would hide how long steps take."""
        if self._device.type == "cuda":
            if self._computed:
                self._computed.synchronize()
            self._computed = torch.cuda.Event()
            self._computed.record()

    def _save(self) -> None:
        if self._rank == 0:
            begun = self._deadline.elapsed()
            self.save()
            self._deadline.note("save", begun)

    def _validated(self) -> dict[str, float]:
        """The measures, or none where the time is too short for them."""
        begun = self._deadline.elapsed()
        try:
            return validate(self.averaged(), self._validation_batches())
        except _NoTime:
            return {}
        finally:
            self._deadline.note("validation", begun)

    def _validation_batches(self) -> Iterator[Sequence]:
        """Raises _NoTime instead of one that there is no time for."""
        for number in range(_VALIDATION_BATCHES):
            # The first one may take anything: it must not come last.
            if self._deadline.share("validated batch") > (1 if self._validation else 0.5):
                raise _NoTime
            begun = self._deadline.elapsed()
            if number == len(self._validation):
                self._validation.append(self.batches(True)[number])
            yield self._validation[number]
            self._deadline.note("validated batch", begun)

    def averaged(self) -> Network:
        """The network with the exponential moving average of its weights, in evaluation mode."""
        network = make_network(self.network.config).to(self._device)
        network.load_state_dict(self._average)
        return network.eval().requires_grad_(False)

    def _pick_device(self) -> torch.device:
        if self._processes == 1:
            return pick_device(self._config.device)
        if not dist.is_initialized():
            dist.init_process_group("nccl" if pick_device(self._config.device).type == "cuda" else "gloo")
        device = pick_device(self._config.device)
        return torch.device("cuda", int(os.environ["LOCAL_RANK"])) if device.type == "cuda" else device

    def _workers(self) -> int:
        if self._config.workers and self._device.type == "cuda" and not self._config.recordings:
            there = "on a GPU scenes are simulated there, by the training itself"
            raise InputError(f"workers: {there}; leave it at 0")
        return self._config.workers

    def batches(self, validation: bool = False) -> Batches:
        """By the number of the step. validation: those of a stream apart, or other cuts of recordings."""
        config, bins = self._config, self.network.config.bins
        if config.recordings:
            count = max(config.steps * self._processes, _VALIDATION_BATCHES) * config.batch
            shape, seed = (config.size, config.frames, bins), config.seed + validation
            sequences = RecordedSequences(config.recordings, count, *shape, seed, config.response)
            return RecordedBatches(sequences, config.batch)
        if config.sequences and not validation:
            return DrawnBatches(KeptSequences(config, bins, self._device), config)
        simulator = BatchSimulator(config.size, config.frames, bins, self._device, config.variety)
        batch, reuse = config.batch, config.reuse
        if validation:
            batch, reuse = min(batch, _VALIDATION_BATCH), 1
        return SimulatedBatches(simulator, batch, config.seed, config.radiance, validation, reuse)

    def train_step(self, batch: Sequence) -> Tensor:
        """Take one step, by which `step` goes on; returns the loss."""
        config = self._config
        # A network that draws numbers, as for dropout, draws the same ones after an interruption.
        drawn = np.random.SeedSequence((config.seed, self.step, self._rank))
        torch.manual_seed(int(drawn.generate_state(1, np.uint64)[0]))
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * self._schedule()
        batch = batch.map(lambda x: x.to(self._device, non_blocking=True))
        loss = self._graphed(batch) if self._graphed else self._gradients(batch)
        parameters = [p for p in self.network.parameters() if p.grad is not None]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        # A step that is not finite must not be the last: it counts as none.
        for parameter in parameters:
            parameter.grad.nan_to_num_(0, 0, 0)
        self.optimizer.step()
        keep = min(config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            current = self.network.state_dict()
            averages, values = [self._average[name] for name in current], list(current.values())
            floats = [x.is_floating_point() for x in values]
            smooth = list(compress(averages, floats))
            torch._foreach_mul_(smooth, keep)  # at once: a GPU would wait for each
            torch._foreach_add_(smooth, list(compress(values, floats)), alpha=1 - keep)
            for average, value, is_float in zip(averages, values, floats, strict=True):
                if not is_float:
                    average.copy_(value)
        self.step += 1
        return loss.detach().clone()

    def _gradients(self, batch: Sequence) -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
            loss = self._loss(batch)
        loss.backward()
        return loss

    def _schedule(self) -> float:
        """Linear warm-up, then a cosine to a hundredth, by steps or by time."""
        steps, warm_up = self._config.steps, min(100, max(1, self._config.steps // 10))
        if self.step < warm_up:
            return (self.step + 1) / warm_up
        progress = (self.step - warm_up) / max(1, steps - warm_up)
        progress = max(progress, self._passed)
        return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1, progress)))

    def _share_of_the_minutes(self, *parts: str) -> float:
        """As of Deadline.share, by the first process: all have one learning rate and end with one step."""
        share = self._deadline.share(*parts)
        if not self._config.minutes or self._processes == 1:
            return share
        shared = torch.tensor(share, device=self._device)
        dist.broadcast(shared, 0)
        return shared.item()

    def _log(self, entry: dict[str, float]) -> None:
        """A line in log.jsonl and the terminal; scalars for TensorBoard if installed (extra `train`)."""
        with writing(self._folder / "log.jsonl"), open(self._folder / "log.jsonl", "a") as log:
            log.write(json.dumps(entry) + "\n")
        tqdm.write(json.dumps(entry))
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        with SummaryWriter(self._folder / "tensorboard") as writer:
            for name, value in entry.items():
                writer.add_scalar(name, value, entry["step"])

    def save(self) -> None:
        """Write weights.safetensors and state.pt, the last: what is cut between both goes on before both."""
        notes = {"training": json.dumps({**self._recipe(), "processes": self._processes, "step": self.step})}
        save_checkpoint(self.averaged(), self._weights, torch.float16, **notes)
        state = {
            "step": self.step,
            "processes": self._processes,
            "recipe": {**self._recipe(), "start": self._start},
            "network": self.network.state_dict(),
            "average": self._average,
            "optimizer": self.optimizer.state_dict(),
        }
        checkpoint_files.write(self._folder / "state.pt", state, int(self._config.pieces * (1 << 20)))

    def _recipe(self) -> dict:
        config = replace(self._config, network=self.network.config)
        return {name: value for name, value in asdict(config).items() if name not in PLACES}

    def _resume(self) -> None:
        path = self._folder / "state.pt"
        try:
            state = checkpoint_files.read(path, self._device)
            if state is not None:
                self._require_same(path, state)
                self.step = state["step"]
                self.network.load_state_dict(state["network"])
                self._average = state["average"]
                self.optimizer.load_state_dict(state["optimizer"])
        except (InputError, PermissionError, MemoryError, torch.cuda.OutOfMemoryError):
            raise
        except Exception as error:  # a damaged file makes the reader raise anything
            why = "it is damaged, or holds another network"
            raise InputError(f"{path} is no state of this training: {why}; take another folder") from error

    def _require_same(self, path: Path, state: dict) -> None:
        """Raise InputError where a state is of another training."""
        if state.get("processes", 1) != self._processes:
            training = f"{path} is of a training by {state['processes']} processes"
            raise InputError(f"{training}; go on with as many, or with --start in another folder")
        now = {**self._recipe(), "start": self._start}
        before = {**now, **state.get("recipe", {})}  # an older release may have known fewer settings
        changed = [name for name in now if name not in _OF_A_RUN and before[name] != now[name]]
        if changed:
            advice = "go on with the same, or take another folder"
            raise InputError(f"{path} is of a training with another {', '.join(changed)}: {advice}")
