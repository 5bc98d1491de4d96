"""launch/*.launch.py, where ROS 2 brings `launch`.

As loaded, as run on programs that only write down their start, and as `ros2 launch` runs them.
"""

import os
import runpy
import shutil
import signal
import subprocess
import sys
import time
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import yaml

from rehdr_ros.products import CAMERA_INFOS, PRODUCTS, published

pytest.importorskip(
    "launch_ros", reason="no launch_ros here: it comes with a ROS distribution, not from PyPI"
)
launch = pytest.importorskip("launch")  # second: without ROS, the folder launch/ may pass for it

ROOT = Path(__file__).resolve().parent.parent
LAUNCH_FILES = sorted((ROOT / "launch").glob("*.launch.py"))
ARGUMENTS = {
    "events",
    "image",
    "image_transport",
    "weights",
    "device",
    "namespace",
    "params_file",
    "parameters",
    "log_level",
    "use_sim_time",
    "respawn",
    "viewer",
    "bag",
    "rate",
    "exit_with_bag",
}
PROFILES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
PROGRAMS = {"rehdr_ros": ["rehdr_node", "rehdr"], "rqt_image_view": ["rqt_image_view"]}
DRIVERS = ("metavision_driver", "libcaer_driver")
WRITE_DOWN = """#!/bin/sh
echo "${0##*/} $* profiles: $FASTDDS_DEFAULT_PROFILES_FILE,$FASTRTPS_DEFAULT_PROFILES_FILE" >> "$STARTED"
test "${0##*/}" = "$ENDS" && exit 0
test "${0##*/}" != "$DIES" && exec sleep 60
"""
# What `ros2 launch FILE name:=value` does.
RUN = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
file, *given = sys.argv[1:]
given = [each.split(":=", 1) for each in given]
service = LaunchService()
source = PythonLaunchDescriptionSource(file)
included = IncludeLaunchDescription(source, launch_arguments=given)
service.include_launch_description(LaunchDescription([included]))
sys.exit(service.run())
"""


def load(name: str):
    return runpy.run_path(str(ROOT / "launch" / f"{name}.launch.py"))["generate_launch_description"]()


class Robot:
    """A ROS installation whose programs write down how they were started, and sleep.

    The one that `dies` fails at once, the one that `ends` has done its work.
    """

    def __init__(self, folder: Path):
        self.started, self.log, self.prefix = folder / "started", folder / "log", folder / "prefix"
        for package in (*PROGRAMS, *DRIVERS):
            self.install(package)
        (self.prefix / "share/rehdr_ros/config").symlink_to(ROOT / "config")
        self.bag = folder / "recording"
        self.bag.mkdir()
        self.environment = {k: v for k, v in os.environ.items() if k not in PROFILES}
        others = filter(None, [os.environ.get("AMENT_PREFIX_PATH")])
        self.environment.update(
            AMENT_PREFIX_PATH=os.pathsep.join([str(self.prefix), *others]),
            ROS_LOG_DIR=str(folder),
            STARTED=str(self.started),
        )

    def install(self, package: str) -> None:
        for folder in ("share/ament_index/resource_index/packages", f"share/{package}", f"lib/{package}"):
            (self.prefix / folder).mkdir(parents=True, exist_ok=True)
        (self.prefix / "share/ament_index/resource_index/packages" / package).touch()
        for name in PROGRAMS.get(package, ()):
            program = self.prefix / "lib" / package / name
            program.write_text(WRITE_DOWN)
            program.chmod(0o755)

    def remove(self, package: str) -> None:
        (self.prefix / "share/ament_index/resource_index/packages" / package).unlink()

    def starts(self) -> list[str]:
        return self.started.read_text().splitlines() if self.started.exists() else []

    def launch(
        self,
        name: str,
        *given: str,
        until: int | None = None,
        dies: str = "",
        ends: str = "",
        **environment: str,
    ) -> int:
        """Run a launch file until so many programs have started, then press Ctrl-C, or until it ends."""
        command = [sys.executable, "-c", RUN, str(ROOT / "launch" / f"{name}.launch.py"), *given]
        with open(self.log, "w") as output:
            process = subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**self.environment, "DIES": dies, "ENDS": ends, **environment},
                start_new_session=True,
            )
        try:
            deadline = time.monotonic() + 60
            while until is not None and len(self.starts()) < until:
                assert process.poll() is None and time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.05)
            if until is not None:
                time.sleep(0.3)  # anything more?
                os.killpg(process.pid, signal.SIGINT)
            return process.wait(timeout=60)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def parameters(self) -> dict:
        """Of the node: the last file's, where there is more than params_file."""
        words = self.starts()[0].split()
        files = [words[i + 1] for i, word in enumerate(words) if word == "--params-file"]
        return yaml.full_load(Path(files[-1]).read_text()) if len(files) > 1 else {}  # launch writes tuples


@pytest.fixture
def robot(tmp_path):
    return Robot(tmp_path)


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda path: path.name)
def test_every_argument_has_a_description_and_a_default(path):
    """Those of the included file, too: `ros2 launch -s` lists them."""
    arguments = {argument.name: argument for argument in load(path.name.split(".")[0]).get_launch_arguments()}
    assert set(arguments) >= ARGUMENTS
    assert all(argument.description and argument.default_value is not None for argument in arguments.values())


