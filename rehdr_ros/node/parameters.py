"""The node's parameters: one typed object, declared from itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node

from rehdr_ros.errors import InputError
from rehdr_ros.reconstruction import PipelineConfig

HDR_ENCODINGS = ("32FC3", "32FC1")
TONEMAPPED_ENCODINGS = ("rgb8", "bgr8", "mono8")

DESCRIPTIONS = {
    "weights": "shipped name (rehdr_t), or path of a .safetensors or a published .pth checkpoint",
    "device": "auto, cpu, cuda or cuda:N",
    "precision": "auto, float32, bfloat16 or float16",
    "response": "camera response: a power as text (2.2), or a file that tabulates it",
    "tonemap": "reinhard, mulaw or gamma",
    "registration": "of events to frames: scale (same optics, any resolution), identity, homography or camera_info",
    "event_roi": "registration=scale: what the frames show of the event image: x, y, width, height, px; []: all",
    "homography": "registration=homography: 9 numbers, row by row, from event to frame pixels",
    "hot_pixel_filter": "leave out event pixels that fire whatever they see",
    "hot_pixel_threshold": "rate against the neighbours' from which a pixel counts as hot",
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
        super().__post_init__()
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
        raise InputError(f"parameter {name}={value!r}: use {' or '.join(allowed)}")


def declare(node: Node) -> None:
    """Declare every parameter, with its default and description; a change takes effect at the next configure."""
    for parameter in fields(Parameters):
        default = parameter.default
        # A file may write 2.2 without quotes, 1 for 1.0, and an empty list has no type: read() sees to the types.
        descriptor = ParameterDescriptor(description=DESCRIPTIONS[parameter.name], dynamic_typing=True)
        node.declare_parameter(parameter.name, list(default) if isinstance(default, tuple) else default, descriptor)


def read(node: Node) -> Parameters:
    """The parameters as they are now. Raises ValueError for a value of the wrong type or out of range."""
    return Parameters(
        **{p.name: _typed(p.name, p.default, node.get_parameter(p.name).value) for p in fields(Parameters)}
    )


def _typed(name: str, default, value):
    """The value in the type of the default; whole numbers do for numbers, and numbers for the response."""
    if name == "response" and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if isinstance(default, tuple):
        values = () if value is None else value
        kind = float if name == "homography" else int
        fits = isinstance(values, Sequence) and all(isinstance(v, (kind, int)) for v in values)
        _require(fits, name, value, ("[]", f"a list of {'numbers' if kind is float else 'whole numbers'}"))
        return tuple(map(kind, values))
    if isinstance(default, float) and type(value) is int:
        return float(value)
    _require(type(value) is type(default), name, value, (_KINDS[type(default)],))
    return value


_KINDS = {str: "a text", float: "a number", int: "a whole number", bool: "true or false"}
