"""Packets -> events -> voxel grids. No ROS, no network."""

from .buffer import EventBuffer
from .clock import Clock
from .codecs import make_decoder, make_encoder
from .packet import Events, Packet
from .voxel_grid import voxel_grid
from .warm_up import warm_up

__all__ = [
    "Clock",
    "EventBuffer",
    "Events",
    "Packet",
    "make_decoder",
    "make_encoder",
    "voxel_grid",
    "warm_up",
]
