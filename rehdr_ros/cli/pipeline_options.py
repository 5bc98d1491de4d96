"""The options that verbs share with the node's parameters."""

import argparse
from collections.abc import Collection

from rehdr_ros.cli.config_options import add_options, option_values
from rehdr_ros.reconstruction import PipelineConfig

# Offline frames wait for their events, and every one counts; which pictures there are is the verb's business.
_LIVE_ONLY = ("event_timeout", "output_timeout", "policy", "event_image")

# What decides which events belong to a frame, and where.
ALIGNMENT = ("registration", "event_roi", "homography", "hot_pixel_threshold", "response", "white_level")
ALIGNMENT += ("frame_clock", "event_time_offset", "stamp_is", "max_frame_gap")


def add_pipeline_options(
    parser: argparse.ArgumentParser, only: Collection[str] | None = None, without: Collection[str] = ()
) -> None:
    """Of all settings but those `without`, or only of these."""
    add_options(parser.add_argument_group("pipeline"), PipelineConfig, only, {*_LIVE_ONLY, *without})


def pipeline_config(args: argparse.Namespace) -> PipelineConfig:
    """Offline every frame counts: policy all."""
    return PipelineConfig(**option_values(args, PipelineConfig), policy="all")
