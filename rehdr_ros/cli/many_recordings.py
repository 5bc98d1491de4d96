"""Many recordings, one after another or several at a time, each into a folder of its own."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path

from tqdm import tqdm

from rehdr_ros.cli.arguments import number
from rehdr_ros.cli.interruption import Interruption
from rehdr_ros.cli.job import DONE, Job, Outcome, Report, Stage, Work
from rehdr_ros.cli.local_workers import run_local
from rehdr_ros.cli.output_folder import exclusive_folder, require_kept
from rehdr_ros.cli.pipeline_options import pipeline_config
from rehdr_ros.errors import Failure, InputError
from rehdr_ros.recordings.results.folder import SUMMARY

_SECONDS_BETWEEN_LINES = 10
_SUFFIX = re.compile(r"\.(bag|mcap|db3|aedat4|raw)(\.active|\.zstd)?$")
_OF_ONE = ("frames", "timestamps")  # options that go with one recording
_FIGURES = ("frames", "events", "dropped_events", "lost_packets", "skipped_frames", "damaged")
_HEADER = ("recording", "frames", "events", "dropped", "lost", "skipped", "damaged", "time", "outcome")


def add_many_options(parser: argparse.ArgumentParser) -> None:
    """How many at a time, and where."""
    add = parser.add_argument_group("many recordings, each into OUTPUT/NAME").add_argument
    workers = "recordings at a time; each process loads the network and has its share of the cores"
    add("--workers", type=number(int, least=1), metavar="N", help=f"{workers}; 1 if not given")
    cluster = (
        "address of a running Ray cluster to run on, or auto for this machine's; recordings, weights and "
    )
    cluster += (
        "OUTPUT must have the same paths on every node, as on a shared file system; --workers counts on "
    )
    cluster += "the smallest node"
    add("--cluster", metavar="ADDRESS", help=cluster)


def reconstruct_all(args: argparse.Namespace, work: Work) -> None:
    """Every recording of args.input into a folder in args.output; at the end a table, on stdout.

    Raises InputError or Failure where some have failed, when all are through, and KeyboardInterrupt.
    """
    pipeline_config(args)  # a wrong setting is told before the work
    jobs, output = _jobs(args, work), Path(args.output)
    outcomes: dict[str, Outcome] = {}
    with (
        exclusive_folder(output, several=True),
        _runner(args.cluster) as run,
        Interruption() as interruption,  # the last, since Ray sets a handler, too
    ):
        display = _Display(len(jobs))
        try:
            for report in run(_missing_first(jobs), args.workers or 1, interruption):
                display.show(report)
                if report and isinstance(report[1], Outcome):
                    outcomes[report[0].name] = report[1]
        finally:
            display.close()
            print(_table(jobs, outcomes), flush=True)
    others = [outcome for outcome in outcomes.values() if outcome.state != DONE]
    done = len(outcomes) - len(others)
    if done == len(jobs):
        return
    text = f"{done} of {len(jobs)} recordings are done; the same command goes on with the others"
    if interruption.requested:
        raise KeyboardInterrupt(f"interrupted: {text}")
    raise (InputError if all(outcome.code == 2 for outcome in others) else Failure)(text)


def names_of(recordings: list[str]) -> list[str]:
    """Of files and folders, without the suffix of their kind; where names repeat with a number."""
    names: list[str] = []
    for recording in recordings:
        name = _SUFFIX.sub("", os.path.basename(os.path.abspath(recording))) or "recording"
        numbered = chain([name], (f"{name}_{n}" for n in count(2)))
        names.append(next(each for each in numbered if each not in names))
    return names


def _jobs(args: argparse.Namespace, work: Work) -> list[Job]:
    paths = [os.path.realpath(path) for path in args.input]
    for path, real in zip(args.input, paths, strict=True):
        if paths.count(real) > 1:
            raise InputError(f"{path} is named twice")
    for option in _OF_ONE:
        if getattr(args, option) is not None and len(paths) > 1:
            raise InputError(f"--{option} goes with one recording; here are {len(paths)}")
    outputs = [str(Path(args.output) / name) for name in names_of(args.input)]
    for output, real in zip(outputs, paths, strict=True):
        _require_same(output, real)
        require_kept(args.input, Path(output))
    return [
        Job(Path(output).name, argparse.Namespace(**{**vars(args), "input": path, "output": output}), work)
        for output, path in zip(outputs, args.input, strict=True)
    ]


def _require_same(output: str, recording: str) -> None:
    """Of one recording of that name the results must not be replaced by another's."""
    try:
        before = json.loads((Path(output) / SUMMARY).read_text())["recording"]
    except (OSError, ValueError, KeyError):
        return
    if before != recording:
        raise InputError(f"{output} holds the results of {before}; choose another folder with -o")


