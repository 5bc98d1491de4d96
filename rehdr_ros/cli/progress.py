"""Progress of long work: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")
_SECONDS_BETWEEN_LINES = 10


def progress(items: Iterable[T], label: str, total: int | None = None, unit: str = "frame") -> Iterator[T]:
    """Yield the items and report how many have passed."""
    if sys.stderr.isatty():
        yield from tqdm(items, desc=label, total=total, unit=unit)
        return
    count, last = 0, time.monotonic()
    for count, item in enumerate(items, 1):
        yield item
        if time.monotonic() - last > _SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            print(f"{label}: {count}{f' of {total}' if total else ''} {unit}s", file=sys.stderr)
    print(f"{label}: {count} {unit}s, done", file=sys.stderr)
