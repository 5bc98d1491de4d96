"""rehdr evaluate on simulated drives: what consumers of the images get of them."""

import argparse
from collections.abc import Iterator
from dataclasses import asdict

from rehdr_ros.cli.arguments import number, size
from rehdr_ros.cli.progress import progress
from rehdr_ros.errors import InputError
from rehdr_ros.reconstruction.tonemap import ToneMapper
from rehdr_ros.training import odometry_results, tunnel_results
from rehdr_ros.training.odometry import OdometryBenchmark, Run
from rehdr_ros.training.tunnel import TunnelBenchmark
from rehdr_ros.training.views import TONEMAPS


def add_drives(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("simulated drives, one network")
    add, count = group.add_argument, number(int, least=1)
    odometry = "the camera's way by COLMAP from the frames, from HDR and from the truth; "
    odometry += "a third of the drives each with 0, 70 and 85 %% of the pixels clipped"
    add("--odometry", action="store_true", help=odometry)
    tunnel = "out of a tunnel, where the camera's exposure adapts: the first frame in which a tag outside is "
    tunnel += "found, and how steady the radiance stays where the exposure is told and where it isn't"
    add("--tunnel", action="store_true", help=tunnel)
    add("--drives", type=count, metavar="N", help="how many; 30 and 20 if not given")
    often = "how often each drive of --odometry, with other noise of the sensors"
    add("--seeds", type=count, default=5, metavar="N", help=often)
    pixels = "of the drives' frames"
    add("--drive-size", type=size, default=(346, 260), metavar="WxH", help=pixels)
    add("--tonemap", nargs="+", choices=ToneMapper.OPERATORS, default=list(TONEMAPS), help="to compare")


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


def _by_drive(benchmark: OdometryBenchmark, drives: int) -> Iterator[list[Run]]:
    return (list(benchmark.runs(number)) for number in range(drives))


def _weights(args: argparse.Namespace) -> str:
    if len(args.weights) > 1:
        raise InputError("--weights: one network; compare others in a run each")
    return args.weights[0]


CONSUMERS = {"odometry": odometry_report, "tunnel": tunnel_report}
"""By option: a report that is printed, too."""