def _missing_first(jobs: list[Job]) -> list[Job]:
    """What isn't there fails at once, not after the others."""
    return sorted(jobs, key=lambda job: os.path.exists(job.args.input))


@contextmanager
def _runner(cluster: str | None) -> Iterator[Callable[[list[Job], int, Interruption], Iterator[Report]]]:
    """What runs jobs, so many at a time."""
    if cluster is None:
        yield run_local
        return
    from rehdr_ros.cli.cluster import connected, run_on_cluster  # ray is optional

    with connected(cluster):
        yield run_on_cluster


class _Display:
    """One line of progress of them all, and a line of each that ends."""

    def __init__(self, total: int) -> None:
        self._bar = tqdm(
            total=total, desc="reconstructing", unit="recording", dynamic_ncols=True, disable=None
        )
        self._total, self._done = total, 0
        self._stages: dict[str, Stage] = {}
        self._shown = time.monotonic()

    def show(self, report: Report) -> None:
        """Of a job, or that time has passed."""
        if report is not None:
            job, what = report
            if isinstance(what, Stage):
                self._stages[job.name] = what
            else:
                self._end(job, what)
        if self._bar.disable:
            self._print_line()
        else:
            self._bar.set_postfix_str(self._running())

    def close(self) -> None:
        self._bar.close()

    def _end(self, job: Job, outcome: Outcome) -> None:
        self._stages.pop(job.name, None)
        self._done += 1
        for line in outcome.lines:
            self._bar.write(f"{job.name}: {line}")
        if outcome.state != DONE:
            self._bar.write(f"{job.name}: {outcome}", file=sys.stderr)
        self._bar.update()

    def _print_line(self) -> None:
        if time.monotonic() - self._shown > _SECONDS_BETWEEN_LINES:
            self._shown = time.monotonic()
            parts = (f"reconstructing: {self._done} of {self._total} recordings", self._running())
            print("; ".join(filter(None, parts)), file=sys.stderr, flush=True)

    def _running(self) -> str:
        stages = self._stages.items()
        return "; ".join(f"{name}: {stage.label}, {stage.frames} frames" for name, stage in stages)


def _table(jobs: list[Job], outcomes: dict[str, Outcome]) -> str:
    """As aligned text; what its summary.json doesn't tell of a recording is left out."""
    rows = [_HEADER, *(_row(job.name, outcomes.get(job.name)) for job in jobs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *figures, outcome in rows:
        aligned = (f"{figure:>{width}}" for figure, width in zip(figures, widths[1:-1], strict=True))
        lines.append("  ".join([f"{name:{widths[0]}}", *aligned, outcome]))
    return "\n".join(lines)


def _row(name: str, outcome: Outcome | None) -> tuple[str, ...]:
    if outcome is None:
        return (name, *("" for _ in _HEADER[2:]), "not finished")
    figures = (str(_total(outcome.summary[key])) if key in outcome.summary else "" for key in _FIGURES)
    minutes, seconds = divmod(round(outcome.seconds), 60)
    return (name, *figures, f"{minutes}:{seconds:02}", str(outcome))


def _total(figure: int | dict) -> int:
    return sum(map(_total, figure.values())) if isinstance(figure, dict) else figure
