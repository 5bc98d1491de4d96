"""Batches drawn from sequences that are simulated once, a little larger and longer than what is drawn."""

import json
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from rehdr_ros.simulation.batch import BatchSimulator
from rehdr_ros.training import kept
from rehdr_ros.training.augmentation import augmented, exposed_anew
from rehdr_ros.training.batches import SimulatedBatches
from rehdr_ros.training.config import TrainConfig
from rehdr_ros.training.kept import Kept
from rehdr_ros.training.scenes import training_files
from rehdr_ros.training.sequence import Sequence, collate

_DRAWS = 2  # a stream of random numbers beside the simulations'


class KeptSequences:
    """The sequences of a configuration, by number: simulated when first asked for, by the batch.

    Files of config.simulated, and then on the CPU, or without it in the memory of the device that simulates.
    """

    def __init__(self, config: TrainConfig, bins: int, device: torch.device):
        size, frames = (math.ceil(n * (1 + config.margin)) for n in (config.size, config.frames))
        size += size % 2
        simulator = BatchSimulator(size, frames, bins, device, config.variety)
        self._batch = config.batch
        self._batches = SimulatedBatches(simulator, self._batch, config.seed, config.radiance)
        self._folder, self._memory = Path(config.simulated) if config.simulated else None, {}
        scenes = [path.name for path in training_files(config.radiance)] if config.radiance else []
        what = {"seed": config.seed, "batch": self._batch, "size": size, "frames": frames, "bins": bins}
        self._recipe = json.dumps({**what, "scenes": scenes, "variety": asdict(config.variety)})

    def __getitem__(self, number: int) -> Kept:
        if not (self._path(number).exists() if self._folder else number in self._memory):
            self._simulate(number)
        return kept.read(self._path(number), self._recipe) if self._folder else self._memory[number]

    def _simulate(self, number: int) -> None:
        first = number - number % self._batch
        sequences = kept.keep(self._batches.simulated(first // self._batch))
        if self._folder:
            self._folder.mkdir(parents=True, exist_ok=True)
            for k, sequence in enumerate(sequences, first):
                kept.write(self._path(k), sequence, self._recipe)
        else:
            self._memory |= dict(enumerate(sequences, first))

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06}.safetensors"


class DrawnBatches(Dataset):
    """Batches of parts of kept sequences, at random places, flipped, turned and exposed anew.

    The first ones bring new sequences, config.batch / config.reuse each, until there are config.sequences;
    the rest of a batch is drawn from those before it.
    """

    def __init__(self, sequences: KeptSequences, config: TrainConfig):
        self._sequences, self._config = sequences, config

    def __getitem__(self, number: int) -> Sequence:
        config = self._config
        rng = np.random.default_rng([config.seed, number, _DRAWS])
        before, now = self._present(number), self._present(number + 1)
        new = np.arange(before, now)[: config.batch]
        old = rng.choice(before, config.batch - len(new), replace=before < config.batch) if before else []
        chosen = [*new.tolist(), *map(int, old)]
        batch = collate([self._part(self._sequences[k], rng) for k in chosen])
        return augmented(exposed_anew(batch, rng), rng)

    def _present(self, number: int) -> int:
        """How many sequences there are before that batch."""
        if not number:
            return 0
        config = self._config
        grown = config.batch + (number - 1) * config.batch // config.reuse
        return min(config.sequences, grown)

    def _part(self, sequence: Kept, rng: np.random.Generator) -> Sequence:
        frames, _, height, width = sequence.ldr.shape
        size = self._config.size
        pairs = ((frames, self._config.frames), (height, size), (width, size))
        starts = [int(rng.integers(whole - part + 1)) for whole, part in pairs]
        return sequence.cut(*(slice(s, s + part) for s, (_, part) in zip(starts, pairs, strict=True)))
