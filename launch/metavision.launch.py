"""Start a Prophesee camera by metavision_driver, and rehdr_node on its events and another camera's frames.

ros2 launch rehdr_ros metavision.launch.py image:=/camera/image_raw parameters:="registration: camera_info"

The arguments of rehdr.launch.py do here, too; the frames' camera has a driver of its own, started elsewhere.

The driver is a component: a recorder loaded into its container gets every packet without DDS between them.
rehdr_node can't join them, for a container loads C++ libraries and the node is Python: it runs beside, and
shared memory carries the packets to it.
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, LogInfo, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import ComposableNodeContainer
from launch_ros.descriptions import ComposableNode
from launch_ros.substitutions import FindPackagePrefix

_ARGUMENTS = {
    "camera_name": ("event_camera", "name of the driver's node: its events are on NAME/events"),
    "driver_params_file": (
        "",
        "parameters of the driver (serial, bias_file, erc_mode, ...), a ROS parameter file",
    ),
}
# By default the SDK hands over events every 4 ms. More often costs rehdr_node a call into Python each time.
_DRIVER = {"encoding": "evt3", "event_message_time_threshold": 3.0e-3}


def generate_launch_description() -> LaunchDescription:
    arguments = (
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in _ARGUMENTS.items()
    )
    rehdr = IncludeLaunchDescription(
        # As text, so that `ros2 launch -s` lists its arguments.
        str(Path(__file__).with_name("rehdr.launch.py")),
        launch_arguments={"events": [LaunchConfiguration("camera_name"), "/events"]}.items(),
    )
    # First: where the driver is not installed, launch fails here, and would leave behind what it started.
    found = LogInfo(msg=["driver in ", FindPackagePrefix("metavision_driver")])
    files = OpaqueFunction(function=_require_driver_params)
    return LaunchDescription([*arguments, found, files, rehdr, OpaqueFunction(function=_driver)])


def _require_driver_params(context: LaunchContext) -> None:
    path = LaunchConfiguration("driver_params_file").perform(context)
    if path and not Path(path).is_file():  # launch would start the driver without it
        raise RuntimeError(f"driver_params_file:={path} is not a file")


def _driver(context: LaunchContext) -> list:
    file = LaunchConfiguration("driver_params_file")
    driver = ComposableNode(
        package="metavision_driver",
        plugin="metavision_driver::DriverROS2",
        namespace=LaunchConfiguration("namespace"),
        name=LaunchConfiguration("camera_name"),
        parameters=[_DRIVER, *([file] if file.perform(context) else [])],
        extra_arguments=[{"use_intra_process_comms": True}],
    )
    container = ComposableNodeContainer(
        package="rclcpp_components",
        executable="component_container_isolated",
        namespace=LaunchConfiguration("namespace"),
        name="metavision_driver_container",
        composable_node_descriptions=[driver],
        output="screen",
    )
    return [container]
