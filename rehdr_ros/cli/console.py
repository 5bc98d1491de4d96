"""Where a run says what it does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rehdr_ros.cli.progress import progress

T = TypeVar("T")


class Console:
    """The user's terminal, or what stands for it."""

    def say(self, line: str) -> None:
        """Print a line."""
        print(line, flush=True)

    def progress(self, items: Iterable[T], label: str) -> Iterator[T]:
        """Yield the items and show how many have passed."""
        return progress(items, label)
