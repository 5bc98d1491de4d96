"""What all serialized ROS messages begin with. No ROS."""

from __future__ import annotations

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
