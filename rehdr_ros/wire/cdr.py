"""What all serialized ROS messages begin with. No ROS."""

from __future__ import annotations

import struct
from typing import Any

from rehdr_ros.errors import InputError

_ORDERS = {b"\0\0": ">", b"\0\1": "<"}  # of plain CDR, as rmw writes it; the next two bytes are options
_ENCAPSULATION = 4  # bytes; alignment counts from behind them


def plain_cdr(raw: bytes | bytearray | memoryview, what: str) -> tuple[memoryview, str]:
    """The fields' bytes, and their byte order as struct writes it. Raises ValueError for other CDR."""
    raw = memoryview(raw).cast("B")
    order = _ORDERS.get(bytes(raw[:2]))
    if order is None:
        begin = bytes(raw[:2]).hex(" ") or "no bytes"
        raise InputError(f"{what}: expected plain CDR (00 00 or 00 01), not {begin}")
    return raw[_ENCAPSULATION:], order


class Fields:
    """The fields of a serialized message, read one after the other. what: the message's name.

    Raises ValueError for other CDR than plain, and where the message ends before its fields do.
    """

    def __init__(self, raw: bytes | bytearray | memoryview, what: str) -> None:
        self._what = what
        self._body, self._order = plain_cdr(raw, what)
        self._at = 0

    def numbers(self, code: str, count: int = 1) -> tuple[Any, ...]:
        """`count` of struct's code."""
        size = struct.calcsize(self._order + code)
        begin = self._at + -self._at % size if count else self._at
        end = begin + count * size
        if end > len(self._body):
            raise InputError(f"{self._what}: cut off after {len(self._body)} bytes")
        self._at = end
        return struct.unpack_from(f"{self._order}{count}{code}", self._body, begin)

    def octets(self) -> memoryview:
        """A sequence of bytes, as a view."""
        (count,) = self.numbers("I")
        octets = self._body[self._at : self._at + count]
        if len(octets) < count:
            raise InputError(f"{self._what}: {count} bytes announced, {len(octets)} there")
        self._at += count
        return octets

    def text(self) -> str:
        """A string."""
        return bytes(self.octets()).rstrip(b"\0").decode(errors="replace")

    def header(self) -> tuple[int, str]:
        """stamp_ns and frame_id of a std_msgs/msg/Header."""
        (seconds,), (nanoseconds,) = self.numbers("i"), self.numbers("I")
        return seconds * 1_000_000_000 + nanoseconds, self.text()
