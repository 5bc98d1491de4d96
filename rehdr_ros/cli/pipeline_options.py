"""The options that verbs share with the node's parameters."""

import argparse

from rehdr_ros.reconstruction import PipelineConfig

_HELP = {
    "weights": "a shipped name, or a .safetensors or published .pth file",
    "device": "auto, cpu, cuda or cuda:N",
    "precision": "auto, float32, bfloat16 or float16",
    "response": "the camera's response: a power, or a file that tabulates it",
    "tonemap": "reinhard, mulaw or gamma",
    "registration": "of events to frames: scale (same optics, any resolution), identity, homography or camera_info",
    "event_roi": "registration=scale: what the frames show of the event image, px: x y width height",
    "homography": "registration=homography: 9 numbers, row by row, from event to frame pixels",
    "hot_pixel_filter": "leave out event pixels that fire whatever they see",
    "hot_pixel_threshold": "rate against the neighbours' from which a pixel counts as hot",
    "frame_clock": "clock that the frames are stamped in: host or sensor",
    "event_time_offset": "added to the events' time, s",
    "max_frame_gap": "longest interruption that keeps the hidden state, s",
    "buffer_megabytes": "memory for waiting events",
}


def add_pipeline_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("pipeline")
    defaults = PipelineConfig()
    for name, text in _HELP.items():
        option, default = "--" + name.replace("_", "-"), getattr(defaults, name)
        if isinstance(default, bool):
            group.add_argument(option, action="store_true", help=text)
        elif isinstance(default, tuple):
            kind, count = _LISTS[name]
            group.add_argument(option, type=kind, nargs=count, default=default, metavar="N", help=text)
        else:
            kind = float if isinstance(default, float) and name != "response" else str
            group.add_argument(option, type=kind, default=default, help=text)


_LISTS = {"event_roi": (int, 4), "homography": (float, 9)}


def pipeline_config(args: argparse.Namespace) -> PipelineConfig:
    """Offline every frame counts: policy all."""
    values = {name: getattr(args, name) for name in _HELP}
    return PipelineConfig(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}, policy="all")
