"""Compile the kernels before the stream starts."""

from __future__ import annotations

import numpy as np

from rehdr_ros.events.buffer import EventBuffer
from rehdr_ros.events.clock import Clock
from rehdr_ros.events.codecs import make_decoder
from rehdr_ros.events.hot_pixels import HotPixels, find_hot_pixels
from rehdr_ros.events.packet import Events, Packet
from rehdr_ros.events.registration import Registration
from rehdr_ros.events.voxel_grid import voxel_grid


def warm_up(encoding: str | None = None) -> None:
    """Compile, or load from the cache, what a stream of events goes through, and what decodes `encoding`.

    Afterwards the first packet costs what every packet costs. Raises ValueError for an unknown encoding.
    """
    if encoding is not None:
        make_decoder(encoding, 1, 1).decode(Packet(0, 1, 1, 0, 0, encoding, bytes(8)))
    event = Events([1], [0], [0], [1])
    EventBuffer(1).append(Clock().to_ros(Packet(9, 1, 1, 0, 0, "evt3", b""), event))
    voxel_grid(event, 0, 1, 1, 1, 1, registration=Registration.identity((1, 1)))
    hot_pixels = HotPixels(1, 1)
    for t_ns in (0, 1):  # from the second time on it counts
        hot_pixels.update(event, t_ns)
    find_hot_pixels(np.zeros((1, 1)))
