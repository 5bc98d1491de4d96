"""Where the batches of a training come from: simulated on the training's device, or cut from recordings."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from rehdr_ros.simulation.batch import Batch, BatchSimulator
from rehdr_ros.training.augmentation import augmented
from rehdr_ros.training.recorded import RecordedSequences
from rehdr_ros.training.scenes import Scenes
from rehdr_ros.training.sequence import Sequence, collate

_TRAINING, _VALIDATION = 0x7EA1, 0x7A1D  # streams of random numbers that no user's seed reaches


class Batches(Protocol):
    """Batch `number` of a training, (N, T, ...): a function of its number, so that a training can be resumed."""

    def __getitem__(self, number: int) -> Sequence: ...


class SimulatedBatches(Dataset):
    """Batches of `batch` sequences in scenes of `radiance` (see Scenes). validation: from another stream."""

    def __init__(
        self,
        simulator: BatchSimulator,
        batch: int,
        seed: int = 0,
        radiance: str | Path | None = None,
        validation: bool = False,
    ):
        self._simulator, self._batch, self._scenes = simulator, batch, Scenes(radiance, simulator.device)
        self._key = (_VALIDATION if validation else _TRAINING, seed)

    def __getitem__(self, number: int) -> Sequence:
        batch, rng = self._simulated(number)
        return augmented(Sequence(batch.ldr, batch.voxel, batch.truth, batch.gain), rng)

    def simulated(self, number: int) -> Batch:
        """The same before flips and turns, with what was drawn."""
        return self._simulated(number)[0]

    def _simulated(self, number: int) -> tuple[Batch, np.random.Generator]:
        rng = np.random.default_rng([*self._key, number])
        return self._simulator([self._scenes.draw(rng) for _ in range(self._batch)], rng), rng


class RecordedBatches(Dataset):
    """Batches of sequences cut from recordings."""

    def __init__(self, sequences: RecordedSequences, batch: int):
        self._sequences, self._batch = sequences, batch

    def __getitem__(self, number: int) -> Sequence:
        first = number * self._batch
        return collate([self._sequences[i] for i in range(first, first + self._batch)])


def stream(batches: Batches, numbers: range, workers: int) -> Iterator[Sequence]:
    """The batches of those numbers, in order, prepared by `workers` processes ahead of time."""
    return iter(
        DataLoader(
            batches,
            batch_size=None,
            sampler=numbers,
            num_workers=workers,
            worker_init_fn=_one_thread,
            multiprocessing_context="spawn" if workers else None,
        )
    )


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)
