"""Start rehdr_node, and a bag or a viewer beside it if they are asked for.

ros2 launch rehdr_ros rehdr.launch.py events:=/event_camera/events image:=/camera/image_raw

In a launch file of your own: docs/cameras.md.
"""

import os
from collections.abc import Callable
from pathlib import Path

import yaml
from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    OpaqueFunction,
    SetEnvironmentVariable,
    Shutdown,
    TimerAction,
)
from launch.conditions import IfCondition
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import ExecutableInPackage, FindPackageShare
from launch_ros.utilities import make_namespace_absolute, prefix_namespace

_WAIT_SECONDS = "120"  # of the bag for the node, which loads its network before it subscribes
_RESPAWN_SECONDS = 1.0
# By the package of Fast DDS: 3, and 2 of Jazzy and Humble. Kilted takes the other's, too, but complains.
_PROFILES = {"fastdds": "FASTDDS_DEFAULT_PROFILES_FILE", "fastrtps": "FASTRTPS_DEFAULT_PROFILES_FILE"}
_TRANSPORTS = "FASTDDS_BUILTIN_TRANSPORTS"  # the user's choice, which a profile would overrule
_LAST_FRAMES_SECONDS = 5.0  # for the node, once the bag has ended
_OUTPUTS = "hdr", "tonemapped", "event_image", "rehdr_node"  # topics lie below these, in its namespace
_CONFIG = [FindPackageShare("rehdr_ros"), "config"]
_ARGUMENTS = {
    "events": ("/event_camera/events", "topic of the event packets"),
    "image": ("/camera/image_raw", "topic of the frames"),
    "image_transport": ("", "raw, or compressed for TOPIC/compressed; else as params_file says"),
    "camera_info": ("/camera/camera_info", "topic of the frames' camera info"),
    "event_camera_info": (
        "/event_camera/camera_info",
        "topic of the event camera's info, for registration: camera_info",
    ),
    "exposure": ("/camera/exposure", "topic of the frames' exposure, where something publishes it"),
    "params_file": (PathJoinSubstitution([*_CONFIG, "rehdr.yaml"]), "parameters of the node"),
    "parameters": ("", "single ones above the file, as 'frame_clock: sensor, event_timeout: 0.2'"),
    "weights": ("", "a shipped name, or a checkpoint's file; else as params_file says"),
    "device": ("", "auto, cpu, cuda or cuda:N; else as params_file says"),
    "use_sim_time": ("", "true: take time from /clock; else as params_file says"),
    "namespace": ("", "namespace of the node and its outputs"),
    "respawn": ("false", "true: start the node anew after it died, whatever it died of"),
    "viewer": ("false", "true: show the tone-mapped images in rqt_image_view"),
    "bag": ("", "rosbag2 to play, with /clock, as soon as the node listens"),
    "rate": ("1.0", "speed of the bag"),
    "exit_with_bag": ("false", "true: end all 5 s after the bag's end, once its last frames are done"),
    "log_level": ("info", "debug, info, warn, error or fatal"),
}
_TYPES = {"weights": str, "device": str, "image_transport": str, "use_sim_time": bool}


def generate_launch_description() -> LaunchDescription:
    arguments = (
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in _ARGUMENTS.items()
    )
    return LaunchDescription([*arguments, OpaqueFunction(function=_actions)])


def _actions(context: LaunchContext) -> list:
    value = {name: LaunchConfiguration(name) for name in _ARGUMENTS}
    given = {name for name in _ARGUMENTS if value[name].perform(context)}
    actions = []
    if not any(name in context.environment for name in (*_PROFILES.values(), _TRANSPORTS)):
        prefixes = context.environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
        here = (name for prefix in prefixes for name in _PROFILES if Path(prefix, "share", name).is_dir())
        profile = PathJoinSubstitution([*_CONFIG, "fastdds_shm.xml"])
        actions.append(SetEnvironmentVariable(_PROFILES[next(here, "fastdds")], profile))
    # Before the node: where it is not installed, launch fails, and would leave behind what it started.
    if IfCondition(value["viewer"]).evaluate(context):
        # It takes its argument as it is, so it must be the whole name.
        topic = f"{_namespace(context)}/tonemapped/image_raw"
        viewer = {"executable": "rqt_image_view", "namespace": value["namespace"], "arguments": [topic]}
        actions.append(Node(package="rqt_image_view", **viewer))
    actions.append(_node(context, value, given))
    if "bag" in given:
        _require(context, "bag", Path.exists, "does not exist")
        # Unlike `ros2 bag play`, it waits for the node, and comes with this package.
        replay = [ExecutableInPackage("rehdr", "rehdr_ros"), "replay", value["bag"]]
        # A bag of an earlier run holds the node's own topics, too.
        outputs = [f"{_namespace(context)}/{name}/*" for name in _OUTPUTS]
        options = ["--rate", value["rate"], "--clock", "--wait", _WAIT_SECONDS, "--exclude", *outputs]
        actions.append(ExecuteProcess(cmd=[*replay, *options], output="screen", on_exit=_after_bag))
    return actions


def _namespace(context: LaunchContext) -> str:
    """The whole one of the node, without a slash at its end."""
    given = LaunchConfiguration("namespace").perform(context)
    pushed = context.launch_configurations.get("ros_namespace")
    return make_namespace_absolute(prefix_namespace(pushed, given)).rstrip("/")


def _after_bag(event: ProcessExited, context: LaunchContext) -> list:
    if context.is_shutdown:
        return []
    if event.returncode:
        return [Shutdown(reason="the bag could not be played")]
    if IfCondition(LaunchConfiguration("exit_with_bag")).evaluate(context):
        return [TimerAction(period=_LAST_FRAMES_SECONDS, actions=[Shutdown(reason="the bag has ended")])]
    return []


def _node(context: LaunchContext, value: dict[str, LaunchConfiguration], given: set[str]) -> Node:
    _require(context, "params_file", Path.is_file, "is not a file")  # launch would start the node without it
    # What is not given must not override the user's file.
    overrides = _named(value["parameters"].perform(context))
    named = _TYPES.keys() & given
    overrides |= {name: ParameterValue(value[name], value_type=_TYPES[name]) for name in named}
    respawn = IfCondition(value["respawn"]).evaluate(context)
    return Node(
        package="rehdr_ros",
        executable="rehdr_node",
        name="rehdr_node",  # or a section of the file for this very name would win over the overrides
        namespace=value["namespace"],
        parameters=[value["params_file"], *([overrides] if overrides else [])],
        remappings=[
            ("events", value["events"]),
            ("image_raw", value["image"]),
            ("camera_info", value["camera_info"]),
            ("event_camera_info", value["event_camera_info"]),
            ("exposure", value["exposure"]),
        ],
        arguments=["--ros-args", "--log-level", value["log_level"]],
        output="screen",
        respawn=respawn,
        respawn_delay=_RESPAWN_SECONDS,
        # Without its node the bag would play to nobody; one that respawns comes back to it.
        on_exit=Shutdown(reason="rehdr_node ended") if "bag" in given and not respawn else None,
    )


def _require(context: LaunchContext, name: str, fits: Callable[[Path], bool], problem: str) -> None:
    path = LaunchConfiguration(name).perform(context)
    if not fits(Path(path)):
        raise RuntimeError(f"{name}:={path} {problem}")


def _named(text: str) -> dict:
    try:
        values = yaml.safe_load(f"{{{text}}}")
    except yaml.YAMLError:
        values = {text: None}
    if None in values.values():
        raise RuntimeError(f"parameters:='{text}' is not of the form 'name: value, name: value'")
    return values
