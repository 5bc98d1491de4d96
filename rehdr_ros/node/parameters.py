"""The node's parameters: one typed object, declared from itself."""

import math
from collections.abc import Sequence
from dataclasses import Field, dataclass, fields, replace
from difflib import get_close_matches

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter

from rehdr_ros.errors import InputError
from rehdr_ros.reconstruction import PipelineConfig
from rehdr_ros.settings import changed, setting

QOS_OVERRIDES = "qos_overrides"  # what ROS' standard overrides of an endpoint's QoS begin with


@dataclass(frozen=True)
class Parameters(PipelineConfig):
    """Every parameter of rehdr_node with its default; config/rehdr.yaml lists the same.

    Raises ValueError for a value that the node can't work with.
    """

    response: str = setting("2.2", "camera response: a power as text, or a file that tabulates it (display -> linear)")
    event_latency: str = setting(
        "auto", "how late events come, s as text: taken off their time; auto: measured, at most 0.06"
    )
    expected_size: tuple[int, ...] = setting((), "width and height: warm up for this size at configure", fixed=True)
    hdr_encoding: str = setting("32FC3", "32FC3 (linear RGB) or 32FC1 (luminance)", choices=("32FC3", "32FC1"))
    tonemapped_encoding: str = setting("rgb8", "rgb8, bgr8 or mono8", choices=("rgb8", "bgr8", "mono8"))
    jpeg_quality: int = setting(95, "of tonemapped/image_raw/compressed: 1 (small) to 100 (good)", least=1, most=100)
    image_transport: str = setting(
        "raw",
        "of the frames: raw, or compressed (JPEG or PNG on IMAGE/compressed)",
        choices=("raw", "compressed"),
        fixed=True,
    )
    events_type: str = setting(
        "event_camera_msgs",
        "type of the events' messages: event_camera_msgs (EventPacket) or dvs_msgs (EventArray)",
        choices=("event_camera_msgs", "dvs_msgs"),
        fixed=True,
    )
    input_reliability: str = setting(
        "best_effort",
        "of the subscriptions: best_effort, or reliable (without loss, from reliable publishers only)",
        choices=("best_effort", "reliable"),
        fixed=True,
    )
    events_depth: int = setting(
        1000, "depth of the events subscription's queue, packets", least=1, most=100_000, fixed=True
    )
    image_depth: int = setting(10, "depth of the image subscription's queue, frames", least=1, most=10_000, fixed=True)
    lazy: bool = setting(False, "subscribe and work only while somebody subscribes to an output")
    latency_budget: float = setting(0.0, "latency of a frame from which to warn, s; 0: none", least=0, most=3600)
    input_timeout: float = setting(2.0, "silence of an input from which diagnostics complain, s", least=0.1, most=3600)
    loss_warn: float = setting(0.01, "share of packets or frames lost from which diagnostics warn", least=0, most=1)
    loss_error: float = setting(0.2, "share of packets or frames lost that is an error", least=0, most=1)
    autostart: bool = setting(
        True, "configure and activate at start; false leaves that to a lifecycle manager", fixed=True
    )

    def __post_init__(self):
        super().__post_init__()
        if len(self.expected_size) not in (0, 2) or not all(v > 0 for v in self.expected_size):
            raise InputError(f"expected_size={list(self.expected_size)}: use [width, height], or []")
        if self.loss_warn > self.loss_error:
            raise InputError(f"loss_warn={self.loss_warn}: must be at most loss_error, {self.loss_error}")


def declare(node: Node) -> None:
    """Declare every parameter, with its default, description and range. Raises ValueError for a value out of range."""
    for each in fields(Parameters):
        default = list(each.default) if isinstance(each.default, tuple) else each.default
        try:
            node.declare_parameter(each.name, default, _descriptor(each))
        except ParameterException as error:
            raise InputError(str(error)) from error


def read(node: Node) -> Parameters:
    """The parameters as they are now. Raises ValueError for a value of the wrong type or out of range."""
    return Parameters(**{f.name: _typed(f, node.get_parameter(f.name).value) for f in fields(Parameters)})


def unknown(node: Node) -> dict[str, str]:
    """What the node was given and has not declared, which has no effect: the most similar name that it has, or "".

    Names of `qos_overrides` are known once the node has its publishers.
    """
    overrides = (f"{QOS_OVERRIDES}.{name}" for name in node.get_parameters_by_prefix(QOS_OVERRIDES))
    known = [*(f.name for f in fields(Parameters)), "use_sim_time", *overrides]
    given = node._parameter_overrides  # noqa: SLF001 - rclpy shows them nowhere else
    return {name: "".join(get_close_matches(name, known, 1)) for name in given if not node.has_parameter(name)}


def changed_by(given: Sequence[Parameter], now: Parameters, configured: bool) -> Parameters:
    """What the parameters would be. Raises ValueError for a value that is wrong, or that can't change now.

    configured: the node is, and its fixed parameters can't change before it has been cleaned up.
    """
    known = {f.name: f for f in fields(Parameters)}
    values = {p.name: _typed(known[p.name], p.value) for p in given if p.name in known}
    new = replace(now, **values)
    fixed = sorted(name for name in changed(now, new) if known[name].metadata["fixed"])
    if fixed and configured:
        raise InputError(f"{', '.join(fixed)}: can't change while the node is configured; clean it up first")
    return new


def _descriptor(each: Field) -> ParameterDescriptor:
    about = each.metadata
    descriptor = ParameterDescriptor(
        description=about["text"],
        # A file may write 2.2 without quotes, 1 for 1.0, and an empty list has no type: read() sees to the types.
        dynamic_typing=True,
        additional_constraints="changes only while the node is unconfigured" if about["fixed"] else "",
        read_only=each.name == "autostart",
    )
    least, most = about["least"], about["most"]
    if least is not None and isinstance(each.default, int):
        descriptor.integer_range = [IntegerRange(from_value=int(least), to_value=int(most))]
    elif least is not None:
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=float(least), to_value=math.inf if most is None else float(most))
        ]
    return descriptor


def _typed(each: Field, value):
    """The value in the type of the default; whole numbers do for numbers, and numbers for what is text or a number."""
    name, default = each.name, each.default
    if name in ("response", "event_latency") and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if isinstance(default, tuple):
        values = () if value is None else value
        kind = float if name == "homography" else int
        if not isinstance(values, Sequence) or not all(isinstance(v, (kind, int)) for v in values):
            raise InputError(
                f"{name}={value!r}: use a list of {'numbers' if kind is float else 'whole numbers'}, or []"
            )
        return tuple(map(kind, values))
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if type(value) is not type(default):
        raise InputError(f"{name}={value!r}: use {_KINDS[type(default)]}")
    return value


_KINDS = {str: "a text", float: "a number", int: "a whole number", bool: "true or false"}
