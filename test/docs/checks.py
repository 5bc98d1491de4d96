"""What a documented command must fulfil, program by program, without being run.

Run for real are `rehdr`, `rehdr_node`, `ffprobe` and Python programs: test_documented_commands.py. The others
change the machine (apt, pip, docker, make) or are not where these tests run (ros2, rviz2, colcon, trtexec).
"""

import argparse
import ast
import re
import runpy
from collections.abc import Callable
from configparser import ConfigParser
from dataclasses import dataclass, fields
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import yaml
from documents import ROOT

from rehdr_ros.cli import VERBS

Words = tuple[str, ...]
# Of packages that are not ours, as their documentation names them.
LAUNCH_FILES = {
    "foxglove_bridge": "foxglove_bridge_launch.xml",
    "metavision_driver": "driver_composition.launch.py",
}
PROGRAMS = {"rqt_image_view", "rqt_plot", "rqt_runtime_monitor", "rqt_reconfigure"}
APT = {"metavision-driver", "libcaer-driver", "foxglove-bridge"}
OUTSIDE = {"cvvdp"}  # of PyPI, in an environment of its own
TRANSITIONS = ("configure", "activate", "deactivate", "cleanup", "shutdown")

REMAPPED = {
    "events": "/event_camera/events",
    "image_raw": "/camera/image_raw",
    "camera_info": "/camera/camera_info",
    "event_camera_info": "/event_camera/camera_info",
    "exposure": "/camera/exposure",
}


@dataclass(frozen=True)
class Interface:
    """What the node has, with the topics of rehdr.launch.py: types by name; and which are reliable."""

    publishers: dict[str, list[str]]
    subscriptions: dict[str, list[str]]
    services: dict[str, list[str]]
    reliable: dict[str, bool]

    @property
    def topics(self) -> set[str]:
        return {*self.publishers, *self.subscriptions, "/clock"}


def check(words: Words, interface: Interface) -> None:
    """Fail unless the command is known and fits the code."""
    program = Path(words[0]).name
    assert program in CHECKS, f"{program}: nobody knows this command; see test/docs/checks.py"
    CHECKS[program](words[1:], interface)


def _rehdr(words: Words, interface: Interface) -> None:
    if words[:1] == ("--help",):
        return
    assert words and words[0] in VERBS, f"rehdr has no verb {words[:1]}"
    if words[1:] == ("--help",):
        return
    try:
        options_of(words[0]).parse_args(words[1:])
    except SystemExit:
        raise AssertionError(f"rehdr {words[0]} does not take this") from None


def options_of(verb: str) -> argparse.ArgumentParser:
    """What `rehdr VERB` takes."""
    parser = argparse.ArgumentParser(f"rehdr {verb}")
    import_module(f"rehdr_ros.cli.verbs.{verb.replace('-', '_')}").add_arguments(parser)
    return parser


def _rehdr_node(words: Words, interface: Interface) -> None:
    assert words[0] == "--ros-args"
    options = list(zip(words[1::2], words[2::2], strict=True))
    for option, value in options:
        name, sign, wanted = value.partition(":=")
        assert sign and option in ("-p", "-r"), value
        if option == "-p":
            accepts(name, yaml.safe_load(wanted))
        else:
            assert wanted in interface.topics, f"{wanted} is no topic"


def _make(words: Words, interface: Interface) -> None:
    text = (ROOT / "Makefile").read_text()
    known = text + (ROOT / "tools" / "setup_venv.py").read_text()
    for word in words:
        name, sign, _ = word.partition("=")
        assert name in known if sign else re.search(rf"^{name}:", text, re.MULTILINE), f"make has no {word}"


