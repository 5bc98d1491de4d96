"""Compressed bytes, as far as they go and no further than they may."""

from __future__ import annotations

import bz2
from pathlib import Path

import lz4.frame

from rehdr_ros.errors import one_line, writing
from rehdr_ros.recordings.bags.file import LARGEST_UNPACKED
from rehdr_ros.recordings.zstd import zstd

_MOST_TIMES, _ALWAYS = 1000, 1 << 32  # how much larger an unpacked file may be; bytes that it may have
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

_DECOMPRESSORS = {
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "zstd": zstd.ZstdDecompressor,
    "bz2": bz2.BZ2Decompressor,
}


def unpack(packed: bytes, compression: str, size: int = LARGEST_UNPACKED) -> bytes:
    """At most `size` bytes of what was compressed by `compression`; of what is cut off, the whole blocks.

    Raises ValueError for an unknown compression and a size that is none, and what the libraries raise.
    """
    if compression in ("", "none"):
        return packed
    if compression not in _DECOMPRESSORS:
        raise ValueError(f"compressed by {compression!r}, which is not known")
    if size > LARGEST_UNPACKED:
        raise ValueError(f"would be {size} bytes unpacked, more than {LARGEST_UNPACKED}")
    data = b""
    while packed and len(data) < size:  # frame by frame
        decompressor = _DECOMPRESSORS[compression]()
        data += decompressor.decompress(packed, size - len(data))
        packed = decompressor.unused_data if decompressor.eof else b""
    return data


def unpack_message(packed: bytes) -> bytes:
    """A whole message, compressed by zstd. Raises ValueError and ZstdError for what is none."""
    decompressor = zstd.ZstdDecompressor()
    data = decompressor.decompress(packed, LARGEST_UNPACKED)
    if not decompressor.eof:
        raise ValueError("compressed data that is cut off")
    return data


def unpack_file(packed: Path, unpacked: Path) -> str | None:
    """Write what a .zstd file holds. Returns None, or why it is not all. Raises OSError."""
    most = _MOST_TIMES * packed.stat().st_size + _ALWAYS
    with zstd.open(packed, "rb") as source, writing(unpacked), unpacked.open("wb") as target:
        try:
            while block := source.read1(1 << 20):  # what is there: `read` loses it where the file is cut off
                target.write(block)
                if target.tell() > most:
                    return f"it would be more than {most} bytes"
        except (zstd.ZstdError, EOFError) as error:
            return one_line(error)
    return None
