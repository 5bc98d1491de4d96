"""rehdr calibrate-events: clock offset, latency, thresholds and noise of events, as the node's parameters."""

import argparse
import json
import math
from dataclasses import replace
from typing import Any

from rehdr_ros.alignment import NoPairs, TimeOffset, collect_pairs, estimate_time_offset
from rehdr_ros.alignment.event_calibration import EventCalibration, calibrate_events
from rehdr_ros.cli.arguments import new_file, number
from rehdr_ros.cli.pipeline_options import ALIGNMENT, add_pipeline_options, pipeline_config
from rehdr_ros.cli.progress import progress
from rehdr_ros.cli.recording_options import (
    add_recording_options,
    open_source,
    selected_messages,
    source_rows,
)
from rehdr_ros.errors import writing
from rehdr_ros.reconstruction import PipelineConfig
from rehdr_ros.settings import changed

_CLOCKS = 0.03  # s: no pixel is later; what is more is the clocks', and goes into event_time_offset
_POOR = 0.25  # share of the change explained
_PAIRS = 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_recording_options(parser)
    add, reach = parser.add_argument_group("search").add_argument, number(above=0, most=10)
    add("--range", type=reach, default=0.1, metavar="S", help="of the clocks, around event_time_offset")
    add("-o", "--output", type=new_file, metavar="FILE", help="YAML of parameters for the node (params_file)")
    add("--json", action="store_true", help="print one JSON object")
    add_pipeline_options(parser, ALIGNMENT)


def run(args: argparse.Namespace) -> None:
    config, recording = pipeline_config(args), open_source(args)
    cameras = config.registration == "camera_info"

    def messages():
        return progress(selected_messages(args, recording, cameras), "reading", unit="message")

    clocks = _clocks(messages(), recording.event_size, config, args.range)
    if clocks is not None and clocks.sure and abs(clocks.offset - config.event_time_offset) > _CLOCKS:
        config = replace(config, event_time_offset=round(clocks.offset, 4))
    found = calibrate_events(messages(), recording.event_size, config)
    figures = _figures(found, clocks, config)
    told = {**figures, "sources": recording.sources(cameras).figures()}
    lines = _lines(figures, source_rows(recording, cameras))
    print(json.dumps(told) if args.json else "\n".join(lines), flush=True)
    if args.output:
        with writing(args.output):
            args.output.write_text(_yaml(figures, config, args.input, lines), encoding="utf-8")


def _clocks(messages, event_size, config: PipelineConfig, reach: float) -> TimeOffset | None:
    """As rehdr calibrate-time finds it; None where too few pixels are well exposed for that."""
    try:
        pairs = collect_pairs(messages, event_size, config, reach, most=_PAIRS).pairs
    except NoPairs:
        return None
    return estimate_time_offset(pairs, config.event_time_offset, reach)


def _figures(found: EventCalibration, clocks: TimeOffset | None, config: PipelineConfig) -> dict[str, Any]:
    measured = found.measured
    doubts = ["no two frames that follow each other"] if measured is None else list(measured.doubts)
    known = {} if measured is None else measured._asdict()

    def figure(name: str) -> float | None:
        value = known.get(name)
        return value if value is not None and math.isfinite(value) else None

    names = ("uncertainty", "score", "sure", "doubts")
    by_time = None
    if clocks is not None:
        by_time = {"event_time_offset": clocks.offset} | {name: getattr(clocks, name) for name in names}
    return {
        "event_time_offset": config.event_time_offset,
        "event_latency": figure("latency"),
        "uncertainty": figure("deviation") and 2 * figure("deviation"),
        "explained": figure("explained"),
        "predicted": figure("predicted"),
        "contrast_on": figure("on"),
        "contrast_off": figure("off"),
        "event_noise": figure("noise"),
        "pairs": round(known.get("pairs", 0)),
        "pixels": round(known.get("pixels", 0)),
        "exposure_known": found.exposed,
        "stamp_is": config.stamp_is,
        "sure": not doubts,
        "doubts": doubts,
        "causes": _causes(known.get("explained", 0.0), doubts, found.exposed, clocks),
        "calibrate_time": by_time,
    }


def _causes(explained: float, doubts: list[str], exposed: bool, clocks: TimeOffset | None) -> list[str]:
    """What a poor fit may come from, the likeliest first."""
    if explained >= _POOR and not doubts:
        return []
    causes = []
    if doubts:
        causes.append("too little motion or too short a recording")
        if clocks is None or not clocks.sure:
            causes.append("clocks further apart than --range, or frame_clock")
    causes += ["registration", "response: values that are linear need --response 1"]
    if not exposed:
        causes.append("long exposures that the recording doesn't tell")
    return causes


def _lines(figures: dict[str, Any], sources: list[str]) -> list[str]:
    def shown(name: str, digits: int = 2) -> str:
        return "unknown" if figures[name] is None else f"{figures[name]:.{digits}f}"

    lines = [f"event_time_offset: {figures['event_time_offset']:.4f}", *sources]
    if figures["event_latency"] is None:
        lines.append("event_latency: auto")
    else:
        latency, spread = figures["event_latency"], figures["uncertainty"] or math.inf
        lines += [
            f"event_latency: {latency:.4f}" if figures["sure"] else "event_latency: auto",
            f"  that is     {1e3 * latency:+.1f} ms, +- {1e3 * spread:.1f} ms (two standard deviations)",
        ]
    lines += [
        f"  explained   {shown('explained')} of the frames' change, "
        f"{shown('predicted')} by what earlier frames told",
        f"  thresholds  ON {shown('contrast_on')}, OFF {shown('contrast_off')}, log units",
        f"  noise       {shown('event_noise', 3)}, variance that an event adds, squared log units",
        f"  from        {figures['pairs']} pairs of frames, {figures['pixels']} pixels with events",
    ]
    if not figures["exposure_known"]:
        lines.append("  exposure    unknown: the latency leads to its middle")
    clocks = figures["calibrate_time"]
    if clocks is None:
        lines.append("  clocks      too few pixels are well exposed for calibrate-time")
    else:
        sure = "sure" if clocks["sure"] else f"unsure: {'; '.join(clocks['doubts'])}"
        offset = 1e3 * clocks["event_time_offset"]
        lines.append(f"  clocks      calibrate-time finds {offset:+.1f} ms, {sure}")
    lines.append("sure" if figures["sure"] else f"unsure: {'; '.join(figures['doubts'])}")
    if figures["causes"]:
        lines.append(f"likely causes: {'; '.join(figures['causes'])}")
    return lines


def _yaml(figures: dict[str, Any], config: PipelineConfig, recording: str, lines: list[str]) -> str:
    """Parameters of the node, with those that it was measured by; what it measures itself stands beside."""
    comments = [f"# rehdr calibrate-events {recording}", *(f"# {line}" for line in lines)]
    latency = f"{figures['event_latency']:.4f}" if figures["sure"] else "auto"
    parameters = {
        "event_time_offset": f"{figures['event_time_offset']:.4f}",
        "event_latency": latency,
        "stamp_is": figures["stamp_is"],
    }
    for name in sorted(changed(PipelineConfig(), config) & set(ALIGNMENT) - parameters.keys()):
        parameters[name] = json.dumps(getattr(config, name))
    body = ["/**:", "  ros__parameters:", *(f"    {name}: {value}" for name, value in parameters.items())]
    return "\n".join([*comments, *body]) + "\n"
