"""rehdr evaluate: a reconstruction, or networks, against the truth."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from rehdr_ros.cli.arguments import number
from rehdr_ros.cli.consumers import CONSUMERS, add_consumers
from rehdr_ros.cli.pictures import write_pictures
from rehdr_ros.cli.progress import progress
from rehdr_ros.cli.real_recordings import add_real_recordings, compared_statistics, reclipped_recordings
from rehdr_ros.errors import InputError, writing
from rehdr_ros.network import Network, load_checkpoint
from rehdr_ros.recordings import BagRecording
from rehdr_ros.simulation.bag import TRUTH_TOPIC
from rehdr_ros.simulation.sensors import RESPONSE
from rehdr_ros.training import between, evaluation, rates
from rehdr_ros.training.baselines import BASELINES
from rehdr_ros.training.benchmark import DISTURBANCES, cases
from rehdr_ros.training.blur import blur_cases
from rehdr_ros.training.reclipped import CONSTANT_LIFT
from rehdr_ros.training.recorded import find_recordings
from rehdr_ros.training.sequence import Sequence

# Of each recording that is clipped again.
_BY_SEQUENCE = ("clipped_error_share", "structure_error_share", "structure_correlation_clipped")
# By name.
_Sequences = Iterator[tuple[str, Sequence]]
_Comparisons = Iterator[tuple[str, evaluation.Comparison]]
_EPILOG = """\
One of six: --predicted and --truth; --benchmark, for networks on simulated sequences; --recordings, for
networks on recordings with truth or, with --reclip, on any recordings; \
with --statistics it is not for networks,
but for any recordings beside the simulations of a training. \
--odometry, --tunnel or --downstream, for what a consumer of the images gets; \
the last also with --recordings and --reclip.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    add = parser.add_argument
    add("--predicted", metavar="DIR", help="folder that `rehdr reconstruct` wrote")
    add("--truth", metavar="BAG", help="bag with frames and the true HDR")
    scenes = "procedural, or a folder of .hdr and .exr scenes: "
    scenes += "20 frames each, 10, 20 and 40 %% of the pixels clipped"
    add("--benchmark", metavar="FOLDER", help=scenes)
    recordings = "folders with LDR/, HDR/ and event/, bags with truth, or folders of bags; "
    recordings += "with --reclip any recordings of frames and events that `rehdr reconstruct` reads"
    add("--recordings", nargs="+", metavar="PATH", help=recordings)
    networks = "networks to evaluate, one for --odometry, --tunnel and --downstream: shipped names or files"
    add("--weights", nargs="+", default=["rehdr_s"], help=networks)
    add("--size", type=number(int, least=16), default=192, help="of the benchmark's square frames, px")
    disturbed = "the benchmark also with hot pixels, lost packets, other thresholds"
    add("--disturbed", action="store_true", help=disturbed)
    moments = "the benchmark at 10 Hz: errors of outputs at so many moments between two frames"
    add("--between", type=number(int, least=1), metavar="N", help=moments)
    both = "the benchmark at {} and at {} Hz: errors of pixels that clip for long, at the stamps of both"
    add("--rates", action="store_true", help=both.format(*rates.RATES))
    blurred = (
        "the benchmark with exposures of 40 to 100 ms instead, in which the image moves by 10 to 30 px, "
    )
    add("--blur", action="store_true", help=blurred + "and the truth of their middle")
    add("--pictures", metavar="DIR", help="write a picture, a video and EXR frames of every sequence")
    add("-o", "--output", help="JSON file for the measures; DIR/metrics.json if there is a DIR")
    add_real_recordings(parser)
    add_consumers(parser)


def run(args: argparse.Namespace) -> None:
    modes = [name for name in ("predicted", "benchmark", "recordings", *CONSUMERS) if getattr(args, name)]
    if args.downstream and args.reclip and not args.wrong_events:
        modes = [name for name in modes if name != "recordings"]
    if len(modes) != 1 or bool(args.truth) != bool(args.predicted):
        others = "".join(f", or --{name}" for name in CONSUMERS)
        raise InputError(f"give --predicted with --truth, or --benchmark, or --recordings{others}")
    if (args.reclip or args.statistics) and not args.recordings or args.wrong_events and not args.reclip:
        raise InputError("--reclip and --statistics go with --recordings, and --wrong-events with --reclip")
    if args.reclip and args.statistics:
        raise InputError("give --reclip or --statistics, not both")
    if args.between and (not args.benchmark or args.disturbed or args.pictures):
        raise InputError("--between goes with --benchmark, without --disturbed and --pictures")
    if args.rates and (not args.benchmark or args.disturbed or args.pictures or args.between):
        raise InputError("--rates goes with --benchmark, without --disturbed, --pictures and --between")
    if args.blur and (not args.benchmark or args.disturbed or args.between or args.rates):
        raise InputError("--blur goes with --benchmark, without --disturbed, --between and --rates")
    if args.statistics:
        _write(args.output, compared_statistics(args))
        return
    if args.predicted:
        of_frames = args.response or RESPONSE, args.white_level
        comparison = evaluation.compare_folder(args.predicted, args.truth, *of_frames)
        count = BagRecording(args.truth).topics[TRUTH_TOPIC].count
        scores = comparison.scores()
        _write(args.output or Path(args.predicted) / "metrics.json", scores)
        print(f"{len(comparison.truth)} of {count} frames of the truth\n{evaluation.table(scores)}")
        return
    if modes[0] in CONSUMERS:
        _write(args.output, CONSUMERS[modes[0]](args))
        return
    networks = {Path(w).stem if Path(w).is_file() else w: load_checkpoint(w) for w in args.weights}
    reserved = [*BASELINES, CONSTANT_LIFT]
    if len(networks) < len(args.weights) or networks.keys() & reserved:
        others = ", ".join(reserved)
        raise InputError(f"--weights: every network needs a name of its own, not one of {others} either")
    if args.reclip:
        _write(args.output, _evaluate_reclipped(args, networks))
    elif args.between:
        _write(args.output, _evaluate_between(args, dict(zip(networks, args.weights, strict=True))))
    elif args.rates:
        _write(args.output, _evaluate_rates(args, networks))
    elif args.recordings:
        compared = _compared(_recorded(args, networks), networks)
        _write(args.output, _evaluate(compared, args.pictures, "recording"))
    else:
        _write(args.output, _evaluate_benchmark(args, networks))


