"""The options that verbs share with the node's parameters."""

import argparse
from collections.abc import Collection
from dataclasses import fields

from rehdr_ros.reconstruction import PipelineConfig

# Offline frames wait for their events, and every one counts; which pictures there are is the verb's business.
_LIVE_ONLY = {"event_timeout", "policy", "event_image"}
_TEXTS = ("response", "event_latency")  # or numbers
_LISTS = {"event_roi": (int, 4), "homography": (float, 9)}


def add_pipeline_options(parser: argparse.ArgumentParser, only: Collection[str] | None = None) -> None:
    """Of all settings, or only of these."""
    group = parser.add_argument_group("pipeline")
    for setting in _settings():
        if only is not None and setting.name not in only:
            continue
        option, default = "--" + setting.name.replace("_", "-"), setting.default
        about = {"default": default, "help": setting.metadata["text"]}
        if isinstance(default, bool):
            group.add_argument(option, action="store_true", **about)
        elif isinstance(default, tuple):
            kind, count = _LISTS[setting.name]
            group.add_argument(option, type=kind, nargs=count, metavar="N", **about)
        else:
            group.add_argument(option, type=str if setting.name in _TEXTS else type(default), **about)


def pipeline_config(args: argparse.Namespace) -> PipelineConfig:
    """Offline every frame counts: policy all."""
    values = {setting.name: getattr(args, setting.name) for setting in _settings() if setting.name in args}
    return PipelineConfig(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}, policy="all")


def _settings() -> list:
    return [setting for setting in fields(PipelineConfig) if setting.name not in _LIVE_ONLY]
