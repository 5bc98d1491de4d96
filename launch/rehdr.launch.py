"""Start rehdr_node, and a bag beside it if one is named.

ros2 launch rehdr_ros rehdr.launch.py events:=/event_camera/events image:=/camera/image_raw
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import (
    EnvironmentVariable,
    LaunchConfiguration,
    PathJoinSubstitution,
    PythonExpression,
)
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare


def generate_launch_description() -> LaunchDescription:
    config = PathJoinSubstitution([FindPackageShare("rehdr_ros"), "config"])
    arguments = {
        "events": ("/event_camera/events", "topic of the event packets"),
        "image": ("/camera/image_raw", "topic of the frames"),
        "camera_info": ("/camera/camera_info", "topic of the frames' camera info"),
        "params_file": (PathJoinSubstitution([config, "rehdr.yaml"]), "parameters of the node"),
        "weights": ("rehdr_t", "a shipped name, or a checkpoint's file"),
        "device": ("auto", "auto, cpu, cuda or cuda:N"),
        "namespace": ("", "namespace of the node and its outputs"),
        "bag": ("", "rosbag2 to play beside the node"),
        "rate": ("1.0", "speed of the bag"),
        "use_sim_time": ("false", "take time from /clock"),
        "log_level": ("info", "debug, info, warn, error or fatal"),
    }
    value = {name: LaunchConfiguration(name) for name in arguments}
    profile = EnvironmentVariable(
        "FASTDDS_DEFAULT_PROFILES_FILE", default_value=PathJoinSubstitution([config, "fastdds_shm.xml"])
    )
    node = Node(
        package="rehdr_ros",
        executable="rehdr_node",
        namespace=value["namespace"],
        parameters=[
            value["params_file"],
            {
                "weights": ParameterValue(value["weights"], value_type=str),
                "device": ParameterValue(value["device"], value_type=str),
                "use_sim_time": ParameterValue(value["use_sim_time"], value_type=bool),
            },
        ],
        remappings=[
            ("events", value["events"]),
            ("image_raw", value["image"]),
            ("camera_info", value["camera_info"]),
        ],
        arguments=["--ros-args", "--log-level", value["log_level"]],
        output="screen",
    )
    bag = ExecuteProcess(
        cmd=["ros2", "bag", "play", value["bag"], "--rate", value["rate"], "--clock", "--delay", "5"],
        condition=IfCondition(PythonExpression(["'", value["bag"], "' != ''"])),
        output="screen",
    )
    return LaunchDescription(
        [
            *(DeclareLaunchArgument(name, default_value=d, description=text) for name, (d, text) in arguments.items()),
            SetEnvironmentVariable("FASTDDS_DEFAULT_PROFILES_FILE", profile),
            node,
            bag,
        ]
    )
