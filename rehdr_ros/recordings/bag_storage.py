"""The messages of a bag: rosbag2 (mcap, SQLite; split, compressed) and ROS 1's, read as ROS 2 messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from rosbags.typesys import get_types_from_idl, get_types_from_msg

from rehdr_ros.errors import one_line
from rehdr_ros.recordings.bag_types import layout, typestore
from rehdr_ros.recordings.bags.file import BagFile, Connection, scratch_folder
from rehdr_ros.recordings.bags.folder import ZSTD, files_of, kind_of
from rehdr_ros.recordings.bags.packed import ZSTD_MAGIC, unpack_file, unpack_message
from rehdr_ros.recordings.errors import RecordingError

_PARSERS = {"msg": get_types_from_msg, "idl": lambda text, _: get_types_from_idl(text)}


class Topic(NamedTuple):
    """What a bag tells of a topic: its message type and how many messages it holds."""

    type: str
    count: int


class Message(NamedTuple):
    """type: as which to read it. raw: in ROS 1's serialization where `ros1`, else in CDR.

    log_ns: when it was recorded.
    """

    topic: str
    type: str
    log_ns: int
    raw: bytes | memoryview
    ros1: bool


class BagStorage:
    """The messages of a bag: a folder, or one of its files, told by what they are.

    Files that were compressed as a whole are unpacked once, into a temporary folder that goes with this
    object. `topics`: all topics, name -> Topic. `layouts`: as which type to read each. `latched`: the topics
    whose publishers kept messages for late subscribers. `notes`: lines to tell the user, as that a file ends
    early; reading adds what it can't read. Every reading opens the files anew and streams them.
    Raises RecordingError for a path that is no readable bag.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.notes: list[str] = []
        self._types = typestore()
        self._unpacked: Path | None = None
        self._files = self._open_all()
        self.topics: dict[str, Topic] = {}
        self.layouts: dict[str, str] = {}
        self.latched: set[str] = set()
        for _, file in self._files:
            for of, connection in file.connections.items():
                kind, count = self.topics.get(connection.topic, (connection.type, 0))
                kinds = sorted({*kind.split(" or "), connection.type})
                self.topics[connection.topic] = Topic(" or ".join(kinds), count + file.counts[of])
                self.layouts[connection.topic] = _layout(connection) if len(kinds) == 1 else ""
                self.latched |= {connection.topic} if connection.latched else set()
        self.topics = dict(sorted(self.topics.items()))

    def messages(self, topics: set[str], counters: Counter[str] | None = None) -> Iterator[Message]:
        """The messages of `topics`, in the bag's order; where a part is damaged, those around it.

        counters: counts `unreadable_parts`. Raises RecordingError.
        """

        def damaged(why: str) -> None:
            self._tell(f"{source} is damaged ({why}): that part is left out")
            if counters is not None:
                counters["unreadable_parts"] += 1

        for source, file in self._files:
            wanted = {of: each for of, each in file.connections.items() if each.topic in topics}
            for connection in wanted.values():
                self._learn(connection)
            try:
                for of, log_ns, raw in file.messages(wanted.keys(), damaged) if wanted else ():
                    topic, ros1 = wanted[of].topic, wanted[of].ros1
                    if raw[:4] == ZSTD_MAGIC and not ros1:  # compressed by itself: CDR begins otherwise
                        try:
                            raw = unpack_message(raw)
                        except Exception as error:  # of two libraries
                            damaged(f"a message of {topic}: {one_line(error)}")
                            continue
                    yield Message(topic, self.layouts[topic], log_ns, raw, ros1)
            except OSError as error:
                raise RecordingError(f"{source} can't be read: {one_line(error)}") from error

    def cdr(self, message: Message) -> bytes | memoryview:
        """The message as ROS 2 serializes it. Raises RecordingError and SerdeError as `deserialize`."""
        return self._types.ros1_to_cdr(message.raw, self._known(message)) if message.ros1 else message.raw

    def deserialize(self, message: Message) -> Any:
        """The message, decoded. Raises RecordingError for an unknown type, SerdeError for a damaged one."""
        return self._types.deserialize_cdr(self.cdr(message), self._known(message))

    def inventory(self) -> str:
        """What there is, for the end of an error message."""
        return "it has " + (", ".join(f"{name} ({t.type})" for name, t in self.topics.items()) or "no topics")

    def _known(self, message: Message) -> str:
        if message.type not in self._types.types:
            raise RecordingError(f"{self.path} doesn't say what a {message.type} is, on {message.topic}")
        return message.type

    def _learn(self, connection: Connection) -> None:
        """By the bag's own definition, what is not known yet."""
        if _layout(connection) in self._types.types or not connection.definition:
            return
        with suppress(Exception):  # it is told where such a message is to be decoded
            definitions = _PARSERS[connection.language](connection.definition, connection.type)
            self._types.register({k: v for k, v in definitions.items() if k not in self._types.types})

    def _open_all(self) -> list[tuple[Path, BagFile]]:
        """The files that can be read, each with what the user knows it by."""
        if not self.path.exists():
            raise RecordingError(f"{self.path} does not exist")
        files = [self.path]
        if self.path.is_dir():
            files, notes = files_of(self.path)
            if not files:
                why = "nothing in it begins as a .mcap, .db3 or .bag file"
                raise RecordingError(f"{self.path} is not a bag: {why}")
            self.notes += notes
        opened, failures = [], []
        for file in files:
            try:
                opened.append((file, self._open(file)))
            except OSError as error:
                raise RecordingError(f"{file} can't be read: {one_line(error)}") from error
            except Exception as error:  # a damaged file may fail anywhere in the libraries below
                failures.append(f"{file} is not a readable bag: {one_line(error)}")
        if not opened:
            raise RecordingError(failures[0])
        self.notes += failures
        return opened

    def _open(self, source: Path) -> BagFile:
        file, kind, why = source, kind_of(source), None
        if kind == ZSTD:
            file = self._scratch() / source.name.removesuffix(".zstd")
            why = unpack_file(source, file)
            kind = kind_of(file)
        if not callable(kind):
            raise ValueError(why or ("it is empty" if not file.stat().st_size else "it begins like none"))
        opened = kind(file)
        self.notes += [f"{source} {note}" for note in opened.notes]
        return opened

    def _scratch(self) -> Path:
        if self._unpacked is None:
            self._unpacked = scratch_folder(self)
        return self._unpacked

    def _tell(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


def _layout(connection: Connection) -> str:
    return layout(connection.type, connection.definition if connection.language == "msg" else "")
