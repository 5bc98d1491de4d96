"""The files of a bag: rosbag2 (mcap, sqlite3; split, compressed) and ROS 1's .bag, read as ROS 2 messages."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from rosbags.rosbag1 import Reader as Ros1Reader
from rosbags.rosbag2 import Reader
from rosbags.typesys import get_types_from_msg

from rehdr_ros.recordings.bag_types import typestore
from rehdr_ros.recordings.errors import RecordingError
from rehdr_ros.recordings.natural_order import natural_order

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd  # what rosbags brings

_SUFFIXES = (".mcap", ".db3", ".bag")


class Topic(NamedTuple):
    """What a bag tells of a topic: its message type and how many messages it holds."""

    type: str
    count: int


class Message(NamedTuple):
    """raw: as stored, in ROS 1's serialization where `ros1`, else in CDR; log_ns: when it was recorded."""

    topic: str
    type: str
    log_ns: int
    raw: bytes | memoryview
    ros1: bool


class BagStorage:
    """The messages of a bag: a folder, or one of its .mcap, .db3 or .bag files.

    Files that were compressed as a whole are unpacked once, into a temporary folder that goes with this
    object. `topics`: all topics, name -> Topic. Every reading opens the files anew and streams them.
    Raises RecordingError for a path that is no readable bag.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._types = typestore()
        self._files = self._find_files()
        self.topics: dict[str, Topic] = {}
        for file in self._files:
            with self._reader(file) as reader:
                for name, info in sorted(reader.topics.items()):
                    count = info.msgcount + (self.topics[name].count if name in self.topics else 0)
                    self.topics[name] = Topic(info.msgtype or "", count)

    def messages(self, topics: set[str]) -> Iterator[Message]:
        """The messages of `topics`, in the bag's order. Raises RecordingError."""
        for file in self._files:
            ros1 = file.suffix == ".bag"
            with self._reader(file) as reader:
                connections = [connection for connection in reader.connections if connection.topic in topics]
                for connection in connections:
                    self._learn(connection)
                if connections:
                    for connection, log_ns, raw in reader.messages(connections):
                        yield Message(connection.topic, connection.msgtype, log_ns, raw, ros1)

    def cdr(self, message: Message) -> bytes | memoryview:
        """The message as ROS 2 serializes it. Raises SerdeError for a damaged one."""
        return self._types.ros1_to_cdr(message.raw, message.type) if message.ros1 else message.raw

    def deserialize(self, message: Message) -> Any:
        """The message, decoded. Raises SerdeError for a damaged one."""
        return self._types.deserialize_cdr(self.cdr(message), message.type)

    def inventory(self) -> str:
        """What there is, for the end of an error message."""
        return "it has " + (", ".join(f"{name} ({t.type})" for name, t in self.topics.items()) or "no topics")

    def _learn(self, connection: Any) -> None:
        """By the bag's own definition, what is not known yet."""
        if connection.msgtype not in self._types.types and connection.msgdef.data:
            definitions = get_types_from_msg(connection.msgdef.data, connection.msgtype)
            self._types.register({k: v for k, v in definitions.items() if k not in self._types.types})

    @contextmanager
    def _reader(self, file: Path) -> Iterator[Reader | Ros1Reader]:
        try:
            with Ros1Reader(file) if file.suffix == ".bag" else Reader(file) as reader:
                yield reader
        except RecordingError:
            raise
        except Exception as error:  # a damaged file may fail anywhere in the libraries below
            raise RecordingError(f"{file} is not a readable bag: {one_line(error)}") from error

    def _find_files(self) -> list[Path]:
        """The bag itself, or its files one by one where no metadata says how they are stored."""
        path = self.path
        if not path.exists():
            raise RecordingError(f"{path} does not exist")
        if path.is_file():
            if path.suffix == ".zstd":
                raise RecordingError(f"{path} is compressed: give its folder, whose metadata.yaml says how")
            return [path]
        metadata = path / "metadata.yaml"
        text = metadata.read_text(errors="replace") if metadata.is_file() else ""
        if re.search(r"compression_mode: *['\"]?file", text, re.I):
            return self._unpack(sorted(path.glob("*.zstd"), key=lambda file: natural_order(file.name)))
        if text and not re.search(r"storage_identifier: *(\"\"|'')? *$", text, re.M):
            return [path]
        files = [file for file in path.iterdir() if file.suffix in _SUFFIXES]
        if not files:
            known = ", no ".join(("metadata.yaml", *_SUFFIXES))
            raise RecordingError(f"{path} is not a bag: no {known} file in it")
        return sorted(files, key=lambda file: natural_order(file.name))

    def _unpack(self, files: list[Path]) -> list[Path]:
        folder = Path(tempfile.mkdtemp(prefix="rehdr_bag_"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        for file in files:
            try:
                with zstd.open(file, "rb") as packed, (folder / file.stem).open("wb") as unpacked:
                    shutil.copyfileobj(packed, unpacked)
            except (zstd.ZstdError, EOFError) as error:
                raise RecordingError(f"{file} is not a readable bag: {one_line(error)}") from error
            except OSError as error:
                raise RecordingError(f"{file} can't be unpacked in {folder}: {one_line(error)}") from error
        return [folder / file.stem for file in files]


def one_line(error: Exception) -> str:
    """The message of an exception of a library."""
    return " ".join(str(error).split())
