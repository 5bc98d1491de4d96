"""The container of AEDAT4: a header that names the streams, then packets, then a table of them.

"AEDAT 4.0", https://docs.inivation.com/software/software-advanced-usage/file-formats/aedat-4.0.html: packets
are FlatBuffers, compressed each. iniVation's own library follows whatever number a damaged file holds, into
endless loops and other processes' memory; here each is checked before it is used.
"""

from __future__ import annotations

import mmap
import struct
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import lz4.frame

from rehdr_ros.errors import InputError, one_line
from rehdr_ros.recordings.errors import RecordingError
from rehdr_ros.recordings.zstd import zstd

_MAGIC = b"#!AER-DAT4.0\r\n"
_LARGEST_HEADER, _LARGEST_PACKET = 1 << 24, 1 << 28  # bytes, unpacked
_NO_TABLE = -1
_MOST_NAMED = 3  # damaged places
_FRAMES = {"LZ4": b"\x04\x22\x4d\x18", "ZSTD": b"\x28\xb5\x2f\xfd"}  # the first bytes of their frames
_COMPRESSIONS = ("NONE", "LZ4", "LZ4_HIGH", "ZSTD", "ZSTD_HIGH")


class Stream(NamedTuple):
    """id: of its packets. type: EVTS, FRME, IMUS, TRIG. name, camera: as the file calls them.

    size: width, height; (0, 0) where the file doesn't tell. packets: how many there are.
    """

    id: int
    type: str
    name: str
    camera: str
    size: tuple[int, int]
    packets: int


class Table:
    """A FlatBuffers table at `at` in `data`. Raises InputError for a number that leads out of the data."""

    def __init__(self, data: bytes | memoryview, at: int) -> None:
        self._data, self._at = data, at
        self._fields_at = at - _number(data, "i", at)
        self._end = _number(data, "H", self._fields_at)

    @classmethod
    def root(cls, data: bytes | memoryview) -> Table:
        """Of a buffer with its size before it."""
        return cls(data, 4 + _number(data, "I", 4))

    def number(self, field: int, kind: str, default: int = 0) -> int:
        """A scalar, its type as in `struct`."""
        at = self._find(field)
        return _number(self._data, kind, at) if at else default

    def vector(self, field: int, item: int = 1) -> memoryview:
        """The bytes of a vector of items of `item` bytes; empty where there is none."""
        at = self._find(field)
        if not at:
            return memoryview(b"")
        at += _number(self._data, "I", at)
        count = _number(self._data, "I", at) * item
        if at + 4 + count > len(self._data):
            raise InputError(f"{count} bytes announced, {max(len(self._data) - at - 4, 0)} there")
        return memoryview(self._data)[at + 4 : at + 4 + count]

    def _find(self, field: int) -> int:
        """Where it lies, 0 where it isn't stored."""
        at = 4 + 2 * field
        if at + 2 > self._end:
            return 0
        offset = _number(self._data, "H", self._fields_at + at)
        return self._at + offset if offset else 0


