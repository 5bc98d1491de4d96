"""rehdr benchmark node: what the node does with a frame, stage by stage."""

import argparse
import logging
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from rehdr_ros.cli.arguments import number, size
from rehdr_ros.cli.benchmarks.network import make_network
from rehdr_ros.cli.benchmarks.timing import Figures, duration
from rehdr_ros.events import Events, Packet, make_encoder
from rehdr_ros.network import save_checkpoint
from rehdr_ros.node.complaints import Complaints
from rehdr_ros.node.worker import Worker
from rehdr_ros.products import NAMED
from rehdr_ros.reconstruction import FrameInfo, HdrFrame, HdrPipeline, PipelineConfig
from rehdr_ros.reconstruction.clipping import CLIPPED_LEVEL
from rehdr_ros.simulation import SimulationConfig, simulate
from rehdr_ros.simulation.simulator import Sample
from rehdr_ros.wire.compressed_image import encode_jpeg
from rehdr_ros.wire.image import pack_image

_PACKET_NS = 1_000_000  # what a driver puts into one packet
_LEAST_CLIPPED = 1e-6  # share, of the simulator
_QUALITY = 95  # the node's jpeg_quality
_IN_TIME = 0.02  # s
_IMAGES = NAMED["hdr"], NAMED["tonemapped"]

Stream = list[tuple[Sample, list[Packet]]]  # by frame: it, and the packets that go before it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add, rate = parser.add_argument, number(least=0, most=1000)
    add("--weights", default="rehdr_s", help="for node: a shipped name, a file, or rehdr_b, untrained")
    add("--size", type=size, default="346x260", help="for node: of frames and events, WIDTHxHEIGHT")
    add("--rate", type=rate, default=5.0, help="for node: Mevents/s; below it noise is added")
    add("--fps", type=float, default=30.0, help="for node: frames a second")
    share = number(least=0, most=0.9)
    add("--clipped", type=share, default=0.2, help="for node: share of the pixels that clip")
    add("--seconds", type=float, default=1.0, help="for node: length of the stream")
    add("--output-rate", type=rate, default=0.0, help="for node: outputs between the frames too, Hz")


def node(args: argparse.Namespace) -> Figures:
    """From packets and frames to the bytes of both images; no DDS.

    First one frame after the other, ms by stage; then live, at the frame rate asked for, packing beside the
    network as in the node: the frames a second that came out, and their latency from the last message needed.
    With an output rate then the outputs at that rate, live, and how many came within 20 ms of their last
    event.
    """
    with TemporaryDirectory() as folder:
        weights = _weights(args.weights, Path(folder))
        runs = {name: getattr(args, name) for name in ("device", "engine", "precision")}
        pipeline = HdrPipeline(PipelineConfig(policy="all", weights=weights, **runs))
    pipeline.warm_up(args.size)
    stream = list(simulated_stream(*args.size, args.rate, args.fps, args.seconds, args.clipped))
    name = f"{args.size[0]}x{args.size[1]}"
    medians, jpeg, events = _stages(pipeline, stream)
    whole = sum(medians.values())
    own = whole - medians["network"]
    figures = {f"{name} {stage}": {"ms": ms, "share": ms / whole} for stage, ms in medians.items()}
    figures[f"{name} all but the network"] = {"ms": own, "ratio_to_network": own / medians["network"]}
    figures[f"{name} JPEG, where somebody subscribes to it"] = {"ms": jpeg}
    figures[f"{name} events"] = {"a_frame": events}
    clipped = [(sample.ldr >= CLIPPED_LEVEL).any(-1).mean() for sample, _ in stream]
    figures[f"{name} clipped"] = {"share": float(np.mean(clipped))}
    pipeline.restart("benchmark")
    published = _live(pipeline, stream, args.fps)
    figures[f"{name} live"] = {
        "offered_per_second": args.fps,
        "frames_per_second": (len(published) - 1) / (published[-1].at - published[0].at),
        **_percentiles(published),
    }
    if args.output_rate:
        figures |= _between(pipeline.config, args, stream)
    return figures


def _between(config: PipelineConfig, args: argparse.Namespace, stream: Stream) -> Figures:
    """Live by the node's policy, without outputs between the frames and with them."""
    name, figures = f"{args.size[0]}x{args.size[1]} live, latest", {}
    seconds = (stream[-1][0].stamp_ns - stream[0][0].stamp_ns) * 1e-9
    for rate in (0.0, args.output_rate):
        pipeline = HdrPipeline(replace(config, policy="latest", output_rate=rate))
        pipeline.warm_up(args.size)
        published = _live(pipeline, stream, args.fps)
        values = {**_percentiles(published), "skipped_frames": pipeline.counters["skipped_frames"]}
        if rate:
            in_time = sum(each.latency <= _IN_TIME for each in published) / (rate * seconds)
            values = {"share_in_time": in_time, **values}
            values["skipped_outputs"] = pipeline.counters["skipped_outputs"]
            for stage in ("propagation", "tonemap"):
                durations = [each.info.durations[stage] for each in published]
                values[f"{stage}_ms"] = 1e3 * statistics.median(durations)
        figures[f"{name}, {rate:g} Hz" if rate else name] = values
        pipeline.close()
    return figures


