"""rehdr evaluate with consumers of the images: what they get of simulated drives and scenes."""

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from rehdr_ros.cli.arguments import number, size
from rehdr_ros.cli.match_picture import write_match_picture
from rehdr_ros.cli.progress import progress
from rehdr_ros.cli.real_recordings import read_reclipped
from rehdr_ros.errors import InputError
from rehdr_ros.network import load_checkpoint
from rehdr_ros.reconstruction.tonemap import ToneMapper
from rehdr_ros.training import downstream_results, odometry_results, tunnel_results
from rehdr_ros.training.downstream import SCENES, DownstreamBenchmark
from rehdr_ros.training.odometry import OdometryBenchmark, Run
from rehdr_ros.training.reclipped_features import RealRun, real_runs
from rehdr_ros.training.tunnel import TunnelBenchmark
from rehdr_ros.training.views import TONEMAPS


def add_consumers(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("consumers of the images, one network")
    add, count = group.add_argument, number(int, least=1)
    odometry = "the camera's way by COLMAP from the frames, from HDR and from the truth; "
    odometry += "a third of the drives each with 0, 70 and 85 %% of the pixels clipped"
    add("--odometry", action="store_true", help=odometry)
    tunnel = "out of a tunnel, where the camera's exposure adapts: the first frame in which a tag outside is "
    tunnel += "found, and how steady the radiance stays where the exposure is told and where it isn't"
    add("--tunnel", action="store_true", help=tunnel)
    downstream = "feature matches and tracks, AprilTags and QR codes on clipped scenes, procedural or, for "
    downstream += "features, of --radiance; or with --recordings and --reclip features of real frames; "
    downstream += "--pictures: matches_1.jpg and so on, a scene each, of the last tone mapping"
    add("--downstream", action="store_true", help=downstream)
    many = f"how many; 30, 20 and, scenes of --downstream, {SCENES} if not given"
    add("--drives", type=count, metavar="N", help=many)
    often = "how often each drive of --odometry, with other noise of the sensors; 5 if not given"
    add("--seeds", type=count, metavar="N", help=often)
    pixels = "of the drives' frames; 346x260 if not given"
    add("--drive-size", type=size, metavar="WxH", help=pixels)
    compared = f"to compare; {', '.join(TONEMAPS)} if not given"
    add("--tonemap", nargs="+", action="extend", choices=ToneMapper.OPERATORS, help=compared)


def odometry_report(args: argparse.Namespace) -> dict:
    """What --odometry asks for, printed: the summary and every run."""
    benchmark = OdometryBenchmark(_weights(args), args.tonemap, args.seeds, args.drive_size)
    runs: list[Run] = []
    drives = args.drives or 30
    for of_drive in progress(_by_drive(benchmark, drives), "driving", drives, "drive"):
        runs += of_drive
    report = odometry_results.summary(runs)
    print(odometry_results.table(report))
    return {"summary": report, "runs": [asdict(run) for run in runs]}


def tunnel_report(args: argparse.Namespace) -> dict:
    """What --tunnel asks for, printed: the summary and every run."""
    benchmark, drives = TunnelBenchmark(_weights(args), args.tonemap, args.drive_size), args.drives or 20
    runs = list(progress(map(benchmark.run, range(drives)), "driving", drives, "drive"))
    report = tunnel_results.summary(runs)
    print(tunnel_results.table(report))
    return {"summary": report, "runs": [asdict(run) for run in runs]}


def downstream_report(args: argparse.Namespace) -> dict:
    """What --downstream asks for, printed: the summary and every run."""
    if args.recordings:
        return _real_report(args)
    benchmark = DownstreamBenchmark(_weights(args), args.tonemap, args.drive_size, args.radiance)
    feature_runs, code_runs, scenes = [], [], benchmark.scenes(args.drives)
    for scene in progress(range(scenes), "recording, matching, reading", scenes, "scene"):
        recorded = benchmark.record(scene)
        feature_runs += benchmark.features(scene, recorded)
        code_runs += benchmark.codes(scene)
        if args.pictures:
            path = Path(args.pictures) / f"matches_{scene + 1}.jpg"
            write_match_picture(path, recorded, f"HDR, {args.tonemap[-1]}")
    report = downstream_results.summary(feature_runs, code_runs)
    print(downstream_results.table(report))
    return {"summary": report, "runs": [asdict(run) for run in (*feature_runs, *code_runs)]}


def _real_report(args: argparse.Namespace) -> dict:
    network, (footages, shares, timing) = load_checkpoint(_weights(args)), read_reclipped(args)
    cases = [(footage, share) for footage in footages for share in shares]
    runs: list[RealRun] = []
    for case in progress(cases, "reconstructing, matching", len(cases), "sequence"):
        runs += real_runs(*case, network, args.tonemap, timing)
    report = downstream_results.real_summary(runs)
    print(downstream_results.real_table(report))
    return {"summary": report, "runs": [asdict(run) for run in runs]}


def _by_drive(benchmark: OdometryBenchmark, drives: int) -> Iterator[list[Run]]:
    return (list(benchmark.runs(number)) for number in range(drives))


def _weights(args: argparse.Namespace) -> str:
    if len(args.weights) > 1:
        raise InputError("--weights: one network; compare others in a run each")
    return args.weights[0]


CONSUMERS = {"odometry": odometry_report, "tunnel": tunnel_report, "downstream": downstream_report}
"""By option: a report that is printed, too."""
