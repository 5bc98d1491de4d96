"""A live run as a folder of results, as `rehdr reconstruct` leaves one."""

from collections.abc import Iterator
from pathlib import Path

from rehdr_ros.cli.frame_results import row_of
from rehdr_ros.products import NAMED, PRODUCTS, published
from rehdr_ros.reconstruction.frame_info import Fit
from rehdr_ros.recordings import BagRecording
from rehdr_ros.recordings.results.folder import ResultWriter

INFO_TOPIC = "/rehdr_node/frame_info"


def write_live_results(bag_in: Path, bag_out: Path, folder: Path) -> Iterator[None]:
    """The frames that went in and what the node made of them, frame by frame, yielding after each.

    bag_in, bag_out: of a LiveRun. Raises ValueError where the streams don't hold the same frames.
    """
    out = BagRecording(bag_out)
    streams = {p: out.frames(f"/{p.topic}") for p in published(PRODUCTS) if f"/{p.topic}" in out.topics}
    streams[NAMED["ldr"]] = BagRecording(bag_in).frames()
    with ResultWriter(folder) as results:
        for info, *frames in zip(out.read(INFO_TOPIC), *streams.values(), strict=True):
            stamps = {frame.stamp_ns for frame in frames}
            if len(stamps) > 1:
                raise ValueError(f"the streams of {bag_in} and {bag_out} don't hold the same frames")
            shown = {product: frame.image for product, frame in zip(streams, frames, strict=True)}
            fit = Fit(*(getattr(info, name) for name in Fit._fields))
            durations = dict(zip(info.stages, info.stage_durations, strict=True))
            results.write(shown, row_of(info, *stamps, fit, {"latency": info.latency, **durations}))
            yield
