"""Bag files of chunks, which hold messages in about the order of their times."""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import suppress
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, NamedTuple

from rehdr_ros.errors import one_line
from rehdr_ros.recordings.bags.file import Connection


class Part(NamedTuple):
    """A chunk, or a run of messages outside of any.

    start_ns: the least log time in it. offset, length: of its content in the file, in bytes; what goes beyond
    the file's end is cut off. ids: of what it has messages, None where that is unknown.
    """

    start_ns: int
    offset: int
    length: int
    ids: frozenset[int] | None = None
    is_chunk: bool = True


class ChunkedFile(ABC):
    """A BagFile of `parts`; what the formats have in common."""

    def __init__(self, path: Path) -> None:
        self.path, self.size = path, path.stat().st_size
        self.notes: list[str] = []
        self._forget()
        with path.open("rb") as file:
            indexed = False
            with suppress(Exception):  # a damaged index may fail anywhere in the libraries below
                indexed = self._read_index(file)
            if not indexed:
                self._forget()
                self._scan(file)
        if self.notes and not self.connections:
            raise ValueError("it ends before its first message")

    def messages(
        self, ids: AbstractSet[int], damaged: Callable[[str], None]
    ) -> Iterator[tuple[int, int, bytes]]:
        """See BagFile. A chunk is read when its time comes."""
        with self.path.open("rb") as file:
            parts = [part for part in self.parts if part.ids is None or not part.ids.isdisjoint(ids)]
            streams = [self._stream(file, part, ids, damaged) for part in parts]
            for log_ns, _, of, raw in heapq.merge(*streams, key=itemgetter(0, 1)):
                if raw is not None:
                    yield of, log_ns, raw

    @abstractmethod
    def _read_index(self, file: BinaryIO) -> bool:
        """Fill connections, counts and parts from what a recorder writes at the end. False: there is none."""

    @abstractmethod
    def _scan(self, file: BinaryIO) -> None:
        """Fill them, and notes, without it."""

    @abstractmethod
    def _read_part(
        self, file: BinaryIO, part: Part, ids: AbstractSet[int] | None = None
    ) -> Iterator[tuple[int, int, bytes]]:
        """Log time, id and content of the messages of `ids`, or of all, as they stand; learns connections."""

    def _forget(self) -> None:
        self.connections: dict[int, Connection] = {}
        self.counts: Counter[int] = Counter()
        self.parts: list[Part] = []

    def _is_cut(self, part: Part) -> bool:
        return part.offset + part.length > self.size

    def _add(self, file: BinaryIO, part: Part, index: dict[int, int] | None) -> None:
        """A part that the scan has found. index: how many messages of each id it has, None where unknown."""
        unreadable = False
        if not index or not index.keys() <= self.connections.keys():
            times, index = [part.start_ns], Counter()
            try:
                for log_ns, of, _ in self._read_part(file, part):
                    times.append(log_ns)
                    index[of] += 1
            except Exception:  # told when messages are read, whichever: those of any may be in it
                unreadable = not self._is_cut(part)
            part = part._replace(start_ns=min(times))
        self.counts.update(index)
        self.parts.append(part._replace(ids=None if unreadable else frozenset(index)))

    def _stream(
        self, file: BinaryIO, part: Part, ids: AbstractSet[int], damaged: Callable[[str], None]
    ) -> Iterator[tuple[int, int, int, bytes | None]]:
        yield part.start_ns, part.offset, 0, None
        found = self._whole(self._read_part(file, part, ids), part, damaged)
        for log_ns, of, raw in sorted(found, key=itemgetter(0)) if part.is_chunk else found:
            yield log_ns, part.offset, of, raw

    def _whole(
        self, found: Iterator[tuple[int, int, bytes]], part: Part, damaged: Callable[[str], None]
    ) -> Iterator[tuple[int, int, bytes]]:
        try:
            yield from found
        except Exception as error:  # see above
            damaged(f"from byte {part.offset} on: {one_line(error)}")
