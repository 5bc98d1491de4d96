"""Threads on a CPU: what takes a fraction of a millisecond takes longer where some must be woken."""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeVar

_ROWS = 64  # of a band, at least

_alone = False
_outside = threading.local()  # .count: torch's threads outside of `threads`
_T = TypeVar("_T")


def claim() -> None:
    """Nobody else in this process uses torch.

    Else its number of threads stays as it is: a thread that comes to torch first while that is another one
    keeps it.
    """
    global _alone
    _alone = True


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Torch works by so many, in a process that is claimed."""
    import torch  # here: a command that needs none may claim its process

    before, outside = torch.get_num_threads(), getattr(_outside, "count", None)
    if not _alone or before == count:
        yield
        return
    _outside.count = outside or before
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        _outside.count = outside


def in_bands(work: Callable[[int, int], _T], rows: int, multiple: int) -> list[_T]:
    """What work(first, end) returns for bands of the rows, which begin at multiples.

    By as many threads as torch has, outside of `threads` too. A band that no thread has begun when another
    one is done goes to that, so that nobody waits for a core that others hold.
    """
    import torch

    count = max(min(getattr(_outside, "count", None) or torch.get_num_threads(), rows // _ROWS), 1)
    steps = -(-rows // multiple)
    ends = [min(multiple * (steps * (i + 1) // count), rows) for i in range(count)]
    bands = list(zip([0, *ends[:-1]], ends, strict=True))
    waiting = [_helpers().submit(work, *band) for band in bands[1:]]
    results = [work(*bands[0])]
    taken = {i: work(*bands[i + 1]) for i in reversed(range(len(waiting))) if waiting[i].cancel()}
    return results + [taken[i] if i in taken else x.result() for i, x in enumerate(waiting)]


@lru_cache(None)
def _helpers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="bands")
