"""The node's parameters: one typed object, declared from itself."""

import math
from collections.abc import Sequence
from dataclasses import Field, dataclass, field, fields, replace
from difflib import get_close_matches

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter

from rehdr_ros.errors import InputError
from rehdr_ros.reconstruction import PipelineConfig
from rehdr_ros.settings import changed, description, setting, types

READ_ONLY = "autostart"  # what no one can change once the node is there
QOS_OVERRIDES = "qos_overrides"  # what ROS' standard overrides of an endpoint's QoS begin with

_SECONDS, _SHARE = {"unit": "s", "most": 3600}, {"least": 0, "most": 1}
_OF_THE_PIPELINE = {each.name: each.metadata for each in fields(PipelineConfig)}


@dataclass(frozen=True)
class Parameters(PipelineConfig):
    """Every parameter of rehdr_node with its default. A number or a text is a text here: ROS has no unions.

    Raises ValueError for a value that the node can't work with.
    """

    response: float | str = field(default="2.2", metadata=_OF_THE_PIPELINE["response"])
    event_latency: float | str = field(default="auto", metadata=_OF_THE_PIPELINE["event_latency"])
    expected_size: tuple[int, ...] = setting(
        (),
        "width and height of the frames, to warm up for at configure, as [640, 480]; "
        "[]: the first frames are slower",
        lengths=(0, 2),
        least=1,
        fixed=True,
        group="network",
    )
    hdr_encoding: str = setting(
        "32FC3", "32FC3 (linear RGB) or 32FC1 (luminance)", choices=("32FC3", "32FC1"), group="pictures"
    )
    tonemapped_encoding: str = setting("rgb8", "rgb8, bgr8 or mono8", choices=("rgb8", "bgr8", "mono8"))
    jpeg_quality: int = setting(
        95, "of tonemapped/image_raw/compressed: 1 (small) to 100 (good)", least=1, most=100
    )
    image_transport: str = setting(
        "raw",
        "of the frames: raw, or compressed (JPEG or PNG on IMAGE/compressed)",
        choices=("raw", "compressed"),
        fixed=True,
        group="inputs",
    )
    events_type: str = setting(
        "event_camera_msgs",
        "of the events: event_camera_msgs (EventPacket) or dvs_msgs (EventArray, where that package is)",
        choices=("event_camera_msgs", "dvs_msgs"),
        fixed=True,
    )
    input_reliability: str = setting(
        "best_effort",
        "best_effort (from every publisher), or reliable (without loss, from reliable publishers only)",
        choices=("best_effort", "reliable"),
        fixed=True,
    )
    events_depth: int = setting(
        1000, "depth of the events subscription's queue", unit="packets", least=1, most=100_000, fixed=True
    )
    image_depth: int = setting(
        10,
        "depth of the image subscription's queue; with policy=all at least 64",
        unit="frames",
        least=1,
        most=10_000,
        fixed=True,
    )
    lazy: bool = setting(
        False, "subscribe and work only while somebody subscribes to an output", group="load"
    )
    latency_budget: float = setting(
        0.0, "latency of a frame from which to warn; 0: never", least=0, group="diagnostics", **_SECONDS
    )
    input_timeout: float = setting(
        2.0, "silence of an input from which diagnostics complain", least=0.1, **_SECONDS
    )
    loss_warn: float = setting(0.01, "share of packets or frames lost from which diagnostics warn", **_SHARE)
    loss_error: float = setting(0.2, "share of packets or frames lost that is an error", **_SHARE)
    autostart: bool = setting(
        True,
        "configure and activate at start; false leaves that to a lifecycle manager. Fixed at start",
        fixed=True,
        group="lifecycle",
    )

    def __post_init__(self):
        super().__post_init__()
        if self.loss_warn > self.loss_error:
            raise InputError(f"loss_warn={self.loss_warn}: must be at most loss_error, {self.loss_error}")


def declare(node: Node) -> None:
    """Declare every parameter: default, description and range. Raises ValueError for a value out of range."""
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
    """What the node was given and has not declared, without effect: the most similar name that it has, or "".

    Names of `qos_overrides` are known once the node has its publishers.
    """
    overrides = (f"{QOS_OVERRIDES}.{name}" for name in node.get_parameters_by_prefix(QOS_OVERRIDES))
    known = [*(f.name for f in fields(Parameters)), "use_sim_time", *overrides]
    given = node._parameter_overrides  # noqa: SLF001 - rclpy shows them nowhere else
    undeclared = (name for name in given if not node.has_parameter(name))
    return {name: "".join(get_close_matches(name, known, 1)) for name in undeclared}


def changed_by(given: Sequence[Parameter], now: Parameters, configured: bool) -> Parameters:
    """What the parameters would be. Raises ValueError for a value that is wrong, or that can't change now.

    configured: the node is, and its fixed parameters can't change before it has been cleaned up.
    """
    known = {f.name: f for f in fields(Parameters)}
    deleted = [p.name for p in given if p.name in known and p.type_ == Parameter.Type.NOT_SET]
    if deleted:
        raise InputError(f"{', '.join(deleted)}: can't be deleted; set it to its default instead")
    values = {p.name: _typed(known[p.name], p.value) for p in given if p.name in known}
    new = replace(now, **values)
    fixed = sorted(name for name in changed(now, new) if known[name].metadata["fixed"])
    if fixed and configured:
        raise InputError(f"{', '.join(fixed)}: can't change while the node is configured; clean it up first")
    return new


def _descriptor(each: Field) -> ParameterDescriptor:
    about = each.metadata
    descriptor = ParameterDescriptor(
        description=description(each),
        # A file may write 2.2 without quotes, 1 for 1.0, and an empty list has no type: read() sees to that.
        dynamic_typing=True,
        additional_constraints="changes only while the node is unconfigured" if about["fixed"] else "",
        read_only=each.name == READ_ONLY,
    )
    least, most = about["least"], about["most"]
    if least is not None and isinstance(each.default, int):
        descriptor.integer_range = [IntegerRange(from_value=int(least), to_value=int(most))]
    elif least is not None and isinstance(each.default, float):
        bounds = {"from_value": float(least), "to_value": math.inf if most is None else float(most)}
        descriptor.floating_point_range = [FloatingPointRange(**bounds)]
    return descriptor


def _typed(each: Field, value):
    """The value, numbers in the parameter's type: whole ones do for any, and any for what may be a text."""
    kinds = types(Parameters)[each.name]

    def typed(item):
        if float not in kinds or isinstance(item, bool) or not isinstance(item, int | float):
            return item
        return str(item) if str in kinds else float(item)

    if not isinstance(each.default, tuple):
        return typed(value)
    values = () if value is None else value
    return tuple(map(typed, values)) if isinstance(values, Sequence) else values
