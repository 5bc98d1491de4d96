"""The settings of the core: the node's parameters and the options of the command have the same names."""

import math
from dataclasses import dataclass

from rehdr_ros.errors import InputError
from rehdr_ros.network.engines.choice import ENGINES
from rehdr_ros.reconstruction.tonemap import ToneMapper
from rehdr_ros.reconstruction.voxel_input import VoxelConfig
from rehdr_ros.settings import setting

STAMPS = {"start": 0.0, "middle": 0.5, "end": 1.0}
"""What frames' stamps may mean, as the share of the exposure that has passed."""

_LONGEST_LATENCY = 1.0  # s
_DURATION = {"unit": "s", "least": 0, "most": 3600}


@dataclass(frozen=True)
class PipelineConfig(VoxelConfig):
    """How to reconstruct."""

    weights: str = setting(
        "rehdr_s",
        "shipped name (rehdr_t, rehdr_s), or path of a .safetensors or a published .pth checkpoint",
        fixed=True,
        group="network",
    )
    device: str = setting("auto", "auto (the GPU where there is one), cpu, cuda or cuda:N", fixed=True)
    precision: str = setting(
        "auto",
        "of the network: auto (what the device computes natively), float32, bfloat16 or float16",
        choices=("auto", "float32", "bfloat16", "float16"),
        fixed=True,
    )
    fallback: str = setting(
        "auto",
        "when the device is out of memory: auto (16-bit precision, then the CPU), or none (frames are lost)",
        choices=("auto", "none"),
        fixed=True,
    )
    engine: str = setting(
        "auto",
        "what runs the network: auto (the fastest of what is installed, once it is compiled) or pytorch "
        "(nothing else); live it is compiled at configure for expected_size, else in the background after 20 "
        "frames",
        choices=ENGINES,
        fixed=True,
    )
    response: float | str = setting(
        2.2,
        "camera response: a power, or a file that tabulates it (display value -> linear)",
        group="pictures",
    )
    white_level: int = setting(
        0,
        "value at which 16-bit images saturate, e.g. 4095 for 12-bit cameras; 0: 65535",
        least=0,
        most=65535,
    )
    tonemap: str = setting(
        "reinhard",
        "reinhard (steady exposure), highlights (the frame as the camera shows it, with detail where it "
        "clips: for SLAM and detectors), local (detail everywhere), mulaw (the paper's), gamma (clips at "
        "white)",
        choices=ToneMapper.OPERATORS,
    )
    deblur: bool = setting(
        False,
        "show the middle of each frame's exposure, without its motion blur, where the events explain it",
    )
    event_image: bool = setting(
        False,
        "picture of each frame's events over the frame, to check their alignment: event_image/image_raw",
    )
    frame_clock: str = setting(
        "host",
        "clock that stamps the frames: host, or sensor (the event camera's own, as on a DAVIS)",
        choices=("host", "sensor"),
        fixed=True,
        group="time",
    )
    event_time_offset: float = setting(0.0, "added to the events' time", unit="s", least=-3600, most=3600)
    event_latency: float | str = setting(
        "auto",
        "how late events come, taken off their time; auto: measured while the stream runs, at most 0.06",
        unit="s",
    )
    stamp_is: str = setting(
        "start",
        "what a frame's stamp is of its exposure, where the exposure time is known: start, middle or end",
        choices=tuple(STAMPS),
    )
    event_timeout: float = setting(0.1, "longest wait of a frame for its events", **_DURATION)
    max_frame_gap: float = setting(
        1.0, "longest interruption between two frames that keeps the hidden state", **_DURATION
    )
    output_rate: float = setting(
        0.0,
        "outputs at regular stamps, carried on by events from the last frame; 0: one output a frame",
        unit="Hz",
        least=0,
        most=1000,
        fixed=True,
        group="between frames",
    )
    output_timeout: float = setting(
        0.005,
        "longest wait of an output between frames for its events and for a frame that is being reconstructed",
        **_DURATION,
    )
    policy: str = setting(
        "latest",
        "latest: skip frames under load, their events join the next frame's; all: keep every frame (up to 64 "
        "may wait)",
        choices=("latest", "all"),
        group="load",
    )
    buffer_megabytes: float = setting(
        256.0,
        "memory for events that wait for their frame",
        unit="10^6 bytes",
        least=0.001,
        most=1e6,
        fixed=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fixed_latency is not None and not abs(self.fixed_latency) <= _LONGEST_LATENCY:
            raise InputError(f"event_latency={self.event_latency!r}: auto, or a number from -1 to 1")

    @property
    def ring_megabytes(self) -> float:
        """Of one buffer of events; outputs between the frames have one of their own."""
        return self.buffer_megabytes / (2 if self.output_rate else 1)

    @property
    def fixed_latency(self) -> float | None:
        """event_latency in s, None where it is to be measured."""
        if self.event_latency == "auto":
            return None
        try:
            return float(self.event_latency)
        except ValueError:
            return math.nan
