"""What users can mend, and what they can't."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from stat import S_IMODE, S_ISREG

_SOURCE = re.compile(r",? at /\S+:\d+")  # where in the sources of ROS' libraries

# By the name that is imported: what pip calls it.
_PIP_NAMES = {
    **{name: name for name in ("av", "lz4", "mcap", "numba", "onnx", "onnxruntime", "onnxscript")},
    **{name: name for name in ("OpenEXR", "openvino", "ray", "rosbags", "tensorboard", "torch", "tqdm")},
    "cv2": "opencv-python-headless",
    "yaml": "PyYAML",
}


class InputError(ValueError):
    """Wrong usage or input; the message is one line that says what, where and what to do."""


class Failure(RuntimeError):
    """The work itself failed; the message is one line."""


def missing_package(error: ModuleNotFoundError) -> InputError | None:
    """What to tell where an import failed for a missing or too old package; None for any other."""
    name = _PIP_NAMES.get((error.name or "").partition(".")[0])
    advice = f"`pip install {name}` brings it; docs/install.md tells of your distribution"
    return name and InputError(f"{error}: {advice}")


def one_line(error: BaseException) -> str:
    """What an exception says, for a log: without line breaks and the places in ROS' sources where it arose.

    With the exception's name where its text is not meant for users.
    """
    text, name = _SOURCE.sub("", " ".join(str(error).split())), type(error).__name__
    if text and isinstance(error, ValueError | OSError | RuntimeError):
        return text
    return f"{name}: {text}" if text else name


@contextmanager
def writing(path: str | Path, *others: type[Exception]) -> Iterator[None]:
    """Name the file in the OSError of a write that fails: Python does so only where one can't be opened.

    others: what a library raises in place of OSError; it becomes one, EIO.
    """
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        raise OSError(error.errno or errno.EIO, error.strerror or one_line(error), str(path)) from None
    except others as error:
        raise OSError(errno.EIO, one_line(error), str(path)) from None


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Where to write a file that takes the place of `path` when it is whole; until then that stays.

    A link goes on leading to it, and its mode stays. What is no file of a folder, as /dev/stdout, is written
    in place. As `writing`, it names the file in OSErrors.
    """
    path = Path(path)
    real = Path(os.path.realpath(path))
    mode = real.stat().st_mode if real.exists() else None
    if mode is not None and not S_ISREG(mode) or path.absolute().is_relative_to("/dev"):
        with writing(path):
            yield path
        return
    part = real.with_name(f"{real.name}.tmp")
    try:
        with writing(part):
            yield part
            if mode is not None:
                part.chmod(S_IMODE(mode))
            part.replace(real)
    finally:
        part.unlink(missing_ok=True)


def is_of_the_machine(error: BaseException) -> bool:
    """Whether an error is neither usage nor input: a full or failing disk."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def exit_code(error: BaseException) -> int:
    """Of a command that ended so: 2 for wrong usage or input, 1 for a failure."""
    is_input = isinstance(error, InputError | OSError) and not is_of_the_machine(error)
    return 2 if is_input else 1


def require_ros() -> None:
    """Raise InputError where there is no ROS 2 for this interpreter, or not this package's messages."""
    for module in ("rclpy", "rehdr_ros.msg", "event_camera_msgs"):
        if find_spec(module) is None:
            advice = "run `make setup`, or build with colcon"
            raise InputError(f"this needs ROS 2, and {module} is not installed: {advice}")
