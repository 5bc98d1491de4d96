"""Shared memory that holds camera images: Fast DDS by default loses most of any image above 512 KB."""

import os
import sys
from pathlib import Path

# By the package that Fast DDS is in: 3, and 2 of Jazzy and Humble. Kilted takes the other's too, complaining.
_VARIABLES = {"fastdds": "FASTDDS_DEFAULT_PROFILES_FILE", "fastrtps": "FASTRTPS_DEFAULT_PROFILES_FILE"}
_TRANSPORTS = "FASTDDS_BUILTIN_TRANSPORTS"  # the user's choice, which a profile would overrule


def use_large_shared_memory() -> None:
    """Name the shipped Fast DDS profile in the environment, before rclpy starts.

    Unless the user named another one, or chose transports.
    """
    if any(name in os.environ for name in (*_VARIABLES.values(), _TRANSPORTS)):
        return
    profile = shared_file("config/fastdds_shm.xml")
    if profile is not None:
        here = (name for prefix in _prefixes() for name in _VARIABLES if (prefix / "share" / name).is_dir())
        os.environ[_VARIABLES[next(here, "fastdds")]] = str(profile)


def shared_file(name: str) -> Path | None:
    """A file of config/, msg/ or launch/: of the source tree, Python's environment or ROS' installation."""
    folders = [Path(__file__).parents[2], *(prefix / "share" / "rehdr_ros" for prefix in _prefixes())]
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def _prefixes() -> list[Path]:
    ament = os.environ.get("AMENT_PREFIX_PATH", "").split(":")
    return [Path(prefix) for prefix in (sys.prefix, *ament) if prefix]
