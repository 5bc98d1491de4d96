"""rehdr demo: simulate, reconstruct live over ROS 2, compare with the truth."""

import argparse
import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from rehdr_ros.cli.comparison import comparison_picture
from rehdr_ros.cli.pipeline_options import add_pipeline_options, pipeline_config
from rehdr_ros.cli.progress import progress
from rehdr_ros.cli.reconstruct import reconstruct
from rehdr_ros.errors import Failure, InputError, require_ros
from rehdr_ros.reconstruction import HdrPipeline, PipelineConfig
from rehdr_ros.recordings import BagRecording, BagWriter, Frame, write_png
from rehdr_ros.simulation import SimulationConfig
from rehdr_ros.simulation.bag import EVENTS_TOPIC, IMAGE_TOPIC, TRUTH_TOPIC, write_bag
from rehdr_ros.training.evaluation import json_text, score_with_baselines, table

_HDR_TOPIC = "/hdr/image_raw"
_INFO_TOPIC = "/rehdr_node/frame_info"
_START_SECONDS = 120  # for the node to load its weights and subscribe
_DRAIN_SECONDS = 60  # without a frame, after which the rest counts as lost


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", default="demo", help="folder for the results; replaced if it is there")
    parser.add_argument("--seconds", type=float, default=4.0, help="length of the recording")
    parser.add_argument("--fps", type=float, default=10.0, help="its frame rate")
    parser.add_argument("--seed", type=int, default=7, help="of the scene")
    add_pipeline_options(parser)


def run(args: argparse.Namespace) -> None:
    require_ros()
    output = Path(args.output)
    _make_folder(output)
    config = pipeline_config(args)
    print("1/4 simulating a scene whose lamps and windows clip", flush=True)
    simulation = SimulationConfig(seconds=args.seconds, fps=args.fps, seed=args.seed)
    samples = progress(write_bag(simulation, output / "input"), "simulating", simulation.frames)
    events = sum(len(sample.events) for sample in samples)

    print("2/4 running rehdr_node on it, live", flush=True)
    counts, arrivals = _run_live(output, config, simulation.frames)
    if counts["out"] != counts["in"]:
        raise Failure(f"{counts['in']} frames went in, {counts['out']} came back; see {output}/node.log")

    print("3/4 comparing with the truth", flush=True)
    live = {f.stamp_ns: f.image for f in BagRecording(output / "output").frames(_HDR_TOPIC)}
    device, offline = _reconstruct_offline(output / "input", config, with_events=True)
    _, blind = _reconstruct_offline(output / "input", config, with_events=False)
    report = {
        "frames": counts,
        "events": events,
        **_live_figures(output / "output", arrivals),
        "device": device,
        "weights": config.weights,
        "offline_difference": max(
            (float(np.linalg.norm(live[s] - offline[s]) / np.linalg.norm(offline[s])) for s in live),
            default=0.0,
        ),
        "quality": score_with_baselines({"ours": live, "ours_without_events": blind}, output / "input"),
    }
    (output / "report.json").write_text(json_text(report))

    print("4/4 drawing", flush=True)
    _draw(output)
    _summarise(output, report)


def _make_folder(output: Path) -> None:
    """An empty folder, in place of the one that an earlier demo may have left, finished or not."""
    marker = output / ".rehdr_demo"
    if marker.exists():
        shutil.rmtree(output)
    elif output.exists() and any(output.iterdir()):
        raise InputError(f"{output} exists and is no demo; choose another folder with -o")
    output.mkdir(parents=True, exist_ok=True)
    marker.touch()


def _run_live(output: Path, config: PipelineConfig, frames: int) -> tuple[dict[str, int], list[float]]:
    """Start the node as its own process, replay the input over DDS, record what comes back."""
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    os.environ.setdefault("ROS_DOMAIN_ID", "87")
    import rclpy
    from rclpy.executors import SingleThreadedExecutor

    from rehdr_ros.node.recorder import Recorder
    from rehdr_ros.node.replay import Replayer
    from rehdr_ros.node.transport import use_large_shared_memory

    use_large_shared_memory()
    rclpy.init()
    bag = BagRecording(output / "input")
    player = Replayer(bag, [EVENTS_TOPIC, IMAGE_TOPIC])
    with open(output / "node.log", "w") as log, BagWriter(output / "output") as out:
        node = subprocess.Popen(_node_command(config, bag), stdout=log, stderr=subprocess.STDOUT)
        recorder = Recorder(out)
        executor = SingleThreadedExecutor()
        executor.add_node(recorder)
        spinning = threading.Thread(target=executor.spin)
        spinning.start()
        try:
            _wait_until_ready(player, node, output)
            messages = sum(bag.topics[t].count for t in (EVENTS_TOPIC, IMAGE_TOPIC))
            for _ in progress(player.play(), "replaying", messages, "message"):
                pass
            _drain(recorder, node, frames)
        finally:
            node.terminate()
            executor.shutdown()
            spinning.join()
            recorder.destroy_node()
            player.destroy_node()
            rclpy.try_shutdown()
            node.wait(timeout=30)
    return {"in": frames, "out": min(recorder.count.values())}, recorder.arrivals


