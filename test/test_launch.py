"""launch/rehdr.launch.py, where ROS 2 brings `launch`: as loaded, and as `ros2 launch` runs it."""

import os
import runpy
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

pytest.importorskip("launch_ros", reason="no launch_ros here: it comes with a ROS distribution, not from PyPI")
launch = pytest.importorskip("launch")  # second: without ROS, the folder launch/ may pass for it

LAUNCH_FILE = Path(__file__).resolve().parent.parent / "launch" / "rehdr.launch.py"
ARGUMENTS = {
    "events",
    "image",
    "weights",
    "device",
    "namespace",
    "params_file",
    "log_level",
    "use_sim_time",
    "bag",
    "rate",
}


@pytest.fixture
def description():
    return runpy.run_path(str(LAUNCH_FILE))["generate_launch_description"]()


def started(description, **given: str) -> list:
    """The actions that remain once the arguments are known."""
    context = launch.LaunchContext()
    context.launch_configurations.update({"params_file": "rehdr.yaml", **given})
    results = [entity.visit(context) for entity in description.entities]
    return [action for actions in results for action in actions or ()]


def test_every_argument_has_a_description_and_a_default(description):
    arguments = {argument.name: argument for argument in description.get_launch_arguments()}
    assert set(arguments) >= ARGUMENTS
    assert all(argument.description and argument.default_value is not None for argument in arguments.values())


def test_without_a_bag_there_is_only_the_node(description):
    (node,) = started(description)
    assert (node.node_package, node.node_executable) == ("rehdr_ros", "rehdr_node")


def test_with_a_bag_the_replay_runs_beside_the_node(description):
    node, replay = started(description, bag="/data/bag")
    assert node.node_executable == "rehdr_node"
    assert isinstance(replay, launch.actions.ExecuteProcess)


def test_ros2_launch_plays_a_bag_through_the_node_and_ends_with_ctrl_c(tiny_weights, simulated_bag, tmp_path):
    packages = pytest.importorskip("ament_index_python.packages")
    try:
        prefix = Path(packages.get_package_prefix("rehdr_ros"))
    except packages.PackageNotFoundError:
        pytest.skip("rehdr_ros is not built with colcon here, or not sourced")
    if not shutil.which("ros2") or not (prefix / "lib" / "rehdr_ros" / "rehdr_node").exists():
        pytest.skip("no ros2 command, or rehdr_ros is not built with colcon")
    parameters = tmp_path / "mine.yaml"
    settings = {"weights": str(tiny_weights), "device": "cpu", "policy": "all", "event_timeout": 3.0}
    parameters.write_text(yaml.safe_dump({"/**": {"ros__parameters": settings}}))
    command = ["ros2", "launch", "rehdr_ros", "rehdr.launch.py", f"params_file:={parameters}", f"bag:={simulated_bag}"]
    environment = {**os.environ, "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "ROS_DOMAIN_ID": "59"}
    log = tmp_path / "log"
    with open(log, "w") as output:
        process = subprocess.Popen(
            [*command, "namespace:=robot", "use_sim_time:=true"],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 120
        while "process has finished cleanly" not in log.read_text():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        time.sleep(5)  # the last frame waits for events that never come
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=60) == 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert "robot.rehdr_node" in log.read_text()
    assert "stopped after 10 frames" in log.read_text()
    assert "Traceback" not in log.read_text()
