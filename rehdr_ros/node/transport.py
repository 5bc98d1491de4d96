"""Shared memory that holds camera images: Fast DDS by default loses most of any image above 512 KB."""

import os
import sys
from pathlib import Path

_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")  # of Fast DDS 3; of 2: Jazzy, Humble


def use_large_shared_memory() -> None:
    """Name the shipped Fast DDS profile in the environment, before rclpy starts, unless the user has named one."""
    if any(name in os.environ for name in _VARIABLES):
        return
    profile = shared_file("config/fastdds_shm.xml")
    if profile is not None:
        os.environ.update(dict.fromkeys(_VARIABLES, str(profile)))


def shared_file(name: str) -> Path | None:
    """A file of config/, msg/ or launch/: of the source tree, the Python environment or the ROS installation."""
    prefixes = [sys.prefix, *filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(":"))]
    folders = [Path(__file__).parents[2], *(Path(prefix) / "share" / "rehdr_ros" for prefix in prefixes)]
    return next((folder / name for folder in folders if (folder / name).is_file()), None)