def _python(words: Words, interface: Interface) -> None:
    if words[0] == "-c":
        ast.parse(words[1])
    elif words[:2] == ("-m", "pip"):
        _pip(words[2:], interface)
    elif words[:2] == ("-m", "pytest"):
        assert all((ROOT / word).exists() for word in words[2:] if "/" in word), words
    elif words[0] == "-m" and words[1].startswith("rehdr_ros."):
        assert find_spec(words[1]), f"{words[1]} does not exist"
    elif words[0] != "-m":
        assert (ROOT / words[0]).is_file(), f"{words[0]} does not exist"
    else:
        assert words[1] == "venv", words


def _pip(words: Words, interface: Interface) -> None:
    assert words[0] == "install"
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    asked = {setup["options"]["install_requires"], *setup["options.extras_require"].values()}
    known = {"numpy", ".", *OUTSIDE, *re.sub(r">=[\d.]+", "", " ".join(asked)).split()}
    values = {word for option, word in zip(words, words[1:], strict=False) if option == "--extra-index-url"}
    packages = [word.split("==")[0] for word in words[1:] if not word.startswith("-") and word not in values]
    assert set(packages) <= known, set(packages) - known


def _sudo(words: Words, interface: Interface) -> None:
    assert words[:2] == ("apt", "install")
    for word in words[2:]:
        assert word.removeprefix("ros-$ROS_DISTRO-") in APT, f"{word}: looked up by nobody"


def _docker(words: Words, interface: Interface) -> None:
    text = (ROOT / "Dockerfile").read_text()
    for option, value in zip(words, words[1:], strict=False):
        if option == "--build-arg":
            assert re.search(rf"^ARG {value.split('=')[0]}=", text, re.MULTILINE), value
    if words[0] == "run" and "ros2" in words:
        _ros2(words[words.index("ros2") + 1 :], interface)
    assert words[0] in ("build", "run")


def _rviz2(words: Words, interface: Interface) -> None:
    _is_shared(words[1])


def _export(words: Words, interface: Interface) -> None:
    for word in words:
        name, sign, value = word.partition("=")
        assert sign and name.isupper(), word
        _is_shared(value)


def _is_shared(value: str) -> None:
    """A file that is said to lie in the shared folder must be one of ours."""
    assert not value.startswith("SHARE/") or (ROOT / value.removeprefix("SHARE/")).is_file(), value


def _ros2(words: Words, interface: Interface) -> None:
    assert words[0] in _ROS2, f"ros2 {words[0]}: nobody knows this command; see test/docs/checks.py"
    _ROS2[words[0]](words[1:], interface)


def _launch(words: Words, interface: Interface) -> None:
    package, file, *given = [word for word in words if word != "-s"]
    if package != "rehdr_ros":
        assert LAUNCH_FILES[package] == file
        return
    assert (ROOT / "launch" / file).is_file(), file
    known = set(launch_arguments("rehdr")) | set(launch_arguments(file.split(".")[0]))
    for word in given:
        name, sign, value = word.partition(":=")
        assert sign and name in known, f"{file} has no argument {name}"
        if name == "parameters":
            for parameter, wanted in yaml.safe_load(f"{{{value}}}").items():
                accepts(parameter, wanted)


def _run(words: Words, interface: Interface) -> None:
    package, program, *given = words
    if package == "rehdr_ros":
        CHECKS[program](tuple(given), interface)
        return
    assert package == program and program in PROGRAMS, words
    for word in given:
        _is_topic_or_field(word, interface)


def _topic(words: Words, interface: Interface) -> None:
    verb, *given = words
    assert verb in ("echo", "hz", "bw", "info", "pub", "list", "delay"), verb
    names = [word for word in given if word.startswith("/")]
    assert verb == "list" or len(names) == 1
    _are_topics(names, interface)
    if verb == "pub":
        message = yaml.safe_load(given[-1])
        assert given[-2] in interface.subscriptions[names[0]] and message.keys() <= message_fields(given[-2])
    if "--field" in given:
        assert given[given.index("--field") + 1] in message_fields(interface.publishers[names[0]][0])


def _bag(words: Words, interface: Interface) -> None:
    assert words[0] in ("record", "play", "info")
    _are_topics([word for word in words if word.startswith("/")], interface)


