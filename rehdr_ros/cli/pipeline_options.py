"""The options that verbs share with the node's parameters."""

import argparse

from rehdr_ros.reconstruction import PipelineConfig

_HELP = {
    "weights": "a shipped name, or a .safetensors or published .pth file",
    "device": "auto, cpu, cuda or cuda:N",
    "precision": "auto, float32, bfloat16 or float16",
    "response": "the camera's response: a power, or a file that tabulates it",
    "tonemap": "reinhard, mulaw or gamma",
    "frame_clock": "clock that the frames are stamped in: host or sensor",
    "event_time_offset": "added to the events' time, s",
    "max_frame_gap": "longest interruption that keeps the hidden state, s",
    "buffer_megabytes": "memory for waiting events",
}


def add_pipeline_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("pipeline")
    defaults = PipelineConfig()
    for name, text in _HELP.items():
        default = getattr(defaults, name)
        kind = float if isinstance(default, float) and name != "response" else str
        group.add_argument("--" + name.replace("_", "-"), type=kind, default=default, help=text)


def pipeline_config(args: argparse.Namespace) -> PipelineConfig:
    """Offline every frame counts: policy all."""
    return PipelineConfig(**{name: getattr(args, name) for name in _HELP}, policy="all")
