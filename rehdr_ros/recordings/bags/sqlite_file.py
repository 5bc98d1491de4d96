"""SQLite files of rosbag2 (.db3), also of a recorder that was killed, or cut off."""

from __future__ import annotations

import shutil
import sqlite3
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import closing, suppress
from pathlib import Path

from rehdr_ros.errors import one_line, writing
from rehdr_ros.recordings.bags.file import connection, is_latched, scratch_folder

MAGIC = b"SQLite format 3\0"
WAL_MAGICS = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")

_COLUMNS = "topic_id, timestamp, data"
_PATIENCE = 1000  # failures one after another, which step over ever more rows: 8,000 in all
_BESIDE = ("-wal", "-journal")  # what SQLite has not yet brought into the file, or has to take out of it


class SqliteFile:
    """See BagFile. It is opened as a file that nobody changes: nothing is written beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []
        self._file = self._recovered()
        self._is_cut = self._ends_early()
        with closing(self._open()) as database:
            definitions, latched = self._definitions(database), self._latched(database)
            topics = self._topics(database)
            self.connections = {
                of: connection(
                    str(topic), str(kind), str(form), *definitions.get(kind, ("", "")), of in latched
                )
                for of, topic, kind, form in topics
            }
            self.counts = self._count(database)

    def messages(
        self, ids: AbstractSet[int], damaged: Callable[[str], None]
    ) -> Iterator[tuple[int, int, bytes]]:
        """See BagFile. Where the file is damaged, in the order of recording from there on."""
        last = (-(1 << 63), 0)
        with closing(self._open()) as database:
            if not self._is_cut:
                marks = ",".join("?" * len(ids))
                query = f"SELECT rowid, {_COLUMNS} FROM messages WHERE topic_id IN ({marks})"
                query += " ORDER BY timestamp, rowid"
                try:
                    for row, of, log_ns, raw in _messages(database.execute(query, [*ids]), damaged):
                        last = log_ns, row
                        yield of, log_ns, raw
                    return
                except sqlite3.DatabaseError as error:
                    damaged(one_line(error))
            for row, of, log_ns, raw in _messages(self._rows(database, _COLUMNS), damaged):
                if of in ids and (log_ns, row) > last:
                    yield of, log_ns, raw

    def _rows(self, database: sqlite3.Connection, columns: str) -> Iterator[tuple]:
        """Rowid and columns of the messages that can be read, in the order of recording."""
        row = failures = 0
        while failures < _PATIENCE:
            query = f"SELECT rowid, {columns} FROM messages WHERE rowid > ? ORDER BY rowid"
            try:
                for found in database.execute(query, (row,)):
                    row, failures = found[0], 0
                    yield found
                return
            except sqlite3.DatabaseError:
                row, failures = row + 1 + failures // 64, failures + 1

    def _count(self, database: sqlite3.Connection) -> Counter[int]:
        if not self._is_cut:
            with suppress(sqlite3.DatabaseError):
                return Counter(
                    dict(database.execute("SELECT topic_id, count(*) FROM messages GROUP BY topic_id"))
                )
        return Counter(of for _, of in self._rows(database, "topic_id"))

    def _topics(self, database: sqlite3.Connection) -> list[tuple]:
        try:
            return database.execute("SELECT id, name, type, serialization_format FROM topics").fetchall()
        except sqlite3.DatabaseError as error:
            raise ValueError(f"its topics can't be read: {error}") from error

    def _definitions(self, database: sqlite3.Connection) -> dict[str, tuple[str, str]]:
        columns = "topic_type, encoding, encoded_message_definition"
        with suppress(sqlite3.DatabaseError):  # a table that recorders before 2023 don't write
            rows = database.execute(f"SELECT {columns} FROM message_definitions")
            return {kind: (str(encoding), str(text)) for kind, encoding, text in rows}
        return {}

    def _latched(self, database: sqlite3.Connection) -> set[int]:
        with suppress(sqlite3.DatabaseError):  # a column that the first recorders don't write
            rows = database.execute("SELECT id, offered_qos_profiles FROM topics")
            return {of for of, profiles in rows if is_latched(str(profiles))}
        return set()

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(f"{self._file.absolute().as_uri()}?immutable=1", uri=True)
        database.text_factory = lambda text: text.decode(errors="replace")
        database.execute("PRAGMA writable_schema = ON")  # which opens a file that is cut off, too
        return database

    def _ends_early(self) -> bool:
        with self._file.open("rb") as file:
            head = file.read(100)
        if len(head) < 100:
            raise ValueError("it ends within its header")
        size, changes, pages, valid_for = (
            *struct.unpack_from(">H", head, 16),
            *struct.unpack_from(">II", head, 24),
            *struct.unpack_from(">I", head, 92),
        )
        size = 1 << 16 if size == 1 else size
        there = self._file.stat().st_size // max(size, 1)
        if changes != valid_for or there >= pages:
            return False
        self.notes.append(f"ends early, after {there} of {pages} pages: what is whole is read")
        return True

    def _recovered(self) -> Path:
        """The file, or a copy into which SQLite has brought what stands beside it."""
        beside = [self.path.with_name(self.path.name + end) for end in _BESIDE]
        beside = [file for file in beside if file.is_file() and file.stat().st_size]
        if not beside:
            return self.path
        folder = scratch_folder(self)
        for file in (self.path, *beside):
            with writing(folder / file.name):
                shutil.copyfile(file, folder / file.name)
        copy = folder / self.path.name
        if not copy.stat().st_size:  # SQLite would throw away the log of an empty file
            copy.write_bytes(bytes(_page_size(beside[0])))
        with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(copy)) as database:
            database.execute("PRAGMA journal_mode = DELETE").fetchall()
        return copy


def _messages(rows: Iterable[tuple], damaged: Callable[[str], None]) -> Iterator[tuple[int, int, int, bytes]]:
    """Those that are: a damaged row may hold anything."""
    for row, of, log_ns, raw in rows:
        if isinstance(log_ns, int) and isinstance(raw, bytes):
            yield row, of, log_ns, raw
        else:
            damaged(f"row {row} of its messages")


def has_log(path: Path) -> bool:
    """Whether there is a write-ahead log beside it."""
    log = path.with_name(path.name + "-wal")
    return log.is_file() and log.stat().st_size > 0


def _page_size(log: Path) -> int:
    """Of a write-ahead log. Raises ValueError for what is none."""
    with log.open("rb") as file:
        head = file.read(12)
    size = int.from_bytes(head[8:12], "big")
    if not head.startswith(WAL_MAGICS) or size not in (1 << k for k in range(9, 17)):
        raise ValueError("it is empty")
    return size