def _param(words: Words, interface: Interface) -> None:
    verb, node, *given = words
    assert verb in ("set", "get", "describe", "list", "dump") and node == "/rehdr_node"
    if verb == "set":
        accepts(given[0], yaml.safe_load(given[1]), running=True)
    elif given:
        has_parameter(given[0])


def _service(words: Words, interface: Interface) -> None:
    assert words[0] == "call" and words[2] in interface.services[words[1]]


def _lifecycle(words: Words, interface: Interface) -> None:
    assert words[1] == "/rehdr_node" and words[0] in ("get", "set", "list")
    assert words[0] != "set" or words[2] in TRANSITIONS


def _node(words: Words, interface: Interface) -> None:
    assert words in (("info", "/rehdr_node"), ("list",))


def _interface(words: Words, interface: Interface) -> None:
    package, kind, name = words[1].split("/")
    assert words[0] == "show" and package == "rehdr_ros" and (ROOT / kind / f"{name}.msg").is_file()


def _security(words: Words, interface: Interface) -> None:
    assert words[0] in ("create_keystore", "create_enclave", "create_permission")


def _nothing(words: Words, interface: Interface) -> None:
    """Nothing of ours is in it."""


_ROS2: dict[str, Callable[[Words, Interface], None]] = {
    "launch": _launch,
    "run": _run,
    "topic": _topic,
    "bag": _bag,
    "param": _param,
    "service": _service,
    "lifecycle": _lifecycle,
    "node": _node,
    "interface": _interface,
    "security": _security,
}
CHECKS: dict[str, Callable[[Words, Interface], None]] = {
    "rehdr": _rehdr,
    "rehdr_node": _rehdr_node,
    "make": _make,
    "python": _python,
    "python3": _python,
    "pip": _pip,
    "sudo": _sudo,
    "docker": _docker,
    "export": _export,
    "ros2": _ros2,
    "rviz2": _rviz2,
    "ffprobe": _nothing,
    "rosdep": _nothing,
    "colcon": _nothing,
    "source": _nothing,
    "touch": _nothing,
    "trtexec": _nothing,
    "cvvdp": _nothing,
}


def accepts(name: str, value: object, running: bool = False) -> None:
    """Fail unless the node has the parameter and takes the value; running: while it does."""
    from rclpy.parameter import Parameter

    from rehdr_ros.node.parameters import Parameters, changed_by

    has_parameter(name)
    homography = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    now = Parameters(homography=homography) if value == "homography" else Parameters()
    changed_by([Parameter(name, value=value)], now, running)


def has_parameter(name: str) -> None:
    """Fail unless the node has it."""
    from rehdr_ros.node.parameters import Parameters

    assert name in {each.name for each in fields(Parameters)}, f"the node has no parameter {name}"


def launch_arguments(name: str) -> dict[str, str]:
    return generated()["launch_arguments"](name)


@cache
def generated() -> dict:
    """What is in tools/generate_parameters.py."""
    return runpy.run_path(str(ROOT / "tools" / "generate_parameters.py"))


def message_fields(kind: str) -> set[str]:
    """The names of the fields of one of our messages."""
    package, _, name = kind.split("/")
    assert package == "rehdr_ros", kind
    return set(re.findall(r"^[\w/\[\]]+ +(\w+)", (ROOT / "msg" / f"{name}.msg").read_text(), re.MULTILINE))


def _are_topics(names: list[str], interface: Interface) -> None:
    unknown = set(names) - interface.topics
    assert not unknown, f"no topics of the node's: {unknown}"


def _is_topic_or_field(word: str, interface: Interface) -> None:
    topic, _, field = word.rpartition("/")
    if word not in interface.topics:
        assert topic in interface.publishers, f"{word} is no topic, and no field of one"
        assert field in message_fields(interface.publishers[topic][0]), f"{topic} has no {field}"
