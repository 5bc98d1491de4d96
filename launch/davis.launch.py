"""Start a DAVIS by libcaer_driver, and rehdr_node on its events and its frames.

ros2 launch rehdr_ros davis.launch.py aps_exposure:=4000 viewer:=true

The arguments of rehdr.launch.py do here, too. The driver's own auto exposure stays off: nobody tells the
node what it does, and the scale of the radiance would move with it.

The driver is a component: a recorder loaded into its container gets every packet without DDS between them.
rehdr_node can't join them, for a container loads C++ libraries and the node is Python: it runs beside, and
shared memory carries packets and frames to it.
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, LogInfo, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import ComposableNodeContainer
from launch_ros.descriptions import ComposableNode
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackagePrefix

_ARGUMENTS = {
    "camera_name": ("event_camera", "name of the driver's node: it publishes NAME/events and NAME/image_raw"),
    "aps_exposure": ("5000", "exposure of the frames, us"),
    "driver_params_file": ("", "other parameters of the driver (serial, biases, ...), a ROS parameter file"),
    "parameters": (
        "",
        "single parameters of rehdr_node above params_file, as 'policy: all, event_timeout: 0.2'",
    ),
}
_CAMERA = LaunchConfiguration("camera_name")
_EXPOSURE = LaunchConfiguration("aps_exposure")
# Frames and events have one clock. The driver stamps frames in the middle of their exposure.
_REHDR = "frame_clock: sensor, stamp_is: middle, "


def generate_launch_description() -> LaunchDescription:
    arguments = (
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in _ARGUMENTS.items()
    )
    rehdr = IncludeLaunchDescription(
        # As text, so that `ros2 launch -s` lists its arguments.
        str(Path(__file__).with_name("rehdr.launch.py")),
        launch_arguments={
            "events": [_CAMERA, "/events"],
            "image": [_CAMERA, "/image_raw"],
            "camera_info": [_CAMERA, "/camera_info"],
            "parameters": [_REHDR, LaunchConfiguration("parameters")],
        }.items(),
    )
    # First: where the driver is not installed, launch fails here, and would leave behind what it started.
    found = LogInfo(msg=["driver in ", FindPackagePrefix("libcaer_driver")])
    files = OpaqueFunction(function=_require_driver_params)
    return LaunchDescription([*arguments, found, files, rehdr, OpaqueFunction(function=_driver)])


def _require_driver_params(context: LaunchContext) -> None:
    path = LaunchConfiguration("driver_params_file").perform(context)
    if path and not Path(path).is_file():  # launch would start the driver without it
        raise RuntimeError(f"driver_params_file:={path} is not a file")


def _driver(context: LaunchContext) -> list:
    settings = {
        "device_type": "davis",
        "dvs_enabled": True,
        "aps_enabled": True,
        "aps_exposure": ParameterValue(_EXPOSURE, value_type=int),
        "auto_exposure_enabled": False,
    }
    file = LaunchConfiguration("driver_params_file")
    driver = ComposableNode(
        package="libcaer_driver",
        plugin="libcaer_driver::Driver",
        namespace=LaunchConfiguration("namespace"),
        name=_CAMERA,
        parameters=[settings, *([file] if file.perform(context) else [])],
        extra_arguments=[{"use_intra_process_comms": True}],
    )
    container = ComposableNodeContainer(
        package="rclcpp_components",
        executable="component_container",
        namespace=LaunchConfiguration("namespace"),
        name="libcaer_driver_container",
        composable_node_descriptions=[driver],
        output="screen",
    )
    return [container]
