"""rehdr benchmark node: what the node does with a frame, stage by stage."""

import argparse
import statistics
import time
from collections.abc import Iterator

import numpy as np

from rehdr_ros.cli.arguments import size
from rehdr_ros.cli.timing import Figures
from rehdr_ros.events import Events, Packet, make_encoder
from rehdr_ros.reconstruction import HdrPipeline, PipelineConfig
from rehdr_ros.recordings.image_message import pack_image
from rehdr_ros.simulation import SimulationConfig, simulate
from rehdr_ros.simulation.simulator import Sample

_FPS = 30.0
_SECONDS = 1.0
_PACKET_NS = 1_000_000  # what a driver puts into one packet
_IMAGES = {"radiance": "32FC3", "tonemapped": "rgb8"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--weights", default="rehdr_t", help="for node: a shipped name or a file")
    parser.add_argument("--size", type=size, default="346x260", help="for node: of frames and events, WIDTHxHEIGHT")
    parser.add_argument("--rate", type=_rate, default=5.0, help="for node: Mevents/s; below it noise is added")


def node(args: argparse.Namespace) -> Figures:
    """From packets and frames to the bytes of both images, ms a frame by stage, 30 frames a second; no DDS."""
    pipeline = HdrPipeline(PipelineConfig(policy="all", weights=args.weights, device=args.device))
    pipeline.warm_up(args.size)
    durations: dict[str, list[float]] = {}
    events = []
    for sample, packets in _stream(*args.size, args.rate):
        started = time.perf_counter()
        for packet in packets:
            pipeline.add_packet(packet)
        pipeline.add_frame(sample.stamp_ns, sample.ldr)
        (frame,) = pipeline.take(flush=True)
        packing = time.perf_counter()
        for image, encoding in _IMAGES.items():
            pack_image(getattr(frame, image), encoding)
        ended = time.perf_counter()
        stages = frame.info.durations | {"pack": ended - packing}
        events.append(frame.info.events)
        for stage, seconds in {**stages, "between": ended - started - sum(stages.values())}.items():
            durations.setdefault(stage, []).append(seconds)
    medians = {stage: 1e3 * statistics.median(values[1:]) for stage, values in durations.items()}
    whole = sum(medians.values())
    own = whole - medians["network"]
    name = f"{args.size[0]}x{args.size[1]}"
    figures = {f"{name} {stage}": {"ms": ms, "share": ms / whole} for stage, ms in medians.items()}
    figures[f"{name} all but the network"] = {"ms": own, "ratio_to_network": own / medians["network"]}
    figures[f"{name} events"] = {"a_frame": statistics.median(events[1:])}
    return figures


def _stream(width: int, height: int, rate: float) -> Iterator[tuple[Sample, list[Packet]]]:
    """A simulated scene with noise up to the rate, by frame."""
    encoder, rng, previous = make_encoder("evt3", width, height), np.random.default_rng(0), 0
    for sample in simulate(SimulationConfig(width=width, height=height, seconds=_SECONDS, fps=_FPS)):
        wanted = round(rate * 1e-3 * (sample.stamp_ns - previous))
        events = _padded(sample.events, wanted, previous, sample.stamp_ns, width, height, rng)
        borders = np.searchsorted(events.t, np.arange(previous, sample.stamp_ns, _PACKET_NS)[1:])
        parts = [events[start:end] for start, end in zip([0, *borders], [*borders, len(events)], strict=True)]
        yield sample, [encoder.encode(part, int(part.t[0])) for part in parts if len(part)]
        previous = sample.stamp_ns


def _padded(events: Events, wanted: int, t0: int, t1: int, width: int, height: int, rng: np.random.Generator) -> Events:
    """The events with random ones among them, in order of time."""
    count = max(0, wanted - len(events))
    times = rng.integers(t0, t1, count)
    noise = Events(times, rng.integers(0, width, count), rng.integers(0, height, count), rng.integers(0, 2, count))
    both = Events.concatenate([events, noise])
    return both[np.argsort(both.t, kind="stable")]


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 <= rate <= 1000:
        raise argparse.ArgumentTypeError(f"{text} Mevents/s")
    return rate
