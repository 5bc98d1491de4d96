"""ROS in this process."""

import rclpy
from rclpy.signals import SignalHandlerOptions

from rehdr_ros.errors import InputError, one_line
from rehdr_ros.node.transport import use_large_shared_memory


def start_ros(
    arguments: list[str] | None = None, signals: SignalHandlerOptions = SignalHandlerOptions.NO
) -> None:
    """Initialise rclpy, with shared memory that holds images. arguments: by default the process's.

    Raises InputError for what ROS refuses: arguments, a parameter file, a log folder that can't be written.
    """
    use_large_shared_memory()
    try:
        rclpy.init(args=arguments, signal_handler_options=signals)
    except RuntimeError as error:
        rclpy.try_shutdown()
        kind = type(error).__name__.removesuffix("RCLError")  # the others' texts do not say what they mean
        raise InputError(f"cannot start ROS: {kind} {one_line(error)}".replace("  ", " ")) from None
