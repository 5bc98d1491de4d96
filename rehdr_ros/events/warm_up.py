"""Compile the kernels before the stream starts."""

from __future__ import annotations

from rehdr_ros.events.codecs import make_decoder
from rehdr_ros.events.packet import Events, Packet
from rehdr_ros.events.voxel_grid import voxel_grid


def warm_up(encoding: str | None = None) -> None:
    """Compile, or load from the cache, what decodes `encoding` (if given) and makes voxel grids.

    Afterwards the first packet costs what every packet costs. Raises ValueError for an unknown encoding.
    """
    if encoding is not None:
        make_decoder(encoding, 1, 1).decode(Packet(0, 1, 1, 0, 0, encoding, bytes(8)))
    voxel_grid(Events([1], [0], [0], [1]), 0, 1, 1, 1, 1)