def _node_command(config: PipelineConfig, bag: BagRecording) -> list[str]:
    size = next(bag.frames(IMAGE_TOPIC)).image.shape
    parameters = asdict(config) | {
        "event_timeout": 1.0,  # a busy machine must not part frames from their events
        "expected_size": f"[{size[1]}, {size[0]}]",
    }
    command = [sys.executable, "-m", "rehdr_ros.node.node", "--ros-args"]
    command += ["-r", f"events:={EVENTS_TOPIC}", "-r", f"image_raw:={IMAGE_TOPIC}"]
    for name, value in parameters.items():
        command += ["-p", f"{name}:={value}"]
    return command


def _wait_until_ready(player, node: subprocess.Popen, output: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while player.wait_for_subscribers([EVENTS_TOPIC, IMAGE_TOPIC], 1.0):
        if node.poll() is not None or time.monotonic() > deadline:
            last = (output / "node.log").read_text().strip().splitlines()[-1:]
            raise Failure(f"rehdr_node did not start: {''.join(last) or 'no output'}")
    # Discovery runs both ways: the node's publishers must have found the recorder too.
    time.sleep(1.0)


def _drain(recorder, node: subprocess.Popen, frames: int) -> None:
    seen, since = -1, time.monotonic()
    while min(recorder.count.values()) < frames and node.poll() is None:
        now = sum(recorder.count.values())
        if now != seen:
            seen, since = now, time.monotonic()
        if time.monotonic() - since > _DRAIN_SECONDS:
            return
        time.sleep(0.05)


def _live_figures(bag_path: Path, arrivals: list[float]) -> dict:
    """Frame rate of the stream as it came back, and latency as the node measured it."""
    latencies = [1e3 * info.latency for info in BagRecording(bag_path).read(_INFO_TOPIC)]
    rate = (len(arrivals) - 1) / (arrivals[-1] - arrivals[0]) if len(arrivals) > 1 else 0.0
    return {
        "frames_per_second": round(rate, 2),
        "latency_ms": {
            "median": round(float(np.median(latencies)), 2),
            "p99": round(float(np.percentile(latencies, 99)), 2),
        },
    }


def _reconstruct_offline(bag_path: Path, config: PipelineConfig, with_events: bool) -> tuple[str, dict]:
    """The device, and the radiance by stamp, of the same pipeline without ROS."""
    pipeline = HdrPipeline(config)
    messages = BagRecording(bag_path).messages()
    if not with_events:
        messages = (m for m in messages if isinstance(m, Frame))
    frames = progress(reconstruct(pipeline, messages), f"offline, {'with' if with_events else 'without'} events")
    return pipeline.device, {f.stamp_ns: f.radiance for f in frames}


def _draw(output: Path) -> None:
    bag = BagRecording(output / "input")
    picture = comparison_picture(
        ldr={f.stamp_ns: f.image for f in bag.frames(IMAGE_TOPIC)},
        ours={f.stamp_ns: f.image for f in BagRecording(output / "output").frames(_HDR_TOPIC)},
        truth={f.stamp_ns: f.image for f in bag.frames(TRUTH_TOPIC)},
        packets=bag.packets(),
    )
    write_png(output / "comparison.png", picture)


def _summarise(output: Path, report: dict) -> None:
    frames, latency = report["frames"], report["latency_ms"]
    print()
    print(
        f"{frames['in']} frames in, {frames['out']} out, {report['events']} events, "
        f"{report['frames_per_second']} frames/s on {report['device']}, "
        f"latency {latency['median']} ms (median), {latency['p99']} ms (p99); "
        f"live and offline differ by {report['offline_difference']:.1e}"
    )
    print(table(report["quality"]))
    print()
    print(f"look at {output}/comparison.png; figures in {output}/report.json, the bags in {output}/input and output")
