"""rehdr demo: simulate, reconstruct live over ROS 2, compare with the truth."""

import argparse
import shutil
from pathlib import Path

import numpy as np

from rehdr_ros.cli.comparison import comparison_picture
from rehdr_ros.cli.config_options import add_options, option_values
from rehdr_ros.cli.demo_pictures import CLIP, DemoPictures
from rehdr_ros.cli.frame_results import UNCERTAINTY_HELP
from rehdr_ros.cli.live_results import INFO_TOPIC, write_live_results
from rehdr_ros.cli.pipeline_options import add_pipeline_options, pipeline_config
from rehdr_ros.cli.progress import progress
from rehdr_ros.cli.verbs.reconstruct import reconstruct
from rehdr_ros.errors import Failure, InputError, require_ros, writing
from rehdr_ros.products import NAMED, NO_ESTIMATE, Product, written
from rehdr_ros.reconstruction import HdrPipeline, PipelineConfig
from rehdr_ros.recordings import BagRecording, Frame, write_png
from rehdr_ros.recordings.results.folder import write_summary
from rehdr_ros.report import write_report
from rehdr_ros.simulation import SimulationConfig
from rehdr_ros.simulation.bag import TRUTH_TOPIC, write_bag
from rehdr_ros.training.evaluation import compare_with_truth, json_text, table

_ABOUT = (
    "A camera turns in a dim hall to a gate that stands open on a sunlit yard, and gives white there; the "
    "closer ours comes to the truth, the better."
)
_HDR_TOPIC = f"/{NAMED['hdr'].topic}"
_METHODS = ("ours", "ours_without_events", "ldr", "constant_fill")
_MEASURES = ("mu_psnr", "mu_psnr_clipped", "mu_psnr_well_exposed", "clipped_log2_rmse")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    replaced = "folder for the results; replaced if it is there"
    parser.add_argument("-o", "--output", default="demo", help=replaced)
    add_options(parser, SimulationConfig, ("seconds", "fps", "seed"))
    about = f"{UNCERTAINTY_HELP}; the default where the weights tell it"
    parser.add_argument("--uncertainty", action=argparse.BooleanOptionalAction, help=about)
    add_pipeline_options(parser, without=("output_rate",))  # its results are frame against frame
    parser.set_defaults(seconds=4.0, fps=10.0, seed=7, tonemap="local")


def run(args: argparse.Namespace) -> None:
    require_ros()
    output = Path(args.output)
    config = pipeline_config(args)
    products = _products(args.uncertainty, config)
    make_folder(output)
    print("1/4 simulating a camera that turns in a hall to an open gate", flush=True)
    options = option_values(args, SimulationConfig)
    simulation = SimulationConfig(scene="hall", white=1.0, speed=75.0, **options)
    samples = progress(write_bag(simulation, output / "input"), "simulating", simulation.frames)
    events = sum(sample.event_count for sample in samples)

    print("2/4 running rehdr_node on it, live", flush=True)
    from rehdr_ros.node.live import LiveRun

    live = LiveRun(output / "input", output / "output", output / "node.log", config, products)
    for _ in progress(live.play(), "replaying", live.messages, "message"):
        pass
    if live.frames != simulation.frames:
        raise Failure(f"{simulation.frames} frames went in, {live.frames} came back; see {output}/node.log")

    print("3/4 comparing with the truth", flush=True)
    ours = {f.stamp_ns: f.image for f in BagRecording(output / "output").frames(_HDR_TOPIC)}
    pipeline, offline = _reconstruct_offline(output / "input", config, with_events=True)
    _, blind = _reconstruct_offline(output / "input", config, with_events=False)
    scores = compare_with_truth({"ours": ours, "ours_without_events": blind}, output / "input").scores()
    differences = [np.linalg.norm(ours[s] - offline[s]) / np.linalg.norm(offline[s]) for s in ours]
    report = {
        "about": _ABOUT,
        "frames": {"in": simulation.frames, "out": live.frames},
        "events": events,
        **_live_figures(output / "output", live.arrivals),
        "device": pipeline.device,
        "weights": config.weights,
        "offline_difference": float(max(differences)),
        "quality": {m: {name: scores[m][name] for name in _MEASURES} for m in _METHODS},
    }
    print("4/4 drawing", flush=True)
    results = write_live_results(output / "input", output / "output", output)
    for _ in progress(results, "writing", live.frames):
        pass
    write_summary(output, _summary(output, report, pipeline))
    pictures = DemoPictures(output, output / "input", config.tonemap, simulation.fps)
    for _ in progress(pictures.write(), "drawing", live.frames):
        pass
    report["tags"] = pictures.tags
    with writing(output / "report.json"):
        (output / "report.json").write_text(json_text(report))
    _draw(output)
    page = write_report(output)
    _summarise(output, report, page)


