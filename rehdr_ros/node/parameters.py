"""The node's parameters: one typed object, declared from itself."""

from dataclasses import dataclass, field, fields

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.node import Node

from rehdr_ros.reconstruction import PipelineConfig

HDR_ENCODINGS = ("32FC3", "32FC1")
TONEMAPPED_ENCODINGS = ("rgb8", "bgr8", "mono8")

DESCRIPTIONS = {
    "weights": "shipped name (rehdr_t), or path of a .safetensors or a published .pth checkpoint",
    "device": "auto, cpu, cuda or cuda:N",
    "precision": "auto, float32, bfloat16 or float16",
    "response": "camera response: a power as text (2.2), or a file that tabulates it",
    "tonemap": "reinhard, mulaw or gamma",
    "frame_clock": "clock that stamps the frames: host, or sensor (the event camera's own)",
    "event_time_offset": "added to the events' time, s",
    "event_timeout": "longest wait of a frame for its events, s",
    "max_frame_gap": "longest interruption that keeps the hidden state, s",
    "policy": "latest: skip frames under load, their events join the next; all: keep every frame",
    "buffer_megabytes": "memory for waiting events, 10^6 bytes",
    "expected_size": "width and height: warm up for this size at configure",
    "hdr_encoding": "32FC3 (RGB), or 32FC1 (luminance)",
    "tonemapped_encoding": "rgb8, bgr8 or mono8",
    "events_depth": "depth of the events subscription's queue, packets",
    "image_depth": "depth of the image subscription's queue, frames",
    "autostart": "configure and activate at start",
}


@dataclass(frozen=True)
class Parameters(PipelineConfig):
    """Every parameter of rehdr_node with its default; config/rehdr.yaml lists the same.

    Raises ValueError for a value that the node can't work with.
    """

    response: str = "2.2"
    expected_size: tuple[int, ...] = field(default=())
    hdr_encoding: str = "32FC3"
    tonemapped_encoding: str = "rgb8"
    events_depth: int = 1000
    image_depth: int = 10
    autostart: bool = True

    def __post_init__(self):
        _require(self.hdr_encoding in HDR_ENCODINGS, "hdr_encoding", self.hdr_encoding, HDR_ENCODINGS)
        _require(
            self.tonemapped_encoding in TONEMAPPED_ENCODINGS,
            "tonemapped_encoding",
            self.tonemapped_encoding,
            TONEMAPPED_ENCODINGS,
        )
        size = self.expected_size
        _require(
            len(size) in (0, 2) and all(v > 0 for v in size),
            "expected_size",
            list(size),
            ("[]", "[width, height]"),
        )
        for name in ("events_depth", "image_depth"):
            _require(getattr(self, name) > 0, name, getattr(self, name), ("a positive number",))


def _require(holds: bool, name: str, value, allowed) -> None:
    if not holds:
        raise ValueError(f"parameter {name}={value!r}: use {' or '.join(allowed)}")


def declare(node: Node) -> None:
    """Declare every parameter, with its default and description."""
    for parameter in fields(Parameters):
        default = parameter.default
        descriptor = ParameterDescriptor(description=DESCRIPTIONS[parameter.name])
        if parameter.name in ("response", "expected_size"):
            # A file may write 2.2 without quotes, and an empty list has no type.
            descriptor.dynamic_typing = True
        node.declare_parameter(parameter.name, list(default) if isinstance(default, tuple) else default, descriptor)


def read(node: Node) -> Parameters:
    """The parameters as they are now. Raises ValueError for a value of the wrong type or out of range."""
    try:
        values = {p.name: node.get_parameter(p.name).value for p in fields(Parameters)}
    except InvalidParameterTypeException as error:
        raise ValueError(str(error)) from error
    values["response"] = str(values["response"])
    try:
        values["expected_size"] = tuple(int(v) for v in values["expected_size"] or ())
    except TypeError:
        raise ValueError(f"parameter expected_size={values['expected_size']!r}: use [] or [width, height]") from None
    return Parameters(**values)
