"""Jobs in processes of this machine.

Not by concurrent.futures: where one of its processes is killed, the jobs of all others end with it.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait

import torch

from rehdr_ros.cli.interruption import Interruption
from rehdr_ros.cli.job import FAILED, INTERRUPTED, Job, Outcome, Report, Stage

_TICK = 0.5  # s
_SPAWN = multiprocessing.get_context("spawn")  # what forks a process with torch's threads may hang


def run_local(jobs: list[Job], count: int, interruption: Interruption) -> Iterator[Report]:
    """At most `count` at a time. One whose process dies is tried once more, when all others have begun.

    Once interrupted, those that run end as a single one does, and no other begins.
    """
    count = min(count, len(jobs))
    threads = max(torch.get_num_threads() // count, 1)
    waiting = deque(job._replace(threads=threads) for job in jobs)
    deaths: dict[str, str] = {}  # by the job's name
    idle: list[_Worker] = []
    busy: dict[Connection, tuple[_Worker, Job]] = {}
    try:
        while busy or (waiting and not interruption.requested):
            while waiting and len(busy) < count and not interruption.requested:
                worker, job = idle.pop() if idle else _Worker(), waiting.popleft()
                worker.begin(job)
                busy[worker.connection] = worker, job
            if interruption.requested:
                for worker, _ in busy.values():
                    worker.stop()
            for connection in wait(list(busy), _TICK):
                worker, job = busy[connection]
                report = worker.receive()
                if isinstance(report, Stage):
                    yield job, report
                    continue
                del busy[connection]
                if report is not None:
                    idle.append(worker)
                    yield job, _with_death(report, deaths.get(job.name))
                elif interruption.requested:
                    yield job, Outcome(INTERRUPTED)
                elif job.name in deaths:
                    advice = "where memory is short, take fewer --workers"
                    yield job, Outcome(FAILED, f"{worker.death}, tried twice: {advice}", code=1)
                else:
                    deaths[job.name] = worker.death
                    waiting.append(job)
            yield None
    finally:
        for worker in (*idle, *(worker for worker, _ in busy.values())):
            worker.kill()


def _with_death(outcome: Outcome, death: str | None) -> Outcome:
    return replace(outcome, lines=[f"note: {death}: tried again", *outcome.lines]) if death else outcome


class _Worker:
    """A process that does one job after another."""

    def __init__(self) -> None:
        self.connection, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(theirs,))
        # A terminal sends Ctrl-C to all processes; blocked there, it is this one's to stop them. What Python
        # starts beside the first process would unblock it.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        self._process.start()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        self._stopped = False

    def begin(self, job: Job) -> None:
        with suppress(OSError):  # it has died; that is received
            self.connection.send(job)

    def stop(self) -> None:
        """End the job after its frame; it begins no other."""
        if not self._stopped:
            self._stopped = True
            with suppress(OSError):
                self.connection.send(None)

    def receive(self) -> Stage | Outcome | None:
        """What it says of the job; None where it has died."""
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            self._process.join()
            return None

    @property
    def death(self) -> str:
        """How it died."""
        code = self._process.exitcode or 0
        how = f"was killed ({signal.Signals(-code).name})" if code < 0 else f"ended with exit code {code}"
        return f"its process {how}"

    def kill(self) -> None:
        self._process.kill()
        self._process.join()


def _serve(connection: Connection) -> None:
    with suppress(EOFError, OSError):  # of a parent that is gone
        while (job := connection.recv()) is not None:
            connection.send(job.run(_ParentsWish(connection), connection.send))


class _ParentsWish(AbstractContextManager):
    """An Interruption by the parent: it says so, or it is gone."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def requested(self) -> bool:
        return self._connection.poll()

    def __exit__(self, *exception: object) -> None:
        """Nothing is to be put back."""