def _weights(name: str, folder: Path) -> str:
    if name != "rehdr_b":
        return name
    save_checkpoint(make_network(name), folder / "rehdr_b.safetensors")
    return str(folder / "rehdr_b.safetensors")


def _stages(pipeline: HdrPipeline, stream: Stream) -> tuple[dict[str, float], float, float]:
    """Median ms of each stage and, beside them, of the JPEG, and events, a frame."""
    durations: dict[str, list[float]] = {}
    events, jpegs, encoding = [], [], NAMED["tonemapped"].encoding
    for sample, packets in stream:
        started = time.perf_counter()
        for packet in packets:
            pipeline.add_packet(packet)
        pipeline.add_frame(sample.stamp_ns, sample.ldr)
        (frame,) = pipeline.take(flush=True)
        packing = time.perf_counter()
        _pack(frame)
        ended = time.perf_counter()
        stages = frame.info.durations | {"pack": ended - packing}
        events.append(frame.info.events)
        jpegs.append(duration(lambda frame=frame: encode_jpeg(frame.tonemapped, encoding, _QUALITY)))
        for stage, seconds in {**stages, "between": ended - started - sum(stages.values())}.items():
            durations.setdefault(stage, []).append(seconds)
    medians = {stage: 1e3 * statistics.median(values[1:]) for stage, values in durations.items()}
    return medians, 1e3 * statistics.median(jpegs[1:]), statistics.median(events[1:])


class _Published(NamedTuple):
    """at: monotonic s."""

    at: float
    info: FrameInfo

    @property
    def latency(self) -> float:
        return self.at - self.info.ready_at


def _live(pipeline: HdrPipeline, stream: Stream, fps: float) -> list[_Published]:
    published = []
    expected = len(stream) - 1
    if pipeline.config.output_rate:  # the last ones have no events behind them
        expected = int((len(stream) - 2) / fps * pipeline.config.output_rate) - 1

    def publish(frame: HdrFrame) -> None:
        _pack(frame)
        published.append(_Published(time.monotonic(), frame.info))

    complaints = Complaints(logging.getLogger("rehdr benchmark"))
    worker = Worker(pipeline, publish, lambda: None, Counter(), complaints)
    started = time.monotonic()
    for k, (sample, packets) in enumerate(stream):
        for i, packet in enumerate(packets, 1):
            time.sleep(max(0.0, started + (k + i / len(packets)) / fps - time.monotonic()))
            pipeline.add_packet(packet)
            worker.wake()
        pipeline.add_frame(sample.stamp_ns, sample.ldr)
        worker.wake()
    left = 2.0 if pipeline.config.policy == "latest" else 60 + 10 * len(stream) / fps
    ended = time.monotonic()
    while len(published) < expected and time.monotonic() - ended < left:
        time.sleep(0.01)  # the last frame has no events behind it, and goes when they are overdue
    worker.stop()
    return published


def _percentiles(published: list[_Published]) -> dict[str, float]:
    latencies = [each.latency for each in published]
    return {
        "latency_ms": 1e3 * statistics.median(latencies),
        "latency_p99_ms": 1e3 * float(np.percentile(latencies, 99)),
    }


def _pack(frame: HdrFrame) -> None:
    for product in _IMAGES:
        pack_image(getattr(frame, product.attribute), product.encoding)


def simulated_stream(
    width: int, height: int, rate: float, fps: float, seconds: float, clipped: float = 0.2
) -> Iterator[tuple[Sample, list[Packet]]]:
    """A simulated scene with noise up to the rate; clipped: a share of the pixels."""
    share = max(clipped, _LEAST_CLIPPED)
    config = SimulationConfig(width=width, height=height, seconds=seconds, fps=fps, clipped=share)
    encoder, rng, previous = make_encoder("evt3", width, height), np.random.default_rng(0), 0
    for sample in simulate(config):
        if not clipped:
            sample = replace(sample, ldr=np.minimum(sample.ldr, CLIPPED_LEVEL - 1))
        wanted = round(rate * 1e-3 * (sample.stamp_ns - previous))
        events = _padded(sample.events, wanted, previous, sample.stamp_ns, width, height, rng)
        borders = np.searchsorted(events.t, np.arange(previous, sample.stamp_ns, _PACKET_NS)[1:])
        parts = [events[start:end] for start, end in zip([0, *borders], [*borders, len(events)], strict=True)]
        yield sample, [encoder.encode(part, int(part.t[0])) for part in parts if len(part)]
        previous = sample.stamp_ns


def _padded(
    events: Events, wanted: int, t0: int, t1: int, width: int, height: int, rng: np.random.Generator
) -> Events:
    """The events with random ones among them, in order of time."""
    count = max(0, wanted - len(events))
    times = rng.integers(t0, t1, count)
    x, y, p = (rng.integers(0, n, count) for n in (width, height, 2))
    both = Events.concatenate([events, Events(times, x, y, p)])
    return both[np.argsort(both.t, kind="stable")]
