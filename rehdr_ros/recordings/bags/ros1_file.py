"""ROS 1's .bag files (http://wiki.ros.org/Bags/Format/2.0), also without index or end: .bag.active."""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import suppress
from io import BytesIO
from typing import BinaryIO, NamedTuple

from rosbags.rosbag1.reader import Header, RecordType

from rehdr_ros.recordings.bags.chunked import ChunkedFile, Part
from rehdr_ros.recordings.bags.file import LARGEST_UNPACKED, connection
from rehdr_ros.recordings.bags.packed import unpack

MAGIC = b"#ROSBAG V2.0\n"

_UINT32 = struct.Struct("<I")
_ENTRY = struct.Struct("<III")  # of an index: s, ns, offset
_COUNT = struct.Struct("<II")  # connection, messages
_NEVER = 1 << 63


class _Record(NamedTuple):
    """at: where it begins in the file. content, length: of its data."""

    kind: int
    header: Header
    at: int
    content: int
    length: int

    @property
    def end(self) -> int:
        return self.content + self.length


class Ros1File(ChunkedFile):
    """See BagFile."""

    def _read_index(self, file: BinaryIO) -> bool:
        bag = next(self._records(file, len(MAGIC))).header
        index, chunks = bag.get_uint64("index_pos"), bag.get_uint32("chunk_count")
        if not index:
            return False
        for record in self._records(file, index):
            if record.kind == RecordType.CONNECTION:
                self._learn(record.header, file.read(record.length))
            elif record.kind == RecordType.CHUNK_INFO:
                counts = dict(_COUNT.iter_unpack(file.read(record.length)))
                start_ns = record.header.get_time("start_time")
                self.counts.update(counts)
                self.parts.append(Part(start_ns, record.header.get_uint64("chunk_pos"), 0, frozenset(counts)))
        return len(self.parts) == chunks and self.counts.keys() <= self.connections.keys()

    def _scan(self, file: BinaryIO) -> None:
        part, index = None, Counter()
        end, closed = len(MAGIC), False

        def add(indexed: bool = True) -> None:
            if part is not None:
                self._add(file, part, dict(index) if indexed else None)
            index.clear()

        for record in self._records(file, end):
            is_cut = record.end > self.size or _is_unfinished(record)
            if record.kind == RecordType.CHUNK:
                add()
                part = Part(_NEVER, record.at, (self.size + 1 if is_cut else record.end) - record.at)
            if is_cut:
                break
            end, closed = record.end, record.kind == RecordType.CHUNK_INFO
            if record.kind == RecordType.IDXDATA and part is not None and record.length >= _ENTRY.size:
                seconds, nanoseconds, _ = _ENTRY.unpack(file.read(_ENTRY.size))
                part = part._replace(start_ns=min(part.start_ns, seconds * 10**9 + nanoseconds))
                index[record.header.get_uint32("conn")] += record.length // _ENTRY.size
            elif record.kind == RecordType.CONNECTION:
                self._learn(record.header, file.read(record.length))
        add(indexed=closed)  # else its index may be cut off within
        if end != self.size or not closed:
            self.notes.append(f"ends early, at byte {end} of {self.size}: what is whole is read")

    def _read_part(
        self, file: BinaryIO, part: Part, ids: AbstractSet[int] | None = None
    ) -> Iterator[tuple[int, int, bytes]]:
        chunk, is_cut = next(self._records(file, part.offset), None), self._is_cut(part)
        if chunk is None or chunk.kind != RecordType.CHUNK or (chunk.end > self.size and not is_cut):
            raise ValueError("a damaged chunk")
        size = chunk.header.get_uint32("size") or LARGEST_UNPACKED
        packed = file.read(min(self.size - chunk.content, size) if is_cut else chunk.length)
        data = unpack(packed, chunk.header.get_string("compression"), size)
        if not is_cut and len(data) != size:
            raise ValueError("a damaged chunk")
        stream, at = BytesIO(data), 0
        while at < len(data) and not (is_cut and _ends_within(data, at)):
            header = _header(stream, len(data) - at)
            kind, length = header.get_uint8("op"), _UINT32.unpack(stream.read(4))[0]
            at = stream.tell() + length
            if at > len(data):
                raise ValueError("a damaged chunk")
            of = header.get_uint32("conn")
            if kind == RecordType.CONNECTION:
                self._learn(header, stream.read(length))
            elif kind == RecordType.MSGDATA and (ids is None or of in ids):
                yield header.get_time("time"), of, stream.read(length)
            stream.seek(at)

    def _records(self, file: BinaryIO, at: int) -> Iterator[_Record]:
        """What stands there one after another, the last one possibly cut off; the file is at the content."""
        while at + 2 * _UINT32.size <= self.size:
            file.seek(at)
            try:
                header = _header(file, self.size - at)
                length = _UINT32.unpack(file.read(_UINT32.size))[0]
                record = _Record(header.get_uint8("op"), header, at, file.tell(), length)
            except Exception:  # the file ends, or is damaged, within a header
                return
            yield record
            at = record.end

    def _learn(self, header: Header, data: bytes) -> None:
        with suppress(Exception):  # the messages of a connection that is unknown are left out
            about = _header(BytesIO(_UINT32.pack(len(data)) + data), len(data) + _UINT32.size)
            of, topic = header.get_uint32("conn"), header.get_string("topic")
            kind = about.get_string("type"), "ros1", "ros1msg", about.get_string("message_definition")
            latched = about.get("latching") == b"1"
            self.connections.setdefault(of, connection(_one_slash(topic), *kind, latched))


def _header(stream: BinaryIO, left: int) -> Header:
    """What begins at the stream's position. Raises ValueError and ReaderError."""
    at = stream.tell()
    size = _UINT32.unpack(stream.read(_UINT32.size))[0]
    if size > left - _UINT32.size:
        raise ValueError("a header that is cut off")
    stream.seek(at)
    return Header.read(stream)


def _is_unfinished(record: _Record) -> bool:
    """A chunk's sizes are written when it is full; until then they are 0."""
    return record.kind == RecordType.CHUNK and not record.length


def _ends_within(data: bytes, at: int) -> bool:
    """Whether the record that begins there is cut off."""
    for _ in ("header", "data"):
        if at + _UINT32.size > len(data):
            return True
        at += _UINT32.size + _UINT32.unpack_from(data, at)[0]
    return at > len(data)


def _one_slash(topic: str) -> str:
    return re.sub("/+", "/", topic).rstrip("/") or topic