def make_folder(output: Path) -> None:
    """An empty folder, in place of the one that an earlier demo may have left, finished or not."""
    marker = output / ".rehdr_demo"
    if marker.exists():
        shutil.rmtree(output)
    elif output.exists() and any(output.iterdir()):
        raise InputError(f"{output} exists and is no demo; choose another folder with -o")
    output.mkdir(parents=True, exist_ok=True)
    marker.touch()


def _products(uncertainty: bool | None, config: PipelineConfig) -> tuple[Product, ...]:
    """uncertainty: whether to write it; None: if the weights tell it."""
    if uncertainty is False:
        return written(uncertainty=False)
    pipeline = HdrPipeline(config)
    if uncertainty is None:
        return written(pipeline.radiance != "relative")
    if pipeline.radiance == "relative":
        raise InputError(f"--uncertainty: {NO_ESTIMATE}")
    return written(uncertainty=True)


def _live_figures(bag_path: Path, arrivals: list[float]) -> dict:
    """Frame rate of the stream as it came back, and latency as the node measured it."""
    latencies = [1e3 * info.latency for info in BagRecording(bag_path).read(INFO_TOPIC)]
    rate = (len(arrivals) - 1) / (arrivals[-1] - arrivals[0]) if len(arrivals) > 1 else 0.0
    median, p99 = (round(float(ms), 2) for ms in np.percentile(latencies, (50, 99)))
    return {"frames_per_second": round(rate, 2), "latency_ms": {"median": median, "p99": p99}}


def _summary(output: Path, report: dict, pipeline: HdrPipeline) -> dict:
    """What `rehdr reconstruct` says of its folder, of the live run. pipeline: with the node's settings."""
    *_, last = BagRecording(output / "output").read(INFO_TOPIC)
    return {
        "frames": report["frames"]["out"],
        "events": report["events"],
        **{name: int(getattr(last, name)) for name in ("dropped_events", "lost_packets", "skipped_frames")},
        "weights": report["weights"],
        **{name: getattr(pipeline, name) for name in ("device", "precision", "engine", "radiance")},
    }


def _reconstruct_offline(bag: Path, config: PipelineConfig, with_events: bool) -> tuple[HdrPipeline, dict]:
    """The same pipeline without ROS, and its radiance by stamp."""
    pipeline, recording = HdrPipeline(config), BagRecording(bag)
    pipeline.warm_up(next(recording.frames()).image.shape[1::-1])  # as the node has
    messages = recording.messages()
    if not with_events:
        messages = (m for m in messages if isinstance(m, Frame))
    label = f"offline, {'with' if with_events else 'without'} events"
    frames = progress(reconstruct(pipeline, messages), label)
    return pipeline, {f.stamp_ns: f.radiance for f in frames}


def _draw(output: Path) -> None:
    bag = BagRecording(output / "input")
    picture = comparison_picture(
        bag,
        ours={f.stamp_ns: f.image for f in BagRecording(output / "output").frames(_HDR_TOPIC)},
        truth={f.stamp_ns: f.image for f in bag.frames(TRUTH_TOPIC)},
    )
    write_png(output / "comparison.png", picture)


def _summarise(output: Path, report: dict, page: Path) -> None:
    frames, latency = report["frames"], report["latency_ms"]
    print(
        f"\n{frames['in']} frames in, {frames['out']} out, {report['events']} events, "
        f"{report['frames_per_second']} frames/s on {report['device']}, "
        f"latency {latency['median']} ms (median), {latency['p99']} ms (p99); "
        f"live and offline differ by {report['offline_difference']:.1e}"
    )
    print(table(report["quality"]))
    if tags := report["tags"]:
        counts = (f"{name} {found['clipped']}" for name, found in tags.items())
        print(f"AprilTags found where the camera clips, over all frames: {', '.join(counts)}")
    print(
        f"\nfigures in {output}/report.json, a clip in {output}/{CLIP}, pictures in {output}/comparison.png "
        f"and {output}/hdr/, tonemapped/, ...,\nthe bags in {output}/input and output; "
        f"open this in a browser: {page}"
    )
