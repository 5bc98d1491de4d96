"""One recording of many, and what became of it."""

from __future__ import annotations

import argparse
import json
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import cv2
import torch

from rehdr_ros.cli.console import Console
from rehdr_ros.cli.interruption import Interruption
from rehdr_ros.errors import Failure, InputError, exit_code, missing_package, one_line
from rehdr_ros.recordings.results.folder import SUMMARY

DONE, FAILED, INTERRUPTED = "done", "failed", "interrupted"
_SECONDS_BETWEEN_STAGES = 1

T = TypeVar("T")
Work = Callable[[argparse.Namespace, Interruption, Console], None]


class Job(NamedTuple):
    """args: the verb's, of this recording; work: what is done with them; threads: that it may use."""

    name: str
    args: argparse.Namespace
    work: Work
    threads: int = 1

    def run(self, interruption: Interruption, tell: Callable[[Stage], None]) -> Outcome:
        """Do it, in this process; nothing is raised. tell: is called now and then."""
        started, state, reason, code = time.monotonic(), DONE, "", 0
        summary: dict[str, Any] = {}
        console = _Notes(tell)
        torch.set_num_threads(self.threads)
        cv2.setNumThreads(self.threads)
        try:
            self.work(self.args, interruption, console)
            summary = json.loads((Path(self.args.output) / SUMMARY).read_text())
        except KeyboardInterrupt as error:
            state, reason = INTERRUPTED, str(error).removeprefix("interrupted ")
        except (InputError, OSError, Failure) as error:
            state, reason, code = FAILED, one_line(error), exit_code(error)
        except Exception as error:
            missing = isinstance(error, ModuleNotFoundError) and missing_package(error)
            state, reason, code = FAILED, one_line(missing or error), 2 if missing else 1
            if not missing:
                console.say(traceback.format_exc())
        return Outcome(state, reason, code, console.lines, summary, time.monotonic() - started)


class Stage(NamedTuple):
    """Where a job is: frames that have passed what it does now."""

    label: str
    frames: int


@dataclass(frozen=True)
class Outcome:
    """state: DONE, FAILED or INTERRUPTED; reason: of the latter; code: the exit code. lines: what was said.

    summary: summary.json, where it is done. seconds: that it took.
    """

    state: str
    reason: str = ""
    code: int = 0
    lines: list[str] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.state, self.reason)))


# Of a job: how far it is, then what became of it. None now and then, so that whoever waits can do more.
Report = tuple[Job, Stage | Outcome] | None


class _Notes(Console):
    """Keeps the lines, and tells of the progress instead of showing it."""

    def __init__(self, tell: Callable[[Stage], None]) -> None:
        self._tell, self._told = tell, time.monotonic()
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def progress(self, items: Iterable[T], label: str) -> Iterator[T]:
        for count, item in enumerate(items, 1):
            yield item
            if time.monotonic() - self._told > _SECONDS_BETWEEN_STAGES:
                self._told = time.monotonic()
                self._tell(Stage(label, count))
