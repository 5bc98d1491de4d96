"""What users can mend, and what they can't."""

from importlib.util import find_spec


class InputError(ValueError):
    """Wrong usage or input; the message is one line that says what, where and what to do."""


class Failure(RuntimeError):
    """The work itself failed; the message is one line."""


def require_ros() -> None:
    """Raise InputError where there is no ROS 2 for this interpreter, or not this package's messages."""
    for module in ("rclpy", "rehdr_ros.msg", "event_camera_msgs"):
        if find_spec(module) is None:
            raise InputError(f"this needs ROS 2, and {module} is not installed: run `make setup`, or build with colcon")