def _evaluate_reclipped(args: argparse.Namespace, networks: dict[str, Network]) -> dict:
    recordings = reclipped_recordings(args, _bins(networks))
    report = _evaluate(recordings.comparisons(networks), args.pictures, "sequence", len(recordings))
    for measure in _BY_SEQUENCE:
        print(f"\n{evaluation.table_by_sequence(report['sequences'], measure)}")
    return report


def _evaluate_benchmark(args: argparse.Namespace, networks: dict[str, Network]) -> dict:
    bins = _bins(networks)
    if args.blur:
        weights = dict(zip(networks, args.weights, strict=True))
        blurred = list(blur_cases(_folder(args), args.size))
        comparisons = ((case.name, case.compare(weights)) for case in blurred)
        return _evaluate(comparisons, args.pictures, "sequence", len(blurred))
    report = {}
    for name, disturbance in DISTURBANCES.items() if args.disturbed else [("none", None)]:
        if args.disturbed:
            print(f"\ndisturbed by: {name}", flush=True)
        chosen = list(cases(_folder(args), args.size))
        sequences = ((case.name, case.sequence(bins, disturbance)) for case in chosen)
        part = name.replace(" ", "_") if args.disturbed else ""
        pictures = args.pictures and str(Path(args.pictures, part))
        report[name] = _evaluate(_compared(sequences, networks), pictures, "sequence", len(chosen))
    return report if args.disturbed else report["none"]


def _evaluate_between(args: argparse.Namespace, weights: dict[str, str]) -> dict:
    chosen = list(cases(_folder(args), args.size))
    compared = ((case.name, between.compare(between.moments(case, args.between), weights)) for case in chosen)
    sequences = dict(progress(compared, "evaluating", len(chosen), "sequence"))
    mean = evaluation.mean_of(list(sequences.values()))
    shares = {k: v for name in weights for k, v in between.shares(mean, name).items()}
    print(evaluation.table(mean))
    print(f"\n{evaluation.table(shares)}", flush=True)
    return {"mean": mean, "shares": shares, "sequences": sequences}


def _evaluate_rates(args: argparse.Namespace, networks: dict[str, Network]) -> dict:
    chosen, bins = list(cases(_folder(args), args.size)), _bins(networks)
    compared = ((case.name, rates.compare(case, networks, bins)) for case in chosen)
    sequences = dict(progress(compared, "evaluating", len(chosen), "sequence"))
    mean = evaluation.mean_of(list(sequences.values()))
    print(evaluation.table(mean))
    print(f"\n{evaluation.table_by_sequence(sequences, 'difference')}", flush=True)
    return {"mean": mean, "sequences": sequences}


def _folder(args: argparse.Namespace) -> str | None:
    return None if args.benchmark == "procedural" else args.benchmark


def _compared(sequences: _Sequences, networks: dict[str, Network]) -> _Comparisons:
    return ((name, evaluation.compare(sequence, networks)) for name, sequence in sequences)


def _evaluate(comparisons: _Comparisons, pictures: str | None, unit: str, total: int | None = None) -> dict:
    """Scores by sequence and their mean, which is printed."""
    scores: dict[str, evaluation.Scores] = {}
    for name, comparison in progress(comparisons, "evaluating", total, unit):
        scores[name] = comparison.scores()
        if pictures:
            write_pictures(comparison, Path(pictures), name.replace(" ", "_").replace("/", "_"))
    mean = evaluation.mean_of(list(scores.values()))
    print(evaluation.table(mean), flush=True)
    return {"mean": mean, "sequences": scores}


def _recorded(args: argparse.Namespace, networks: dict[str, Network]) -> _Sequences:
    bins, skipped = _bins(networks), evaluation.SKIPPED
    of_frames = args.response or RESPONSE, args.white_level
    for recording in (r for path in args.recordings for r in find_recordings(path, bins, *of_frames)):
        if recording.bins != bins:
            raise InputError(f"{recording}: grids of {recording.bins} bins, the networks take {bins}")
        if (count := len(recording)) <= skipped:
            raise InputError(f"{recording} has {count} frames; the first {skipped} are not scored, give more")
        sequence = recording.read(0, len(recording))
        sequence.voxel[0] = 0  # as after a reset
        yield str(recording), sequence


def _bins(networks: dict[str, Network]) -> int:
    bins = {network.config.bins for network in networks.values()}
    if len(bins) > 1:
        different = f"voxel grids of different bins: {sorted(bins)}"
        raise InputError(f"the networks take {different}; evaluate them apart")
    return bins.pop()


def _write(path: str | Path | None, report: dict) -> None:
    if path:
        with writing(path):
            Path(path).write_text(evaluation.json_text(report))
