"""Durations of what is benchmarked."""

import statistics
import time
from collections.abc import Callable

Figures = dict[str, dict[str, float]]  # of one benchmark: row -> column -> value


def seconds(function: Callable[[], object], repeat: int) -> float:
    """Median duration after one run that doesn't count."""
    function()
    return statistics.median(duration(function) for _ in range(repeat))


def pair(ours: Callable[[], object], reference: Callable[[], object], repeat: int) -> tuple[float, float]:
    """Median durations of both, taken in turn, so that a machine whose speed drifts wrongs neither."""
    ours(), reference()
    durations = [(duration(ours), duration(reference)) for _ in range(repeat)]
    return tuple(map(statistics.median, zip(*durations, strict=True)))


def duration(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started
