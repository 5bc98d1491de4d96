import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from checks import REMAPPED, Interface

ROS = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "ROS_DOMAIN_ID": str(10 + os.getpid() % 40)}


@pytest.fixture(scope="session")
def ros_environment() -> dict[str, str]:
    """For the node, the replay and the demo: they talk to nobody else."""
    return {**os.environ, **ROS}


@pytest.fixture(scope="session")
def interface(tiny_weights, ros_environment) -> Interface:
    """What rehdr_node has, with the topics of rehdr.launch.py."""
    pytest.importorskip("rclpy", reason="no ROS 2 here: run make setup, or source one")
    pytest.importorskip("rehdr_ros.msg", reason="the messages are not built: run make setup")
    remaps = [word for name, topic in REMAPPED.items() for word in ("-r", f"{name}:={topic}")]
    settings = (f"weights:={tiny_weights}", "device:=cpu", "engine:=pytorch")
    arguments = ["--ros-args", *remaps, *(word for setting in settings for word in ("-p", setting))]
    command = [sys.executable, Path(__file__).with_name("node_interface.py"), *arguments]
    said = subprocess.check_output(command, env=ros_environment, text=True)
    return Interface(**json.loads(said.splitlines()[-1]))
