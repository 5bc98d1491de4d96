"""A live run as a folder of results, as `rehdr reconstruct` leaves one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rehdr_ros.products import NAMED, PRODUCTS, published
from rehdr_ros.reconstruction.event_model import Fit
from rehdr_ros.recordings import BagRecording
from rehdr_ros.recordings.results.folder import ResultWriter

INFO_TOPIC = "/rehdr_node/frame_info"
_COUNTERS = ("events", "dropped_events", "late_events", "lost_packets", "skipped_frames")
_FRACTIONS = ("clipped_fraction", "tonemapped_clipped_fraction", "state_age", "event_latency", *Fit._fields)


def write_live_results(bag_in: Path, bag_out: Path, folder: Path) -> Iterator[None]:
    """The frames that went in and what the node made of them, frame by frame, yielding after each.

    bag_in, bag_out: of a LiveRun. Raises ValueError where the streams don't hold the same frames.
    """
    out = BagRecording(bag_out)
    streams = {each: out.frames(f"/{each.topic}") for each in published(PRODUCTS) if f"/{each.topic}" in out.topics}
    streams[NAMED["ldr"]] = BagRecording(bag_in).frames()
    with ResultWriter(folder) as results:
        for info, *frames in zip(out.read(INFO_TOPIC), *streams.values(), strict=True):
            stamps = {frame.stamp_ns for frame in frames}
            if len(stamps) > 1:
                raise ValueError(f"the streams of {bag_in} and {bag_out} don't hold the same frames")
            shown = {product: frame.image for product, frame in zip(streams, frames, strict=True)}
            results.write(shown, _row(info, *stamps))
            yield


def _row(info: Any, stamp_ns: int) -> dict:
    durations = zip(info.stages, info.stage_durations, strict=True)
    return {
        "index": int(info.index),
        "stamp_ns": stamp_ns,
        **{name: int(getattr(info, name)) for name in _COUNTERS},
        **{name: round(float(getattr(info, name)), 6) for name in _FRACTIONS},
        "reset_reason": info.reset_reason,
        "latency_ms": round(1e3 * float(info.latency), 3),
        **{f"{name}_ms": round(1e3 * float(seconds), 3) for name, seconds in durations},
    }
