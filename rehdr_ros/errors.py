"""What users can mend, and what they can't."""

import re
from importlib.util import find_spec

_SOURCE = re.compile(r",? at /\S+:\d+")  # where in the sources of ROS' libraries


class InputError(ValueError):
    """Wrong usage or input; the message is one line that says what, where and what to do."""


class Failure(RuntimeError):
    """The work itself failed; the message is one line."""


def one_line(error: BaseException) -> str:
    """What an exception says, for a log: without line breaks, and without the places in ROS' sources where it arose.

    With the exception's name where its text is not meant for users.
    """
    text, name = _SOURCE.sub("", " ".join(str(error).split())), type(error).__name__
    if text and isinstance(error, ValueError | OSError | RuntimeError):
        return text
    return f"{name}: {text}" if text else name


def require_ros() -> None:
    """Raise InputError where there is no ROS 2 for this interpreter, or not this package's messages."""
    for module in ("rclpy", "rehdr_ros.msg", "event_camera_msgs"):
        if find_spec(module) is None:
            raise InputError(f"this needs ROS 2, and {module} is not installed: run `make setup`, or build with colcon")
