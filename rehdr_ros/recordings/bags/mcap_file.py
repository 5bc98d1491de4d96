"""mcap files (https://mcap.dev/spec), also without index, end, or chunks."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import suppress
from io import BytesIO
from typing import BinaryIO
from zlib import crc32

from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, ChunkIndex, Footer, Schema, Statistics

from rehdr_ros.recordings.bags.chunked import ChunkedFile, Part
from rehdr_ros.recordings.bags.file import connection, is_latched
from rehdr_ros.recordings.bags.packed import unpack

MAGIC = b"\x89MCAP0\r\n"

_RECORD = struct.Struct("<BQ")  # opcode, length of what follows
_MESSAGE = struct.Struct("<HIQQ")  # channel, sequence, log time, publish time
_INDEX = struct.Struct("<HI")  # channel, bytes of its entries
_ENTRY = 16  # bytes
_END = _RECORD.size + 20 + len(MAGIC)  # bytes: the footer, and what closes the file
_PIECE = 1 << 20
_IS_MESSAGE = int(Opcode.MESSAGE)


class McapFile(ChunkedFile):
    """See BagFile. Neither the profile nor what stands beside the wanted channels decides anything."""

    def _forget(self) -> None:
        super()._forget()
        self._schemas: dict[int, Schema] = {}

    def _read_index(self, file: BinaryIO) -> bool:
        start = self._start_of_summary(file)
        if not start:
            return False
        statistics, channels = None, 0
        for opcode, at, length in _records(file, start, self.size - _END):
            if opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
                channels += opcode == Opcode.CHANNEL
                self._learn(opcode, _content(file, at, length))
            elif opcode == Opcode.CHUNK_INDEX:
                index = ChunkIndex.read(_content(file, at, length))
                where = index.chunk_start_offset + _RECORD.size, index.chunk_length - _RECORD.size
                ids = frozenset(index.message_index_offsets) or None
                self.parts.append(Part(index.message_start_time, *where, ids))
            elif opcode == Opcode.STATISTICS:
                statistics = Statistics.read(_content(file, at, length))
        if statistics is None or statistics.channel_count != channels:
            return False
        self.counts.update(statistics.channel_message_counts)
        if statistics.message_count and not statistics.chunk_count:
            run = Part(statistics.message_start_time, len(MAGIC), start - len(MAGIC), is_chunk=False)
            self.parts.append(run)
            return len(self.parts) == 1
        return statistics.chunk_count == len(self.parts) and not any(map(self._is_cut, self.parts))

    def _start_of_summary(self, file: BinaryIO) -> int:
        """0 where there is none that is whole."""
        file.seek(max(self.size - _END, 0))
        end = file.read()
        if end[-len(MAGIC) :] != MAGIC or _RECORD.unpack_from(end) != (Opcode.FOOTER, 20):
            return 0
        footer = Footer.read(_stream(end[_RECORD.size :]))
        if footer.summary_start and footer.summary_crc:
            file.seek(footer.summary_start)
            left, crc = self.size - footer.summary_start - 4 - len(MAGIC), 0
            while left > 0 and (piece := file.read(min(left, _PIECE))):
                left, crc = left - len(piece), crc32(piece, crc)
            if crc != footer.summary_crc:
                return 0
        return footer.summary_start

    def _scan(self, file: BinaryIO) -> None:
        part, index = None, Counter()
        at, ended = len(MAGIC), False

        def add(indexed: bool = True) -> None:
            if part is not None:
                self._add(file, part, dict(index) if indexed else None)
            index.clear()

        for opcode, content, length in _records(file, at, self.size, cut=True):
            is_cut = content + length > self.size
            if opcode == Opcode.CHUNK and self.size - content > 8:
                add()
                part = Part(_content(file, content, 8).read8(), content, length)
            if is_cut:
                break
            at = content + length
            if opcode == Opcode.MESSAGE_INDEX and length >= _INDEX.size:
                channel, size = _INDEX.unpack(file.read(_INDEX.size))
                index[channel] += size // _ENTRY
            elif opcode == Opcode.MESSAGE and length >= _MESSAGE.size:
                channel, _, log_ns, _ = _MESSAGE.unpack(file.read(_MESSAGE.size))
                if part is None or part.is_chunk:
                    add()
                    part = Part(log_ns, content - _RECORD.size, 0, is_chunk=False)
                part = part._replace(length=at - part.offset)
                index[channel] += 1
            elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
                with suppress(Exception):  # the messages of a channel that is unknown are left out
                    self._learn(opcode, _content(file, content, length))
            elif opcode in (Opcode.DATA_END, Opcode.FOOTER):
                ended = True
                break
        add(indexed=ended or part is None or not part.is_chunk)  # its index may be cut off within
        if not ended:
            self.notes.append(f"ends early, at byte {at} of {self.size}: what is whole is read")

    def _read_part(
        self, file: BinaryIO, part: Part, ids: AbstractSet[int] | None = None
    ) -> Iterator[tuple[int, int, bytes]]:
        return (self._chunk if part.is_chunk else self._run)(file, part, ids)

    def _chunk(
        self, file: BinaryIO, part: Part, ids: AbstractSet[int] | None
    ) -> Iterator[tuple[int, int, bytes]]:
        file.seek(part.offset)
        chunk = Chunk.read(ReadDataStream(file))
        data, at = unpack(chunk.data, chunk.compression, chunk.uncompressed_size), 0
        is_cut, crc = self._is_cut(part), chunk.uncompressed_crc
        if not is_cut and (len(data) != chunk.uncompressed_size or (crc and crc != crc32(data))):
            raise ValueError("a damaged chunk")
        while at + _RECORD.size <= len(data):
            opcode, length = _RECORD.unpack_from(data, at)
            if not opcode or at + _RECORD.size + length > len(data):
                break
            at += _RECORD.size
            if opcode == _IS_MESSAGE:
                channel, _, log_ns, _ = _MESSAGE.unpack_from(data, at)
                if ids is None or channel in ids:
                    yield log_ns, channel, data[at + _MESSAGE.size : at + length]
            elif opcode in (Opcode.SCHEMA, Opcode.CHANNEL):
                self._learn(opcode, _stream(data[at : at + length]))
            at += length
        if at != len(data) and not is_cut:
            raise ValueError("a damaged chunk")

    def _run(
        self, file: BinaryIO, part: Part, ids: AbstractSet[int] | None
    ) -> Iterator[tuple[int, int, bytes]]:
        end = at = part.offset
        for opcode, at, length in _records(file, part.offset, part.offset + part.length):
            end = at + length
            if opcode == _IS_MESSAGE and length >= _MESSAGE.size:
                channel, _, log_ns, _ = _MESSAGE.unpack(file.read(_MESSAGE.size))
                if ids is None or channel in ids:
                    yield log_ns, channel, file.read(length - _MESSAGE.size)
        if end != part.offset + part.length:
            raise ValueError(f"a damaged record at byte {end}")

    def _learn(self, opcode: int, record: ReadDataStream) -> None:
        if opcode == Opcode.SCHEMA:
            schema = Schema.read(record)
            self._schemas.setdefault(schema.id, schema)
            return
        channel = Channel.read(record)
        schema = self._schemas.get(channel.schema_id, Schema(0, b"", "", ""))
        kind = schema.name, channel.message_encoding, schema.encoding, schema.data.decode(errors="replace")
        latched = is_latched(channel.metadata.get("offered_qos_profiles", ""))
        self.connections.setdefault(channel.id, connection(channel.topic, *kind, latched))


def _records(file: BinaryIO, at: int, end: int, cut: bool = False) -> Iterator[tuple[int, int, int]]:
    """Opcode, offset of the content and its length; the file stands there. cut: also one that isn't whole."""
    while at + _RECORD.size <= end:
        file.seek(at)
        opcode, length = _RECORD.unpack(file.read(_RECORD.size))
        at += _RECORD.size
        if not opcode or (at + length > end and not cut):  # 0: what a file system leaves after a power cut
            return
        yield opcode, at, length
        at += length


def _content(file: BinaryIO, at: int, length: int) -> ReadDataStream:
    file.seek(at)
    return _stream(file.read(length))


def _stream(record: bytes) -> ReadDataStream:
    return ReadDataStream(BytesIO(record))
