"""Jobs on the nodes of a Ray cluster, which tries again what a node that dies has begun."""

from __future__ import annotations

import os
import signal
import socket
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import ray

from rehdr_ros.cli.interruption import Interruption
from rehdr_ros.cli.job import DONE, FAILED, INTERRUPTED, Job, Outcome, Report
from rehdr_ros.errors import InputError, one_line

_TICK = 0.5  # s
_FILES = ("input", "output", "frames", "timestamps", "weights", "response")  # arguments that are, or may be
_SHARED = "recordings, weights and the folder of results must have the same paths on every node"


@contextmanager
def connected(address: str) -> Iterator[None]:
    """To a running cluster; what still runs there at the end is killed. Raises InputError."""
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"--cluster {address}: {one_line(error)}") from None
    try:
        yield
    finally:
        ray.shutdown()


def run_on_cluster(jobs: list[Job], count: int, interruption: Interruption) -> Iterator[Report]:
    """At most `count` at a time on the smallest node, more on larger ones; else as run_local."""
    share = _share(count, with_gpu=jobs[0].args.device != "cpu")
    begin = ray.remote(_attempt).options(**share).remote
    tasks = {begin(_anywhere(job, share["num_cpus"])): job for job in jobs}
    cancelled = False
    while tasks:
        if interruption.requested and not cancelled:
            cancelled = True
            for task in tasks:
                ray.cancel(task)
        for task in ray.wait(list(tasks), timeout=_TICK)[0]:
            job = tasks.pop(task)
            yield job, _outcome(task, job)
        yield None


def _share(count: int, with_gpu: bool) -> dict[str, Any]:
    """What a task takes of a node."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cores = min((int(node["CPU"]) for node in nodes if node.get("CPU", 0) >= 1), default=1)
    has_gpu = any(node.get("GPU") for node in nodes)
    return {"num_cpus": max(cores // count, 1), "num_gpus": 1 / count if with_gpu and has_gpu else 0}


def _anywhere(job: Job, threads: int) -> Job:
    """With paths that don't depend on the working directory."""
    named = {name: getattr(job.args, name) for name in _FILES}
    files = {k: os.path.abspath(v) for k, v in named.items() if isinstance(v, str) and os.path.exists(v)}
    files["input"], files["output"] = map(os.path.abspath, (job.args.input, job.args.output))
    return job._replace(args=Namespace(**{**vars(job.args), **files}), threads=threads)


def _attempt(job: Job) -> Outcome:
    """On a node, in the main thread of one of Ray's processes, where a cancellation comes as Ctrl-C does."""
    node = socket.gethostname()
    for path in (job.args.input, os.path.dirname(job.args.output)):
        if not os.path.exists(path):
            return Outcome(FAILED, f"{path} is not there on {node}: {_SHARED}", code=2)
    outcome = job.run(Interruption(signal.SIGINT), lambda stage: None)
    return replace(outcome, reason=f"on {node}: {outcome.reason}") if outcome.state == FAILED else outcome


def _outcome(task: ray.ObjectRef, job: Job) -> Outcome:
    try:
        outcome = ray.get(task)
    except ray.exceptions.TaskCancelledError:
        return Outcome(INTERRUPTED)
    except ray.exceptions.RayError as error:
        return Outcome(FAILED, one_line(error), code=1)
    if outcome.state == DONE and not os.path.exists(job.args.output):
        return Outcome(FAILED, f"{job.args.output} is not here, but on a node: {_SHARED}", code=2)
    return outcome
