"""rehdr calibrate-time: the time offset between events and frames, from what both saw."""

import argparse
import csv
import json
from dataclasses import asdict
from typing import Any

import numpy as np

from rehdr_ros.alignment import Collected, TimeOffset, collect_pairs, estimate_time_offset
from rehdr_ros.alignment.overlay import before_after, curve
from rehdr_ros.alignment.windows import windows
from rehdr_ros.cli.arguments import folder, number
from rehdr_ros.cli.comparison import grid_picture
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
from rehdr_ros.reconstruction.config import STAMPS
from rehdr_ros.reconstruction.response import Response
from rehdr_ros.reconstruction.voxel_input import registration_of
from rehdr_ros.recordings import write_png

_SHOWN = 3  # pairs of frames in the picture


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_recording_options(parser)
    add = parser.add_argument_group("search").add_argument
    reach, exposure, count = number(above=0, most=10), number(least=0, below=10), number(int, least=1)
    add("--range", type=reach, default=0.1, metavar="S", help="on both sides of event_time_offset, s")
    add("--exposure", type=exposure, metavar="S", help="exposure time; default: as each frame has it")
    add("--pairs", type=count, default=40, metavar="N", help="most pairs of frames, spread over it all")
    pictures = "for curve.csv, curve.png and before_after.png"
    add("-o", "--output", type=folder, metavar="FOLDER", help=pictures)
    add("--json", action="store_true", help="print one JSON object")
    add_pipeline_options(parser, ALIGNMENT)


def run(args: argparse.Namespace) -> None:
    config, recording = pipeline_config(args), open_source(args)
    cameras = config.registration == "camera_info"
    messages = selected_messages(args, recording, cameras)
    messages = progress(messages, "reading", unit="message")
    collected = collect_pairs(messages, recording.event_size, config, args.range, args.exposure, args.pairs)
    present = config.event_time_offset
    found = estimate_time_offset(
        collected.pairs, present, args.range, lambda o: progress(o, "comparing", len(o), "offset")
    )
    figures = {**_figures(found, collected), "sources": recording.sources(cameras).figures()}
    text = _text(found, collected, args.stamp_is, source_rows(recording, cameras))
    print(json.dumps(figures) if args.json else text, flush=True)
    if args.output:
        _write(args, recording, config, collected, found)


def _figures(found: TimeOffset, collected: Collected) -> dict[str, Any]:
    figures = {k: v for k, v in asdict(found).items() if k not in ("offsets", "scores")}
    curve = {"offsets": found.offsets.tolist(), "scores": found.scores.tolist()}
    known = {"sure": found.sure, "exposure": collected.exposure, "hot_pixels": collected.hot_pixels}
    return {"event_time_offset": figures.pop("offset"), **figures, **known, "curve": curve}


def _text(found: TimeOffset, collected: Collected, stamp_is: str, sources: list[str]) -> str:
    offset = round(found.offset, 4) + 0.0  # not -0.0
    present, spread = f"{1e3 * found.present:+.1f} ms", f"{1e3 * found.uncertainty:.1f} ms"
    lines = [
        f"event_time_offset: {offset:.4f}",
        *sources,
        f"  that is     {1e3 * offset:+.1f} ms, +- {spread} (two standard deviations)",
        f"  score       {found.present_score:.2f} at present ({present}), {found.score:.2f} there",
        f"  from        {found.pairs} pairs of frames, {found.pixels} pixels that tell the time",
    ]
    if collected.hot_pixels:
        lines.append(f"  hot pixels  {collected.hot_pixels}, left out")
    if found.contrast:
        lines.append(f"  contrast    {found.contrast:.2f}, the event camera's threshold in log units")
    if collected.exposure is None:
        lines.append("  exposure    unknown: add half the exposure time to the offset, or give --exposure")
    else:
        lines.append(f"  exposure    {1e3 * collected.exposure:.1f} ms; a frame's stamp is its {stamp_is}")
    lines.append("sure" if found.sure else f"unsure: {'; '.join(found.doubts)}")
    return "\n".join(lines)


def _write(
    args: argparse.Namespace, recording, config: PipelineConfig, collected: Collected, found: TimeOffset
) -> None:
    output = args.output
    output.mkdir(parents=True, exist_ok=True)
    with writing(output / "curve.csv"), open(output / "curve.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("event_time_offset", "score"))
        table.writerows((round(x, 6), round(y, 5)) for x, y in zip(found.offsets, found.scores, strict=True))
    write_png(output / "curve.png", curve(found))
    # The events of whole frames are too many to keep all along: they are read anew.
    pairs = collected.pairs
    chosen = {pairs[k].index for k in np.linspace(0, len(pairs) - 1, min(_SHOWN, len(pairs))).astype(int)}
    offsets = found.present, found.offset
    reach = round((max(map(abs, offsets)) + config.max_frame_gap) * 1e9)
    gap = round(config.max_frame_gap * 1e9)
    messages = selected_messages(args, recording, cameras=False)
    messages = progress(messages, "reading for the picture", unit="message")
    response, rows = Response(config.response, config.white_level), []
    size, clock = recording.event_size, config.frame_clock
    for window in windows(messages, size, clock, chosen.__contains__, (reach, reach), gap):
        image = window.second.image
        cameras = [collected.cameras.get(of) for of in ("events", "frames")]
        registration = registration_of(config, window.event_size, image.shape[1::-1], *cameras)
        exposure = window.second.exposure_time_s if args.exposure is None else args.exposure
        until_middle = (0.5 - STAMPS[config.stamp_is]) * (exposure or 0.0)
        rows.append(before_after(window, offsets, registration, until_middle, response.white(image.dtype)))
    times = (round(1e3 * offset, 1) + 0.0 for offset in offsets)  # not -0.0
    titles = [f"{name}: {time:+.1f} ms" for name, time in zip(("at present", "found"), times, strict=True)]
    write_png(output / "before_after.png", grid_picture(rows, titles))
