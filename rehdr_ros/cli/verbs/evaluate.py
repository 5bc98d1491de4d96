"""rehdr evaluate: a reconstruction, or networks, against the truth."""

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from rehdr_ros.cli.arguments import new_file, number
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
from rehdr_ros.training.footage import MOST_FRAMES, Timing
from rehdr_ros.training.reclipped import CONSTANT_LIFT
from rehdr_ros.training.recorded import find_recordings
from rehdr_ros.training.sequence import Sequence
from rehdr_ros.training.views import TONEMAPS

# Of each recording that is clipped again.
_BY_SEQUENCE = ("clipped_error_share", "structure_error_share", "structure_correlation_clipped")
# By name.
_Sequences = Iterator[tuple[str, Sequence]]
_Comparisons = Iterator[tuple[str, evaluation.Comparison]]
_REAL = "response white_level frame_time event_latency frames"
_DRIVES = "weights tonemap drives drive_size"
# What each form takes, by the options that choose it.
FORMS = {
    "predicted truth": "response white_level",
    "benchmark": "weights size pictures",
    "benchmark disturbed": "weights size pictures",
    "benchmark between": "weights size",
    "benchmark rates": "weights size",
    "benchmark blur": "weights size pictures",
    "recordings": "weights response white_level pictures",
    "recordings reclip": f"weights wrong_events pictures {_REAL}",
    "recordings statistics": f"training radiance sequences {_REAL}",
    "odometry": f"{_DRIVES} seeds",
    "tunnel": _DRIVES,
    "downstream": f"{_DRIVES} radiance pictures",
    "recordings reclip downstream": f"weights tonemap {_REAL}",
}
_ALWAYS = "verb", "started", "output"
# Of options whose own default is None, so that those which a form doesn't take are noticed.
_DEFAULTS = {"weights": ["rehdr_s"], "size": 192, **asdict(Timing()), "white_level": 0, "frames": MOST_FRAMES}
_DEFAULTS |= {"sequences": 100, "seeds": 5, "drive_size": (346, 260), "tonemap": list(TONEMAPS)}


def _options(names: str) -> str:
    return " ".join("--" + name.replace("_", "-") for name in names.split())


_EPILOG = "Its forms, each with -o and any of the options in brackets:\n"
_EPILOG += "\n".join(f"  {_options(form)} [{_options(takes)}]" for form, takes in FORMS.items())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    add = parser.add_argument
    predicted = "folder that `rehdr reconstruct` wrote; scored from the first frame on"
    add("--predicted", metavar="DIR", help=predicted)
    add("--truth", metavar="BAG", help="bag with frames and the true HDR")
    scenes = "procedural, or a folder of .hdr and .exr scenes: "
    scenes += "20 frames each, 10, 20 and 40 %% of the pixels clipped"
    add("--benchmark", metavar="FOLDER", help=scenes)
    recordings = "folders with LDR/, HDR/ and event/, bags with truth, or folders of bags, scored from their "
    recordings += "fourth frame on; with --reclip any recordings of frames and events that "
    recordings += "`rehdr reconstruct` reads"
    add("--recordings", nargs="+", action="extend", metavar="PATH", help=recordings)
    networks = "networks to evaluate, one for --odometry, --tunnel and --downstream: shipped names or files; "
    networks += "rehdr_s if not given"
    add("--weights", nargs="+", action="extend", help=networks)
    size = "of the benchmark's square frames, px; 192 if not given"
    add("--size", type=number(int, least=16), help=size)
    disturbed = "the benchmark also with hot pixels, lost packets, other thresholds"
    add("--disturbed", action="store_true", help=disturbed)
    moments = "the benchmark at 10 Hz: errors of outputs at so many moments between two frames"
    add("--between", type=number(int, least=1, most=99), metavar="N", help=moments)
    both = "the benchmark at {} and at {} Hz: errors of pixels that clip for long, at the stamps of both"
    add("--rates", action="store_true", help=both.format(*rates.RATES))
    blurred = (
        "the benchmark with exposures of 40 to 100 ms instead, in which the image moves by 10 to 30 px, "
    )
    add("--blur", action="store_true", help=blurred + "and the truth of their middle")
    add("--pictures", metavar="DIR", help="write a picture, a video and EXR frames of every sequence")
    output = "JSON file for the measures; DIR/metrics.json if there is a DIR"
    add("-o", "--output", type=new_file, help=output)
    add_real_recordings(parser)
    add_consumers(parser)


def run(args: argparse.Namespace) -> None:
    _require_form(args)
    vars(args).update({name: x for name, x in _DEFAULTS.items() if getattr(args, name) is None})
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
    for consumer in (report for name, report in CONSUMERS.items() if getattr(args, name)):
        _write(args.output, consumer(args))
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


def _require_form(args: argparse.Namespace) -> None:
    """Raise InputError where the options choose none of FORMS, or one that doesn't take all of them."""
    given = [name for name, x in vars(args).items() if x is not None and x is not False]
    chosen = [name for name in given if name in " ".join(FORMS).split()]
    form = next((form for form in FORMS if set(form.split()) == set(chosen)), None)
    if form is None:
        firsts = dict.fromkeys(form.split()[0] for form in FORMS)
        begun = [form for form in FORMS if chosen and set(chosen) < set(form.split())]
        near = [form for form in FORMS if (set(chosen) - set(firsts)) & set(form.split())]
        apart = f"{_options(' '.join(chosen))} don't go together: " if chosen and not begun else ""
        forms = " or ".join(map(_options, begun or near or firsts))
        raise InputError(f"{apart}give {forms}; --help lists what goes with which")
    for name in given:
        if name not in (*chosen, *FORMS[form].split(), *_ALWAYS):
            takers = " or ".join(_options(other) for other, takes in FORMS.items() if name in takes.split())
            raise InputError(f"{_options(name)} goes with {takers}, not with {_options(form)}")


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