def test_by_default_there_is_only_the_node_with_the_parameters_of_the_file(robot):
    robot.launch("rehdr", until=1)
    (start,) = robot.starts()
    assert start.startswith("rehdr_node ")
    assert f"--params-file {robot.prefix}/share/rehdr_ros/config/rehdr.yaml" in start
    assert robot.parameters() == {}


def test_a_bag_is_played_beside_the_node(robot):
    robot.launch("rehdr", f"bag:={robot.bag}", "rate:=0.5", until=2)
    node, replay = sorted(robot.starts(), reverse=True)
    assert node.startswith("rehdr_node ")
    assert replay.startswith(f"rehdr replay {robot.bag} --rate 0.5 --clock ")


@pytest.mark.parametrize(("namespace", "prefix"), [("", ""), ("robot", "/robot")])
def test_of_a_bag_from_an_earlier_run_the_own_topics_are_not_played(robot, namespace, prefix):
    robot.launch("rehdr", f"bag:={robot.bag}", f"namespace:={namespace}", until=2)
    _, replay = sorted(robot.starts(), reverse=True)
    excluded = replay.partition(" --exclude ")[2].split()
    own = {product.topic for product in published(PRODUCTS)} | {"rehdr_node/frame_info", *CAMERA_INFOS}
    for topic in own:
        assert any(fnmatchcase(f"{prefix}/{topic}", pattern) for pattern in excluded), topic
    assert not any(fnmatchcase(f"{prefix}/camera/image_raw", pattern) for pattern in excluded)


def test_parameters_that_are_given_override_the_file(robot):
    parameters = "parameters:=policy: all, homography: [1.0, 0.0, 2.5]"
    given = ["image_transport:=compressed", parameters, "namespace:=robot"]
    robot.launch("rehdr", *given, until=1)
    expected = {"image_transport": "compressed", "policy": "all", "homography": (1.0, 0.0, 2.5)}
    assert robot.parameters() == {"/robot/rehdr_node": {"ros__parameters": expected}}


@pytest.mark.parametrize("text", ["policy", "policy:all", "{policy: all}", "policy: [all"])
def test_parameters_in_another_form_are_refused_with_the_form(robot, text):
    assert robot.launch("rehdr", f"parameters:={text}") == 1
    assert "is not of the form 'name: value, name: value'" in robot.log.read_text()
    assert not robot.starts()


@pytest.mark.parametrize("namespace", ["", "robot", "/robot/left"])
def test_the_viewer_shows_the_tonemapped_images_of_the_namespace(robot, namespace):
    robot.launch("rehdr", f"namespace:={namespace}", "viewer:=true", until=2)
    viewer = max(robot.starts())
    folder = f"/{namespace.strip('/')}" if namespace else ""
    assert viewer.startswith(f"rqt_image_view {folder}/tonemapped/image_raw --ros-args ")


@pytest.mark.parametrize(
    ("package", "name", "given"),
    [
        ("rqt_image_view", "rehdr", ["viewer:=true"]),
        ("metavision_driver", "metavision", []),
        ("libcaer_driver", "davis", []),
    ],
)
def test_without_the_viewer_or_the_driver_nothing_is_started(robot, package, name, given):
    robot.remove(package)
    assert robot.launch(name, *given) == 1
    assert f"package '{package}' not found" in robot.log.read_text()
    assert not robot.starts()


def test_a_node_that_dies_starts_anew_with_respawn_also_beside_a_bag(robot):
    robot.launch("rehdr", "respawn:=true", f"bag:={robot.bag}", until=4, dies="rehdr_node")
    assert sorted(start.split()[0] for start in robot.starts()) == ["rehdr", *["rehdr_node"] * 3]


def test_a_node_that_dies_ends_the_bag_without_respawn(robot):
    robot.launch("rehdr", f"bag:={robot.bag}", dies="rehdr_node")
    assert sorted(start.split()[0] for start in robot.starts()) in (["rehdr", "rehdr_node"], ["rehdr_node"])


def test_a_bag_that_has_ended_leaves_the_node_or_ends_all_as_asked(robot):
    robot.launch("rehdr", f"bag:={robot.bag}", until=2, ends="rehdr")
    assert robot.launch("rehdr", f"bag:={robot.bag}", "exit_with_bag:=true", ends="rehdr") == 0
    assert len(robot.starts()) == 4


@pytest.mark.parametrize("given", [(), ("respawn:=true",)], ids=["", "respawn"])
def test_a_bag_that_cannot_be_played_ends_the_node(robot, given):
    robot.launch("rehdr", f"bag:={robot.bag}", *given, dies="rehdr")
    assert "process has died" in robot.log.read_text()


