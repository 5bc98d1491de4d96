"""Where the batches of a training come from: simulated on the training's device, or cut from recordings."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from rehdr_ros.errors import InputError
from rehdr_ros.simulation.batch import Batch, BatchSimulator
from rehdr_ros.training.augmentation import augmented, exposed_anew
from rehdr_ros.training.recorded import RecordedSequences
from rehdr_ros.training.scenes import Scenes
from rehdr_ros.training.sequence import Sequence, collate

_TRAINING, _VALIDATION = 0x7EA1, 0x7A1D  # streams of random numbers that no user's seed reaches
_WINDOW = 16  # simulated batches that are kept, to draw the next one from


class Batches(Protocol):
    """Batch `number` of a training, (N, T, ...): a function of its number, so a training can be resumed."""

    def __getitem__(self, number: int) -> Sequence: ...


class SimulatedBatches(Dataset):
    """Batches of `batch` sequences in scenes of `radiance` (see Scenes). validation: from another stream.

    reuse: how many batches are drawn, on average, of each that is simulated: flipped, turned and exposed
    anew. On a GPU the next one is simulated beside the training, on a stream of its own.
    """

    def __init__(
        self,
        simulator: BatchSimulator,
        batch: int,
        seed: int = 0,
        radiance: str | Path | None = None,
        validation: bool = False,
        reuse: int = 1,
    ):
        self._simulator, self._batch = simulator, batch
        self._scenes = Scenes(radiance, simulator.device, simulator.variety.signs)
        self._key = (_VALIDATION if validation else _TRAINING, seed)
        self._reuse, self._kept = reuse, {}
        self._stream = torch.cuda.Stream(simulator.device) if simulator.device.type == "cuda" else None

    def __getitem__(self, number: int) -> Sequence:
        rng = np.random.default_rng([*self._key, number, 1])
        newest = number // self._reuse
        self._ready(newest)
        sequence = self._ready(max(0, newest - int(rng.integers(_WINDOW if self._reuse > 1 else 1))))
        for oldest in sorted(self._kept)[:-_WINDOW]:
            del self._kept[oldest]
        if self._reuse > 1:
            sequence = exposed_anew(sequence, rng)
        return augmented(sequence, rng)

    def simulated(self, number: int) -> Batch:
        """One as simulated, with what was drawn."""
        rng = np.random.default_rng([*self._key, number])
        return self._simulator([self._scenes.draw(rng) for _ in range(self._batch)], rng)

    def _ready(self, number: int) -> Sequence:
        if number not in self._kept:
            with torch.cuda.stream(self._stream):  # no stream: nothing changes
                batch = self.simulated(number)
            self._kept[number] = Sequence(batch.ldr, batch.voxel, batch.truth, batch.gain, batch.seconds)
        if self._stream:
            current = torch.cuda.current_stream()
            current.wait_stream(self._stream)
            self._kept[number].map(lambda x: x.record_stream(current))
        return self._kept[number]


class RecordedBatches(Dataset):
    """Batches of sequences cut from recordings."""

    def __init__(self, sequences: RecordedSequences, batch: int):
        self._sequences, self._batch = sequences, batch

    def __getitem__(self, number: int) -> Sequence:
        first = number * self._batch
        return collate([self._sequences[i] for i in range(first, first + self._batch)])


def stream(batches: Batches, numbers: range, workers: int) -> Iterator[Sequence]:
    """The batches of those numbers, in order, prepared by `workers` processes ahead of time."""
    processes = {"num_workers": workers, "worker_init_fn": _one_thread}
    processes["multiprocessing_context"] = "spawn" if workers else None
    return map(_raised, iter(DataLoader(_Tried(batches), batch_size=None, sampler=numbers, **processes)))


class _Tried(Dataset):
    """Batches, or what users can mend instead: DataLoader would raise a worker's traceback as its text."""

    def __init__(self, batches: Batches):
        self._batches = batches

    def __getitem__(self, number: int) -> Sequence | Exception:
        try:
            return self._batches[number]
        except (InputError, OSError) as error:
            return error


def _raised(made: Sequence | Exception) -> Sequence:
    if isinstance(made, Exception):
        raise made
    return made


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)
