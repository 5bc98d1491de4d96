"""Recordings in (rosbag2, AEDAT4); rosbag2, images and video out. No ROS."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rehdr_ros.recordings.aedat4 import Aedat4Recording
    from rehdr_ros.recordings.rosbag import BagRecording

_HOMES = {
    "Aedat4Recording": "aedat4",
    "BagRecording": "rosbag",
    "BagWriter": "rosbag",
    "Calibration": "frame",
    "Exposure": "frame",
    "Frame": "frame",
    "RecordingError": "errors",
    "Topic": "rosbag",
    "VideoWriter": "images",
    "decode_image": "image_message",
    "encode_image": "image_message",
    "read_exr": "images",
    "read_radiance": "images",
    "write_exr": "images",
    "write_png": "images",
}
__all__ = [*_HOMES, "open_recording"]


def __getattr__(name: str) -> Any:
    # Imported on use: a robot's node converts images and needs nothing of what reads and writes files.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def open_recording(
    path: str | Path, events_topic: str | None = None, image_topic: str | None = None
) -> BagRecording | Aedat4Recording:
    """The recording at `path`: a rosbag2 (folder, .mcap, .db3) or an AEDAT4 file; topics only matter to bags.

    Both have messages(), in order: Packet or, where a file holds them decoded, Events in ROS time; and Frame.
    Raises RecordingError where there is no such recording.
    """
    if Path(path).suffix == ".aedat4":
        from rehdr_ros.recordings.aedat4 import Aedat4Recording

        return Aedat4Recording(path)
    from rehdr_ros.recordings.rosbag import BagRecording

    return BagRecording(path, events_topic, image_topic)