class Aedat4File:
    """The streams of a file, and their packets. Every reading opens it anew.

    `notes`: lines to tell the user, as that the file ends early or where its order is lost.
    Raises RecordingError for no such file, or no AEDAT4.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise RecordingError(f"{path} is not a file")
        with self._mapped() as data:
            try:
                self._start, self._compression, self._table_at, info = _read_header(data)
                found = _streams(info)
            except (InputError, ElementTree.ParseError, ValueError, KeyError) as error:
                raise RecordingError(f"{path} is not a readable AEDAT4 file: {one_line(error)}") from error
            self._ids = {stream.id for stream in found}
            counts = dict.fromkeys(self._ids, 0)
            damage: list[str] = []
            for number, _, _ in self._walk(data, damage):
                counts[number] += 1
        self.notes = damage if len(damage) <= _MOST_NAMED else [*damage[:_MOST_NAMED], f"{path}: and so on"]
        self.streams = [stream._replace(packets=counts[stream.id]) for stream in found]

    def packets(self, stream: int) -> Iterator[bytes | InputError]:
        """The FlatBuffers of a stream, unpacked, in the file's order; the reason for one that can't be."""
        with self._mapped() as data:
            for number, start, end in self._walk(data, []):
                if number == stream:
                    try:
                        yield _unpacked(data[start:end], self._compression)
                    except InputError as error:
                        yield error

    def _mapped(self) -> mmap.mmap:
        try:
            with self.path.open("rb") as file:
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:
            raise RecordingError(f"{self.path} is not a readable AEDAT4 file: it is empty") from None

    def _walk(self, data: mmap.mmap, notes: list[str]) -> Iterator[tuple[int, int, int]]:
        """Stream, start and end of each packet's bytes."""
        at, size = self._start, len(data)
        while at != self._table_at and at < size:
            number, length = struct.unpack_from("<ii", data, at) if at + 8 <= size else (-1, 0)
            end = at + 8 + length
            if number in self._ids and length > 0 and end <= size:
                yield number, at + 8, end
                at = end
                continue
            found = self._resume(data, at + 1)
            if found is None:
                if at < (self._table_at if self._table_at > at else size):
                    notes.append(f"{self.path} ends early: it is read up to the last whole packet")
                return
            notes.append(f"{self.path} is damaged from byte {at} on: {found - at} bytes are left out")
            at = found
        if self._table_at == _NO_TABLE:
            notes.append(f"{self.path} ends early: its recorder was stopped before it wrote the table")

    def _resume(self, data: mmap.mmap, at: int) -> int | None:
        """Where the next packet begins, by the first bytes of compressed data behind a likely header."""
        magic = _FRAMES.get(self._compression)
        at = data.find(magic, at + 8) if magic else -1
        while at >= 0:
            number, length = struct.unpack_from("<ii", data, at - 8)
            if number in self._ids and length > 0 and at + length <= len(data):
                return at - 8
            at = data.find(magic, at + 1)
        return None


def _read_header(data: mmap.mmap) -> tuple[int, str, int, bytes]:
    """Where the packets begin, their compression, where the table lies, and the text about the streams."""
    if data[: len(_MAGIC)] != _MAGIC:
        raise InputError("it begins like none")
    at = len(_MAGIC)
    length = _number(data, "I", at)
    if not 8 <= length <= _LARGEST_HEADER or at + 4 + length > len(data):
        raise InputError(f"its header of {length} bytes is not all there")
    header = Table.root(data[at : at + 4 + length])
    compression = header.number(0, "i")
    if not 0 <= compression < len(_COMPRESSIONS):
        raise InputError(f"an unknown compression, {compression}")
    name = _COMPRESSIONS[compression].removesuffix("_HIGH")
    return at + 4 + length, name, header.number(1, "q", _NO_TABLE), bytes(header.vector(2))


def _streams(info: bytes) -> list[Stream]:
    streams = []
    for node in ElementTree.fromstring(info).iterfind("./node[@name='outInfo']/node"):
        told = {each.get("key"): each.text or "" for each in node.iterfind("./attr")}
        about = {each.get("key"): each.text or "" for each in node.iterfind("./node[@name='info']/attr")}
        size = int(about.get("sizeX", 0)), int(about.get("sizeY", 0))
        name, camera = told.get("originalOutputName", ""), about.get("source", "")
        streams.append(Stream(int(node.get("name", "")), told["typeIdentifier"], name, camera, size, 0))
    return streams


def _unpacked(packed: bytes, compression: str) -> bytes:
    """Raises InputError for damaged bytes, and for more than memory should hold."""
    try:
        if compression == "LZ4":
            data = lz4.frame.LZ4FrameDecompressor().decompress(packed, _LARGEST_PACKET)
        elif compression == "ZSTD":
            data = zstd.ZstdDecompressor().decompress(packed, _LARGEST_PACKET)
        else:
            data = packed
    except (RuntimeError, zstd.ZstdError, EOFError) as error:
        raise InputError(f"its compressed bytes are damaged: {one_line(error)}") from None
    if len(data) >= _LARGEST_PACKET:
        raise InputError(f"it would unpack to more than {_LARGEST_PACKET} bytes")
    return data


def _number(data: bytes | memoryview, kind: str, at: int) -> int:
    try:
        if at < 0:
            raise struct.error
        return struct.unpack_from(f"<{kind}", data, at)[0]
    except struct.error:
        raise InputError(f"a place {at} in {len(data)} bytes") from None
