"""rehdr benchmark: figures of this machine, each beside a plain reference measured in the same run."""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from rehdr_ros.cli import plain_numpy
from rehdr_ros.events import Events, Packet, Registration, make_decoder, make_encoder, voxel_grid
from rehdr_ros.network import Rehdr, RehdrConfig
from rehdr_ros.reconstruction import HdrPipeline, PipelineConfig
from rehdr_ros.reconstruction.reconstructor import PRECISIONS, pick_device, pick_precision
from rehdr_ros.recordings import BagRecording
from rehdr_ros.simulation import SimulationConfig, simulate

Figures = dict[str, dict[str, float]]
_SIZES = ((346, 260), (640, 480))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=sorted(_BENCHMARKS))
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repeat", type=int, default=7, help="measurements, of which the median counts")
    parser.add_argument(
        "--recordings",
        default=os.path.join(os.environ.get("REHDR_SHARED", "../shared"), "data", "bags"),
        help="for events and voxels: folder of recorded bags",
    )
    parser.add_argument("--weights", default="rehdr_t", help="for node: a shipped name or a file")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")


def run(args: argparse.Namespace) -> None:
    figures = _BENCHMARKS[args.what](args)
    result = {"benchmark": args.what, "machine": _machine(args), "figures": figures}
    if args.json:
        print(json.dumps(result))
        return
    print(result["machine"])
    for name, values in figures.items():
        print(f"{name:34}" + "".join(f"  {key} {value:<10.4g}" for key, value in values.items()))


def _events(args: argparse.Namespace) -> Figures:
    """Decoding, Mevents/s, against vectorised NumPy; recordings in the packets that they came in, and in one."""
    streams: dict[str, tuple[list[Packet], Callable[[Packet], Events]]] = {}
    for name, reference in _RECORDED.items():
        path = Path(args.recordings) / name
        if not path.exists():
            print(f"{path} is missing: left out", file=sys.stderr)
            continue
        packets = list(BagRecording(path).packets())
        streams[f"{packets[0].encoding}, recorded"] = packets, reference
        if packets[0].encoding == "evt3":  # the others begin anew in every packet
            data = b"".join(bytes(packet.data) for packet in packets)
            streams["evt3, recorded, in one packet"] = [replace(packets[0], data=data)], reference
    for name, events in (("single events", _random_events(300_000)), ("dense vectors", _dense_events())):
        streams[f"evt3, {name}"] = [make_encoder("evt3", 640, 480).encode(events)], plain_numpy.decode_evt3
    streams["evt2"] = [make_encoder("evt2", 640, 480).encode(_random_events(300_000))], plain_numpy.decode_evt2

    figures = {}
    for name, (packets, reference) in streams.items():
        decoder = make_decoder(packets[0].encoding, packets[0].width, packets[0].height)
        count = sum(len(decoder.decode(packet)) for packet in packets)
        ours, plain = _pair(
            lambda packets=packets, decoder=decoder: [decoder.decode(packet) for packet in packets],
            lambda packets=packets, reference=reference: [reference(packet) for packet in packets],
            args.repeat,
        )
        figures[name] = {"mevents_per_s": count / ours / 1e6, "ratio_to_numpy": plain / ours}
    return figures


_RECORDED = {
    "evt3_640x480": plain_numpy.decode_evt3,
    "libcaer_640x480_rollover": plain_numpy.decode_libcaer,
    "libcaer_cmp_346x260": plain_numpy.decode_libcaer_cmp,
}


def _voxels(args: argparse.Namespace) -> Figures:
    """1 M events into 5x480x640, Mevents/s, against np.bincount; with registration, against the grid without."""
    shape = (5, 480, 640)
    out = np.zeros(shape, np.float32)
    tables = {
        "with a look-up table": Registration.identity((640, 480)),
        "rotated by 6 degrees": Registration.from_homography((640, 480), (640, 480), _rotation(0.1)),
    }
    figures = {}
    for name, events in _voxel_inputs(args).items():
        t0, t1 = int(events.t[0]) - 1, int(events.t[-1])
        ours, plain = _pair(
            lambda e=events, a=t0, b=t1: voxel_grid(e, a, b, *shape, out=out),
            lambda e=events, a=t0, b=t1: plain_numpy.voxel_grid(e, a, b, *shape),
            args.repeat,
        )
        figures[name] = {"mevents_per_s": len(events) / ours / 1e6, "ratio_to_numpy": plain / ours}
        for label, table in tables.items():
            registered, without = _pair(
                lambda e=events, a=t0, b=t1, r=table: voxel_grid(e, a, b, *shape, out=out, registration=r),
                lambda e=events, a=t0, b=t1: voxel_grid(e, a, b, *shape, out=out),
                args.repeat,
            )
            figures[f"{name}, {label}"] = {
                "mevents_per_s": len(events) / registered / 1e6,
                "added_cost": registered / without - 1,
            }
    return figures


