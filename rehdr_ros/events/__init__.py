"""Packets -> events -> voxel grids. No ROS, no network."""

from rehdr_ros.events.buffer import EventBuffer
from rehdr_ros.events.clock import Clock
from rehdr_ros.events.codecs import make_decoder, make_encoder
from rehdr_ros.events.frame import Calibration, Exposure, Frame
from rehdr_ros.events.hot_pixels import HotPixels
from rehdr_ros.events.packet import Decoded, Events, Packet, Triggers
from rehdr_ros.events.receiver import Receiver
from rehdr_ros.events.registration import Camera, Registration
from rehdr_ros.events.run import Run
from rehdr_ros.events.voxel_grid import voxel_grid
from rehdr_ros.events.warm_up import warm_up

__all__ = [
    "Calibration",
    "Camera",
    "Clock",
    "Decoded",
    "EventBuffer",
    "Events",
    "Exposure",
    "Frame",
    "HotPixels",
    "Packet",
    "Receiver",
    "Registration",
    "Run",
    "Triggers",
    "make_decoder",
    "make_encoder",
    "voxel_grid",
    "warm_up",
]