@pytest.mark.parametrize(
    ("name", "argument", "problem"),
    [
        ("rehdr", "bag:=/nowhere", "does not exist"),
        ("rehdr", "params_file:=/nowhere", "is not a file"),
        ("davis", "params_file:=/nowhere", "is not a file"),
        ("davis", "driver_params_file:=/nowhere", "is not a file"),
        ("metavision", "driver_params_file:=/nowhere", "is not a file"),
    ],
)
def test_a_file_that_is_not_there_is_named_and_nothing_is_started(robot, name, argument, problem):
    assert robot.launch(name, argument) == 1
    assert f"{argument} {problem}" in robot.log.read_text()
    assert not robot.starts()


@pytest.mark.parametrize(("package", "variables"), [("fastdds", "{},"), ("fastrtps", ",{}")])
def test_all_that_is_started_uses_the_large_shared_memory(robot, package, variables):
    (robot.prefix / "share" / package).mkdir()
    robot.launch("rehdr", "viewer:=true", f"bag:={robot.bag}", until=3)
    profile = f"{robot.prefix}/share/rehdr_ros/config/fastdds_shm.xml"
    assert [start.partition(" profiles: ")[2] for start in robot.starts()] == [variables.format(profile)] * 3
    assert Path(profile).is_file()


@pytest.mark.parametrize("variable", PROFILES)
def test_a_profile_of_the_users_own_stays(robot, variable):
    robot.launch("rehdr", until=1, **{variable: "/my.xml"})
    profiles = "/my.xml," if variable == PROFILES[0] else ",/my.xml"
    assert robot.starts()[0].partition(" profiles: ")[2] == profiles


def test_transports_of_the_users_choice_are_not_overruled(robot):
    robot.launch("rehdr", until=1, FASTDDS_BUILTIN_TRANSPORTS="UDPv4")
    assert robot.starts()[0].partition(" profiles: ")[2] == ","


@pytest.fixture
def actions(robot, monkeypatch):
    """A function: what a launch file starts, and the launch context, where nothing is really started."""

    def flat(entity, context):
        if isinstance(entity, launch.actions.ExecuteProcess):
            return [entity]
        return [action for each in entity.visit(context) or () for action in flat(each, context)]

    def visit(name: str, **given: str):
        context = launch.LaunchContext()
        context.launch_configurations.update(given)
        return flat(load(name), context), context

    for variable in PROFILES:
        monkeypatch.setenv(variable, "")
        monkeypatch.delenv(variable)
    monkeypatch.setenv("AMENT_PREFIX_PATH", robot.environment["AMENT_PREFIX_PATH"])
    return visit


@pytest.mark.parametrize(
    ("name", "package", "plugin", "image"),
    [
        ("metavision", "metavision_driver", "metavision_driver::DriverROS2", "/camera/image_raw"),
        ("davis", "libcaer_driver", "libcaer_driver::Driver", "eye/image_raw"),
    ],
)
def test_a_driver_is_a_component_whose_topics_the_node_takes(actions, tmp_path, name, package, plugin, image):
    mine = tmp_path / "driver.yaml"
    mine.touch()
    (node, container), context = actions(name, camera_name="eye", driver_params_file=str(mine))
    assert (node.node_package, node.node_executable) == ("rehdr_ros", "rehdr_node")
    assert container.node_package == "rclcpp_components"
    (driver,) = container._ComposableNodeContainer__composable_node_descriptions  # noqa: SLF001

    def text(substitutions):
        return launch.utilities.perform_substitutions(context, substitutions)

    names = tuple(map(text, (driver.package, driver.node_plugin, driver.node_name)))
    assert names == (package, plugin, "eye")
    assert len(driver.parameters) == 2  # ours, and the user's file
    assert context.launch_configurations["events"] == "eye/events"
    assert context.launch_configurations["image"] == image
    assert any(os.environ.get(variable, "").endswith("fastdds_shm.xml") for variable in PROFILES)


def test_a_davis_is_stamped_by_its_own_clock_in_the_middle_of_the_exposure(actions):
    _, context = actions("davis", aps_exposure="100", parameters="policy: all")
    parameters = yaml.safe_load(f"{{{context.launch_configurations['parameters']}}}")
    assert parameters == {"frame_clock": "sensor", "stamp_is": "middle", "policy": "all"}


def test_ros2_launch_plays_a_bag_through_the_node_and_ends_with_ctrl_c(tiny_weights, simulated_bag, tmp_path):
    packages = pytest.importorskip("ament_index_python.packages")
    try:
        prefix = Path(packages.get_package_prefix("rehdr_ros"))
    except (packages.PackageNotFoundError, OSError):
        pytest.skip("rehdr_ros is not built with colcon here, or not sourced")
    if not shutil.which("ros2") or not (prefix / "lib" / "rehdr_ros" / "rehdr_node").exists():
        pytest.skip("no ros2 command, or rehdr_ros is not built with colcon")
    parameters = tmp_path / "mine.yaml"
    settings = {"weights": str(tiny_weights), "device": "cpu", "policy": "all", "event_timeout": 3.0}
    parameters.write_text(yaml.safe_dump({"/**": {"ros__parameters": settings}}))
    command = ["ros2", "launch", "rehdr_ros", "rehdr.launch.py"]
    command += [f"params_file:={parameters}", f"bag:={simulated_bag}"]
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