def _voxel_inputs(args: argparse.Namespace) -> dict[str, Events]:
    inputs = {"1 M random events": _random_events(1_000_000)}
    path = Path(args.recordings) / "evt3_640x480"
    if path.exists():
        decoder = make_decoder("evt3", 640, 480)
        events = Events.concatenate(map(decoder.decode, BagRecording(path).packets()))
        repeats = 1_000_000 // len(events) + 1
        columns = [np.tile(getattr(events, name), repeats)[:1_000_000] for name in "xyp"]
        inputs["1 M recorded events"] = Events(np.linspace(0, 2e8, 1_000_000), *columns)
    return inputs


def _rotation(angle: float) -> np.ndarray:
    """Homography of a turn about the middle of 640x480."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 320 - 320 * c + 240 * s], [s, c, 240 - 320 * s - 240 * c], [0, 0, 1]])


def _network(args: argparse.Namespace) -> Figures:
    """One step with its state, ms, against eager float32 NCHW."""
    device = pick_device(args.device)
    precision = pick_precision("auto", device)
    figures = {}
    for base, name in ((8, "rehdr_t"), (16, "rehdr_s")):
        network = Rehdr(RehdrConfig(base_channels=base)).eval().to(device)
        for width, height in _SIZES:
            plain = _step_seconds(network.float().to(memory_format=torch.contiguous_format), width, height, args)
            fast = network.to(dtype=PRECISIONS[precision], memory_format=torch.channels_last)
            ours = _step_seconds(fast, width, height, args)
            figures[f"{name} {width}x{height} {precision}"] = {"ms": ours * 1e3, "ratio_to_float32": plain / ours}
    return figures


def _node(args: argparse.Namespace) -> Figures:
    """The pipeline from packets and frames to radiance and tone-mapped images, ms a frame by stage; no ROS."""
    config = PipelineConfig(policy="all", weights=args.weights, device=args.device)
    pipeline = HdrPipeline(config)
    pipeline.warm_up(346, 260)
    encoder = make_encoder("evt3", 346, 260)
    durations: dict[str, list[float]] = {}
    for sample in simulate(SimulationConfig(seconds=2.0, fps=10.0)):
        if len(sample.events):
            pipeline.add_packet(encoder.encode(sample.events))
        pipeline.add_frame(sample.stamp_ns, sample.ldr)
        for frame in pipeline.take(flush=True):
            for stage, seconds in frame.info.durations.items():
                durations.setdefault(stage, []).append(seconds)
    stages = {stage: 1e3 * statistics.median(values) for stage, values in durations.items()}
    whole = sum(stages.values())
    figures = {f"346x260 {stage}": {"ms": ms, "share": ms / whole} for stage, ms in stages.items()}
    own = whole - stages["network"]
    return figures | {"346x260 all but the network": {"ms": own, "ratio_to_network": own / stages["network"]}}


_BENCHMARKS = {"events": _events, "voxels": _voxels, "network": _network, "node": _node}


@torch.inference_mode()
def _step_seconds(network: Rehdr, width: int, height: int, args: argparse.Namespace) -> float:
    device = next(network.parameters()).device
    ldr = torch.rand(1, 3, height, width, device=device)
    voxel = torch.randn(1, network.config.bins, height, width, device=device)
    _, state = network(ldr, voxel)

    def step() -> None:
        network(ldr, voxel, state)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return _seconds(step, args.repeat)


def _seconds(function: Callable[[], object], repeat: int) -> float:
    """Median duration after one run that doesn't count."""
    function()
    return statistics.median(_duration(function) for _ in range(repeat))


def _pair(ours: Callable[[], object], reference: Callable[[], object], repeat: int) -> tuple[float, float]:
    """Median durations of both, taken in turn, so that a machine whose speed drifts does no wrong to either."""
    ours(), reference()
    durations = [(_duration(ours), _duration(reference)) for _ in range(repeat)]
    return tuple(map(statistics.median, zip(*durations, strict=True)))


def _duration(function: Callable[[], object]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def _random_events(count: int) -> Events:
    rng = np.random.default_rng(0)
    t = np.sort(rng.integers(0, 200_000, count)) * 1000
    return Events(t, rng.integers(0, 640, count), rng.integers(0, 480, count), rng.integers(0, 2, count))


def _dense_events() -> Events:
    """Whole rows that fire at once, as edges do: what evt3's vectors are for."""
    x = np.tile(np.arange(600), 1000)
    t = np.repeat(np.arange(1000) * 20_000, 600)
    return Events(t, x, np.repeat(np.arange(1000) % 480, 600), np.ones(len(x)))


def _machine(args: argparse.Namespace) -> str:
    device = pick_device(args.device)
    model = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return f"{model}, {os.cpu_count()} CPU cores, torch {torch.__version__} with {torch.get_num_threads()} threads"


def _processor() -> str:
    name = torch.cpu.get_capabilities().get("cpu_name") if hasattr(torch.cpu, "get_capabilities") else None
    return str(name or platform.processor() or platform.machine())
