"""rehdr benchmark training: frames a second, of which part is simulation."""

import argparse
import statistics
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from rehdr_ros.cli.arguments import key_value
from rehdr_ros.cli.benchmarks.timing import Figures, duration
from rehdr_ros.training.batches import Batches
from rehdr_ros.training.config import TrainConfig, read_config
from rehdr_ros.training.loop import Trainer

_STEPS = 3  # in a row: on a GPU one is simulated beside the other's step


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--config", default="config/train_rehdr_t.yaml", help="for training: YAML file")
    others = "for training: any key of the file, e.g. batch=4 radiance=FOLDER"
    add("--set", metavar="KEY=VALUE", nargs="+", action="extend", type=key_value, default=[], help=others)


def training(args: argparse.Namespace) -> Figures:
    """Steps of a training with the batches that they need, in turn with other ways to get either.

    frames_per_second: simulation, step and all; ratio: of it, to that of the first row, which simulates every
    batch; simulation_share: of the time, what is not the step; step_ms: with a batch that is there.
    Kept sequences are simulated and written before the measurement.
    """
    config = replace(read_config(args.config, {"device": args.device}, args.set), minutes=0.0, workers=0)
    with ExitStack() as stack:
        runs = {
            name: _Run(changed, Path(stack.enter_context(TemporaryDirectory())), graphed)
            for name, changed, graphed in _variants(config)
        }
        for run in runs.values():
            run.round()
        rounds = [{name: run.round() for name, run in runs.items()} for _ in range(args.repeat)]
    figures, first = {}, None
    for name in runs:
        whole, step = (statistics.median(r[name][k] for r in rounds) for k in range(2))
        rate = config.batch * config.frames / whole
        first = first or rate
        share = max(0.0, 1 - step / whole)
        figures[name] = {"frames_per_second": rate, "ratio": rate / first, "simulation_share": share}
        figures[name]["step_ms"] = 1e3 * step
    return figures


def _variants(config: TrainConfig) -> Iterator[tuple[str, TrainConfig, bool]]:
    """Name, configuration, and whether a GPU's step is one CUDA graph."""
    fresh = replace(config, sequences=0, reuse=1)
    yield "each batch simulated", fresh, True
    if config.reuse > 1:
        yield f"each drawn {config.reuse} times", replace(fresh, reuse=config.reuse), True
    kept = replace(config, sequences=2 * config.batch, simulated=None)
    yield "sequences kept in memory", kept, True
    yield "sequences kept in a folder", replace(kept, simulated="sequences"), True
    if torch.cuda.is_available() and config.device != "cpu":
        yield "each batch simulated, eager", fresh, False
    elif config.precision != "float32":
        yield "each batch simulated, float32", replace(fresh, precision="float32"), True


class _Run:
    """One training, a few steps at a time."""

    def __init__(self, config: TrainConfig, folder: Path, graphed: bool):
        if config.simulated:
            config = replace(config, simulated=str(folder / config.simulated))
        self._trainer = Trainer(config, folder, graphed)
        self._batches: Batches = self._trainer.batches()
        # All that is kept is there from then on.
        self._number = 2 * config.reuse if config.sequences else 0
        for number in range(self._number):
            self._fetch(number)

    def round(self) -> tuple[float, float]:
        """Seconds of a step with its batch, and of a step alone, means of some."""
        fetched = 0.0

        def train() -> None:
            nonlocal fetched
            for number in range(self._number, self._number + _STEPS):
                fetched += duration(lambda number=number: self._fetch(number))
                self._trainer.train_step(self._last)
            self._wait()

        whole = duration(train)
        self._number += _STEPS
        # A GPU simulates beside its steps: what is not simulation only a run without tells.
        alone = duration(self._alone) if self._last.ldr.is_cuda else whole - fetched
        return whole / _STEPS, alone / _STEPS

    def _fetch(self, number: int) -> None:
        self._last = self._batches[number]

    def _alone(self) -> None:
        for _ in range(_STEPS):
            self._trainer.train_step(self._last)
        self._wait()

    def _wait(self) -> None:
        if self._last.ldr.is_cuda:
            torch.cuda.synchronize(self._last.ldr.device)
