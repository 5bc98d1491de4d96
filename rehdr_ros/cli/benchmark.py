"""rehdr benchmark: figures of this machine, each beside a plain reference measured in the same run."""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from rehdr_ros.events import Events, Packet, make_decoder, make_encoder, voxel_grid
from rehdr_ros.network import Rehdr, RehdrConfig
from rehdr_ros.reconstruction import HdrPipeline, PipelineConfig
from rehdr_ros.reconstruction.reconstructor import PRECISIONS, pick_device, pick_precision
from rehdr_ros.simulation import SimulationConfig, simulate

Figures = dict[str, dict[str, float]]
_SIZES = ((346, 260), (640, 480))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=sorted(_BENCHMARKS))
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repeat", type=int, default=7, help="measurements, of which the median counts")
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
    """Decoding of evt3, Mevents/s, against a vectorised NumPy decoder."""
    figures = {}
    for name, events in (("evt3, single events", _random_events(300_000)), ("evt3, dense rows", _dense_events())):
        packet = make_encoder("evt3", 640, 480).encode(events)
        ours = _seconds(lambda p=packet: make_decoder("evt3", 640, 480).decode(p), args.repeat)
        plain = _seconds(lambda p=packet: _plain_evt3(p), args.repeat)
        figures[name] = {"mevents_per_s": len(events) / ours / 1e6, "ratio_to_numpy": plain / ours}
    return figures


def _voxels(args: argparse.Namespace) -> Figures:
    """1 M events into 5x480x640, Mevents/s, against np.bincount."""
    events = _random_events(1_000_000)
    t1 = int(events.t[-1])
    out = np.zeros((5, 480, 640), np.float32)
    ours = _seconds(lambda: voxel_grid(events, 0, t1, 5, 480, 640, out=out), args.repeat)
    plain = _seconds(lambda: _plain_voxel_grid(events, 0, t1, 5, 480, 640), args.repeat)
    return {"1 M events, 5x480x640": {"mevents_per_s": len(events) / ours / 1e6, "ratio_to_bincount": plain / ours}}


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
    durations = []
    for _ in range(repeat):
        started = time.perf_counter()
        function()
        durations.append(time.perf_counter() - started)
    return statistics.median(durations)


def _random_events(count: int) -> Events:
    rng = np.random.default_rng(0)
    t = np.sort(rng.integers(0, 200_000, count)) * 1000
    return Events(t, rng.integers(0, 640, count), rng.integers(0, 480, count), rng.integers(0, 2, count))


def _dense_events() -> Events:
    """Whole rows that fire at once, as edges do: what evt3's vectors are for."""
    x = np.tile(np.arange(600), 1000)
    t = np.repeat(np.arange(1000) * 20_000, 600)
    return Events(t, x, np.repeat(np.arange(1000) % 480, 600), np.ones(len(x)))


def _plain_voxel_grid(events: Events, t0: int, t1: int, bins: int, height: int, width: int) -> np.ndarray:
    position = (bins - 1) * (events.t - t0) / (t1 - t0)
    lower = np.minimum(position.astype(np.int64), bins - 1)
    upper = np.minimum(lower + 1, bins - 1)
    polarity = 2.0 * events.p - 1
    pixel = events.y.astype(np.int64) * width + events.x
    size = height * width
    grid = np.bincount(lower * size + pixel, polarity * (1 - (position - lower)), bins * size)
    grid += np.bincount(upper * size + pixel, polarity * (position - lower), bins * size)
    return grid.reshape(bins, height, width).astype(np.float32)


def _plain_evt3(packet: Packet) -> Events:
    """evt3 without vectors' offsets across packets: forward fill of time, row and vector base by np.maximum."""
    words = np.frombuffer(packet.data, "<u2").astype(np.int64)
    code, payload = words >> 12, words & 0xFFF

    def last(mask: np.ndarray) -> np.ndarray:
        """Index of the last word in the mask, at or before each word."""
        return np.maximum.accumulate(np.where(mask, np.arange(len(words)), 0))

    time_us = (payload[last(code == 8)] << 12) | payload[last(code == 6)]
    row = payload[last(code == 0)] & 0x7FF
    base = last(code == 3)
    vector = (code == 4) | (code == 5)
    length = np.where(code == 4, 12, 8) * vector
    passed = np.cumsum(length) - length
    single = np.flatnonzero(code == 2)
    vectors = np.flatnonzero(vector)
    offset, index = np.nonzero((payload[vectors][None] >> np.arange(12)[:, None]) & 1)
    inside = offset < length[vectors[index]]
    index, offset = vectors[index[inside]], offset[inside]
    start = payload[base[index]]
    x = (start & 0x7FF) + passed[index] - passed[base[index]] + offset
    order = np.argsort(np.concatenate((single, index)) * 16 + np.concatenate((0 * single, offset)), kind="stable")
    where = np.concatenate((single, index))[order]
    columns = np.concatenate((payload[single] & 0x7FF, x))[order]
    polarity = np.concatenate((payload[single] >> 11, start >> 11))[order]
    return Events(time_us[where] * 1000, columns, row[where], polarity)


def _machine(args: argparse.Namespace) -> str:
    device = pick_device(args.device)
    model = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return f"{model}, {os.cpu_count()} CPU cores, torch {torch.__version__} with {torch.get_num_threads()} threads"


def _processor() -> str:
    name = torch.cpu.get_capabilities().get("cpu_name") if hasattr(torch.cpu, "get_capabilities") else None
    return str(name or platform.processor() or platform.machine())
