"""Start rehdr_node, and a bag beside it if one is named.

ros2 launch rehdr_ros rehdr.launch.py events:=/event_camera/events image:=/camera/image_raw
"""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import ExecutableInPackage, FindPackageShare

_WAIT_SECONDS = "120"  # of the bag for the node, which loads its network before it subscribes
_CONFIG = PathJoinSubstitution([FindPackageShare("rehdr_ros"), "config", "rehdr.yaml"])
_ARGUMENTS = {
    "events": ("/event_camera/events", "topic of the event packets"),
    "image": ("/camera/image_raw", "topic of the frames"),
    "camera_info": ("/camera/camera_info", "topic of the frames' camera info"),
    "event_camera_info": (
        "/event_camera/camera_info",
        "topic of the event camera's info, for registration: camera_info",
    ),
    "exposure": ("/camera/exposure", "topic of the frames' exposure, where something publishes it"),
    "params_file": (_CONFIG, "parameters of the node"),
    "weights": ("", "a shipped name, or a checkpoint's file; else as params_file says"),
    "device": ("", "auto, cpu, cuda or cuda:N; else as params_file says"),
    "use_sim_time": ("", "true: take time from /clock; else as params_file says"),
    "namespace": ("", "namespace of the node and its outputs"),
    "bag": ("", "rosbag2 to play, with /clock, as soon as the node listens"),
    "rate": ("1.0", "speed of the bag"),
    "log_level": ("info", "debug, info, warn, error or fatal"),
}


def generate_launch_description() -> LaunchDescription:
    arguments = (
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in _ARGUMENTS.items()
    )
    return LaunchDescription([*arguments, OpaqueFunction(function=_processes)])


def _processes(context: LaunchContext) -> list:
    value = {name: LaunchConfiguration(name) for name in _ARGUMENTS}
    given = {name for name in _ARGUMENTS if value[name].perform(context)}
    # What is not given must not override the user's file.
    types = {"weights": str, "device": str, "use_sim_time": bool}
    overrides = {name: ParameterValue(value[name], value_type=types[name]) for name in types.keys() & given}
    node = Node(
        package="rehdr_ros",
        executable="rehdr_node",
        namespace=value["namespace"],
        parameters=[value["params_file"], overrides],
        remappings=[
            ("events", value["events"]),
            ("image_raw", value["image"]),
            ("camera_info", value["camera_info"]),
            ("event_camera_info", value["event_camera_info"]),
            ("exposure", value["exposure"]),
        ],
        arguments=["--ros-args", "--log-level", value["log_level"]],
        output="screen",
        on_exit=Shutdown(reason="rehdr_node ended") if "bag" in given else None,  # the bag would play to nobody
    )
    if "bag" not in given:
        return [node]
    # Unlike `ros2 bag play`, it waits for the node, and comes with this package.
    replay = [ExecutableInPackage("rehdr", "rehdr_ros"), "replay", value["bag"]]
    options = ["--rate", value["rate"], "--clock", "--wait", _WAIT_SECONDS]
    return [node, ExecuteProcess(cmd=[*replay, *options], output="screen")]
