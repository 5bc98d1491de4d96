"""rehdr evaluate on real recordings: their frames clipped again, and their statistics beside a training's."""

import argparse
from dataclasses import asdict

import torch

from rehdr_ros.cli.arguments import number
from rehdr_ros.cli.config_options import add_options, option_values
from rehdr_ros.cli.progress import progress
from rehdr_ros.errors import InputError
from rehdr_ros.simulation.batch import BatchSimulator
from rehdr_ros.training import statistics
from rehdr_ros.training.batches import SimulatedBatches
from rehdr_ros.training.config import TrainConfig, read_config
from rehdr_ros.training.footage import MOST_FRAMES, Footage, Timing, read_all
from rehdr_ros.training.reclipped import Reclipped


def add_real_recordings(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("real recordings")
    add = group.add_argument
    shares = "clip the recordings' frames again, which are their own truth then: the shares of all pixels "
    shares += "that shall exceed white, as 0.15,0.3; scored from the second frame on, "
    shares += "without pixels that were clipped before"
    add("--reclip", metavar="SHARES", help=shares)
    wrong = "the networks also with another recording's events, and 50 ms late"
    add("--wrong-events", action="store_true", help=wrong)
    figures = "what the recordings' events say of their frames, and when, beside a training's simulations: "
    figures += "the fit and thresholds of the event model, events per pixel, exposures, latency, "
    figures += "shortest intervals"
    add("--statistics", action="store_true", help=figures)
    response = "of the frames: a power, or a file that tabulates it; "
    response += "default: 2.2, but 1 (linear) with --reclip or --statistics"
    add("--response", help=response)
    white = "value at which 16-bit frames saturate; 0, as if not given: at full scale"
    add("--white-level", type=number(int, least=0, most=65535), help=white)
    add_options(group, Timing)
    parser.set_defaults(**dict.fromkeys(asdict(Timing())))
    frames, count = "most frames of a recording, from its start on", number(int, least=1)
    add("--frames", type=count, metavar="N", help=f"{frames}; {MOST_FRAMES} if not given")
    training = "YAML file of the training that --statistics simulates; else its defaults"
    add("--training", metavar="CONFIG", help=training)
    add(
        "--radiance",
        metavar="FOLDER",
        help="of .hdr and .exr scenes: of that training, else as CONFIG says; of --downstream",
    )
    sequences = "of that training, for --statistics; 100 if not given"
    add("--sequences", type=count, metavar="N", help=sequences)


def reclipped_recordings(args: argparse.Namespace, bins: int) -> Reclipped:
    """What --reclip asks for, as grids of so many bins."""
    footages, shares, timing = read_reclipped(args)
    return Reclipped(footages, shares, bins, timing, args.wrong_events)


def read_reclipped(args: argparse.Namespace) -> tuple[list[Footage], list[float], Timing]:
    """The recordings, the shares of their pixels that --reclip lets clip, and their timing."""
    try:
        shares = [float(share) for share in args.reclip.split(",")]
    except ValueError:
        raise InputError(f"--reclip {args.reclip}: shares between 0 and 1, as 0.15,0.3") from None
    footages, timing = _read(args)
    return footages, shares, timing


def compared_statistics(args: argparse.Namespace) -> dict:
    """What --statistics asks for: as of side_by_side, and printed."""
    scenes = {"radiance": args.radiance} if args.radiance else {}
    config = read_config(args.training, scenes) if args.training else TrainConfig(**scenes)
    cpu = torch.device("cpu")
    simulator = BatchSimulator(config.size, config.frames, statistics.BINS, cpu, config.variety)
    batches = SimulatedBatches(simulator, config.batch, config.seed, config.radiance)
    footages, timing = _read(args)
    footages = progress(footages, "measuring", unit="recording")
    recordings = {f.name: statistics.of_footage(f, timing) for f in footages}
    sequences = statistics.of_training(batches, args.sequences)
    sequences = progress(sequences, "simulating", args.sequences, "sequence")
    report = statistics.side_by_side(recordings, list(sequences))
    print(statistics.table(report))
    return report


def _read(args: argparse.Namespace) -> tuple[list[Footage], Timing]:
    timing = Timing(**option_values(args, Timing))
    return read_all(args.recordings, args.response or 1.0, args.white_level, args.frames), timing
