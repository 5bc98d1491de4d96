"""What comes in, a packet of encoded events, and what it decodes to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

_HALF = 1 << 63
_COLUMNS = {"t": np.int64, "x": np.uint16, "y": np.uint16, "p": np.uint8}


@dataclass(frozen=True, eq=False)
class Packet:
    """One event_camera_msgs/msg/EventPacket: same fields, no ROS.

    `stamp_ns` is header.stamp as int64 ns of ROS time, `time_base` is in ns where the encoding uses it,
    `data` is any contiguous bytes-like object (EventPacket.events) and is never written to.
    """

    stamp_ns: int
    width: int
    height: int
    seq: int
    time_base: int
    encoding: str
    data: bytes | bytearray | memoryview | np.ndarray
    is_bigendian: bool = False

    def follows(self, other: Packet) -> bool:
        """Whether this is the next packet of the same stream; its number may stand still."""
        return (
            0 <= self.seq - other.seq <= 1
            and self.encoding == other.encoding
            and self.width == other.width
            and self.height == other.height
            and self.is_bigendian == other.is_bigendian
        )


@dataclass(frozen=True, eq=False)
class Events:
    """Events as a structure of arrays, all of shape (N,).

    t: int64 ns; x, y: uint16 pixels; p: uint8, 1 = ON, 0 = OFF. Arrays of other integer types are converted.
    size: width and height of their camera where the message that brought them tells it.
    Raises ValueError where the four are not one-dimensional and of one length.
    """

    t: np.ndarray
    x: np.ndarray
    y: np.ndarray
    p: np.ndarray
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        for name, dtype in _COLUMNS.items():
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype))
        shapes = {self.t.shape, self.x.shape, self.y.shape, self.p.shape}
        if len(shapes) != 1 or self.t.ndim != 1:
            raise ValueError(f"t, x, y and p must be one-dimensional and of one length, not {shapes}")

    def __len__(self) -> int:
        return len(self.t)

    def __getitem__(self, which: slice | np.ndarray) -> Events:
        """The events of a slice (views), of a boolean mask or of an index array (copies)."""
        return Events.of(self.t[which], self.x[which], self.y[which], self.p[which])

    def shifted(self, offset_ns: int) -> Events:
        """The same events, `offset_ns` later; times wrap where int64 ends, as only damaged packets' do."""
        if not offset_ns:
            return self
        return Events.of(self.t + np.int64((offset_ns + _HALF) % (2 * _HALF) - _HALF), self.x, self.y, self.p)

    @classmethod
    def empty(cls) -> Events:
        """No events."""
        return cls.of(*(np.empty(0, dtype) for dtype in _COLUMNS.values()))

    @classmethod
    def concatenate(cls, parts: Iterable[Events]) -> Events:
        """All events of `parts`, in the order given."""
        parts = list(parts)
        if not parts:
            return cls.empty()
        if len(parts) == 1:
            return parts[0]
        return cls.of(*(np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS))

    @classmethod
    def of(cls, t: np.ndarray, x: np.ndarray, y: np.ndarray, p: np.ndarray) -> Events:
        """From columns that are known to fit: to check them costs as much as to decode a small packet."""
        events = object.__new__(cls)
        events.__dict__.update(t=t, x=x, y=y, p=p)
        return events


class Decoded(NamedTuple):
    """The events of N packets, one after the other; ends: (N,) int64, how many up to the end of each."""

    events: Events
    ends: np.ndarray


@dataclass(frozen=True, eq=False)
class Triggers:
    """External triggers, each (N,): t int64 ns, sensor's clock; id uint16; edge uint8, 1 = rising."""

    t: np.ndarray
    id: np.ndarray
    edge: np.ndarray

    def __len__(self) -> int:
        return len(self.t)

    @classmethod
    def of(cls, rows: np.ndarray) -> Triggers:
        """From rows (t, id, edge), int64 of shape (N, 3)."""
        return cls(rows[:, 0], rows[:, 1].astype(np.uint16), rows[:, 2].astype(np.uint8))
