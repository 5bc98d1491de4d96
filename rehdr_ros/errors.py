"""What users can mend, and what they can't."""

from importlib.util import find_spec

# By the name that is imported: what pip calls it.
_PIP_NAMES = {
    **{name: name for name in ("av", "dv_processing", "numba", "onnx", "onnxruntime", "onnxscript", "OpenEXR")},
    **{name: name for name in ("openvino", "rosbags", "tensorboard", "torch", "tqdm")},
    "cv2": "opencv-python-headless",
    "yaml": "PyYAML",
}


class InputError(ValueError):
    """Wrong usage or input; the message is one line that says what, where and what to do."""


class Failure(RuntimeError):
    """The work itself failed; the message is one line."""


def missing_package(error: ModuleNotFoundError) -> InputError | None:
    """What to tell where an import failed for a package that is not installed, or too old; None for any other."""
    name = _PIP_NAMES.get((error.name or "").partition(".")[0])
    return name and InputError(f"{error}: `pip install {name}` brings it; docs/install.md tells of your distribution")


def require_ros() -> None:
    """Raise InputError where there is no ROS 2 for this interpreter, or not this package's messages."""
    for module in ("rclpy", "rehdr_ros.msg", "event_camera_msgs"):
        if find_spec(module) is None:
            raise InputError(f"this needs ROS 2, and {module} is not installed: run `make setup`, or build with colcon")
