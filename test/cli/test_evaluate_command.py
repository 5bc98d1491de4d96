"""rehdr evaluate: its forms, and what cannot be."""

import argparse
import json
import math
from shutil import copytree

import numpy as np
import pytest

from rehdr_ros.cli.verbs import evaluate
from rehdr_ros.network import Rehdr, RehdrConfig, save_checkpoint
from rehdr_ros.recordings import write_exr
from rehdr_ros.simulation import SimulationConfig
from rehdr_ros.simulation.bag import write_bag
from rehdr_ros.simulation.procedural import procedural_canvas
from rehdr_ros.training.baselines import BASELINES
from rehdr_ros.training.benchmark import DISTURBANCES
from rehdr_ros.training.export import cached_folder
from rehdr_ros.training.statistics import STATISTICS


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """A folder with one small scene."""
    folder = tmp_path_factory.mktemp("scenes")
    write_exr(folder / "canvas.exr", procedural_canvas(2, 60, 80))
    return folder


@pytest.fixture(scope="module")
def other_weights(tmp_path_factory):
    """Those of a network that takes grids of 3 bins."""
    path = tmp_path_factory.mktemp("other") / "other.safetensors"
    save_checkpoint(Rehdr(RehdrConfig(base_channels=2, scales=1, bins=3)), path)
    return path


def columns(text: str) -> list[list[str]]:
    """The methods of every table that was printed."""
    indented = (line for line in text.splitlines() if line.startswith(" " * 24))
    return [line.replace(" without events", "_without_events").split() for line in indented]


def test_a_reconstruction_is_compared_with_the_truth_of_a_bag(rehdr, simulated_bag, tiny_weights, tmp_path):
    options = ["--weights", tiny_weights, "--device", "cpu"]
    assert rehdr("reconstruct", simulated_bag, "-o", tmp_path / "out", *options).code == 0
    outcome = rehdr("evaluate", "--predicted", tmp_path / "out", "--truth", simulated_bag)
    assert outcome.code == 0
    scores = json.loads((tmp_path / "out/metrics.json").read_text())
    assert columns(outcome.out) == [["ours", *BASELINES]] == [list(scores)]
    assert outcome.out.startswith("10 of 10 frames of the truth\n")
    assert scores["ours"]["clipped_log2_rmse"] < scores["ldr"]["clipped_log2_rmse"]
    elsewhere = ["-o", tmp_path / "elsewhere.json"]
    assert rehdr("evaluate", "--predicted", tmp_path / "out", "--truth", simulated_bag, *elsewhere).code == 0
    assert json.loads((tmp_path / "elsewhere.json").read_text()) == scores


def test_networks_are_compared_on_the_benchmark(rehdr, scenes, tiny_weights, tmp_path):
    report = tmp_path / "report.json"
    outcome = rehdr("evaluate", "--benchmark", scenes, "--size", 16, "--weights", tiny_weights, "-o", report)
    assert outcome.code == 0, outcome.err
    assert columns(outcome.out) == [[*BASELINES, "tiny", "tiny_without_events"]]
    result = json.loads(report.read_text())
    assert list(result) == ["mean", "sequences"]
    assert list(result["sequences"]) == ["canvas 10%", "canvas 20%", "canvas 40%"]
    errors = [scores["ldr"]["clipped_log2_rmse"] for scores in result["sequences"].values()]
    assert result["mean"]["ldr"]["clipped_log2_rmse"] == pytest.approx(sum(errors) / 3)


def test_errors_at_two_frame_rates_are_printed_and_written(rehdr, scenes, tiny_weights, tmp_path):
    report, options = tmp_path / "report.json", ["--size", 24, "--weights", tiny_weights]
    outcome = rehdr("evaluate", "--benchmark", scenes, "--rates", *options, "-o", report)
    assert outcome.code == 0, outcome.err
    result = json.loads(report.read_text())
    measures = ["clipped_log2_rmse_10_hz", "clipped_log2_rmse_40_hz", "difference"]
    assert list(result["mean"]["tiny"]) == measures
    assert all(measure in outcome.out for measure in measures) and "canvas 20%" in outcome.out
    for others in (["--disturbed"], ["--pictures", tmp_path], ["--between", 4], ["--blur"]):
        outcome = rehdr("evaluate", "--benchmark", scenes, "--rates", *others)
        assert outcome.code == 2
        assert_one_line(outcome, "--rates")


def test_each_disturbance_is_printed_and_written(rehdr, scenes, tiny_weights, tmp_path):
    report = tmp_path / "report.json"
    options = ["--size", 16, "--weights", tiny_weights, "--disturbed", "-o", report]
    outcome = rehdr("evaluate", "--benchmark", scenes, *options)
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    said = [line.removeprefix("disturbed by: ") for line in lines if line.startswith("disturbed")]
    result = json.loads(report.read_text())
    assert said == list(result) == list(DISTURBANCES)
    assert len(columns(outcome.out)) == len(DISTURBANCES)
    errors = {name: part["mean"]["filter"]["clipped_log2_rmse"] for name, part in result.items()}
    assert len(set(errors.values())) == len(errors)


@pytest.fixture(scope="module")
def bright_bag(tmp_path_factory):
    """A scene with something far above white, which only events tell."""
    path = tmp_path_factory.mktemp("bright") / "bag"
    for _ in write_bag(SimulationConfig(width=64, height=48, seconds=1.0, fps=10.0, seed=12), path):
        pass
    return path


@pytest.fixture(scope="module")
def bright_folder(bright_bag):
    """The same as images and grids."""
    return cached_folder(bright_bag, 5)


@pytest.mark.parametrize("kind", ["a bag", "a folder of bags", "folders of images and grids"])
def test_networks_are_compared_on_recordings(rehdr, bright_bag, bright_folder, tiny_weights, tmp_path, kind):
    path = bright_folder if kind == "folders of images and grids" else tmp_path / "bags"
    if path == tmp_path / "bags":
        copytree(bright_bag, path / "bag")
    report = tmp_path / "report.json"
    recordings = path / "bag" if kind == "a bag" else path
    outcome = rehdr("evaluate", "--recordings", recordings, "--weights", tiny_weights, "-o", report)
    assert outcome.code == 0, outcome.err
    result = json.loads(report.read_text())
    assert len(result["sequences"]) == 1
    mean = {name: scores["clipped_log2_rmse"] for name, scores in result["mean"].items()}
    assert mean["tiny"] < 0.9 * mean["tiny without events"] and mean["tiny"] < 0.9 * mean["ldr"]


def by_sequence(text: str) -> dict[str, list[str]]:
    """The rows of every table with a column a sequence, by measure."""
    blocks = [block.splitlines() for block in text.split("\n\n")[1:]]
    return {lines[0].split()[0]: [line[:40].strip() for line in lines[1:]] for lines in blocks}


def test_real_recordings_are_clipped_again(rehdr, shared, tiny_weights, tmp_path):
    names = ("davis346", "street")
    paths = [shared / f"data/recordings/{name}.aedat4" for name in names]
    report, pictures = tmp_path / "report.json", tmp_path / "pictures"
    options = [
        "--reclip",
        "0.15,0.3",
        "--frames",
        "8",
        "--wrong-events",
        "--weights",
        tiny_weights,
        "--pictures",
        pictures,
        "-o",
        report,
    ]
    outcome = rehdr("evaluate", "--recordings", *paths, *options)
    assert outcome.code == 0, outcome.err
    result = json.loads(report.read_text())
    assert list(result["sequences"]) == [f"{name} {share}%" for name in names for share in (15, 30)]
    wrong = ["", " without events", ", another recording's events", ", events 50 ms late"]
    methods = [*BASELINES, "constant_lift", *("tiny" + suffix for suffix in wrong)]
    assert list(result["mean"]) == methods
    measures = ["clipped_error_share", "structure_error_share", "structure_correlation_clipped"]
    assert by_sequence(outcome.out) == dict.fromkeys(measures, methods)
    sequences = result["sequences"].values()
    shares = {name: [s[name]["clipped_error_share"] for s in sequences] for name in methods}
    assert result["mean"]["head_start"]["clipped_error_share"] == pytest.approx(np.mean(shares["head_start"]))
    assert shares["ldr"] == [1] * 4 and 0.75 < np.mean(shares["head_start"]) < 0.88
    assert np.mean(shares["constant_lift"]) < 0.85
    assert np.mean(shares["tiny"]) != np.mean(shares["tiny without events"])
    assert shares["tiny"] == pytest.approx(shares["head_start"], abs=0.01), "untrained it is the head start"
    assert result["mean"]["ldr"]["structure_error_share"] == 1
    for name in result["sequences"]:
        assert (pictures / f"{name.replace(' ', '_')}.png").is_file()


def test_how_a_recording_is_read_can_be_told(rehdr, shared, tiny_weights, tmp_path):
    """Another response, frame time or latency gives other figures; fewer frames too."""
    path, errors = shared / "data/recordings/street.aedat4", set()
    for number, option in enumerate(
        [(), ("--response", "2.2"), ("--frame-time", "start"), ("--event-latency", "0.02"), ("--frames", "3")]
    ):
        report = tmp_path / f"{number}.json"
        options = ["--frames", "5", "--reclip", "0.3", "--weights", tiny_weights, "-o", report, *option]
        assert rehdr("evaluate", "--recordings", path, *options).code == 0
        errors.add(json.loads(report.read_text())["mean"]["filter"]["clipped_log2_rmse"])
    assert len(errors) == 5


def test_what_cannot_be_clipped_again(rehdr, simulated_bag, tiny_weights, tmp_path):
    def refused(*options):
        return rehdr("evaluate", "--weights", tiny_weights, *options)

    outcome = refused("--benchmark", "procedural", "--reclip", "0.3")
    assert_one_line(outcome, "--benchmark --reclip don't go together: give --recordings --reclip or")
    outcome = refused("--recordings", simulated_bag, "--wrong-events")
    assert_one_line(outcome, "--wrong-events goes with --recordings --reclip, not with --recordings")
    assert_one_line(refused("--recordings", simulated_bag, "--reclip", "0.1;0.3"), "0.1;0.3", "as 0.15,0.3")
    assert_one_line(refused("--recordings", simulated_bag, "--reclip", "1.5"), "between 0 and 1")
    assert_one_line(refused("--recordings", tmp_path / "nowhere", "--reclip", "0.3"), tmp_path / "nowhere")
    options = ["--reclip", "0.3", "--wrong-events"]
    assert_one_line(refused("--recordings", simulated_bag, *options), "another recording of the same size")


def test_recordings_are_held_against_the_simulations_of_a_training(rehdr, shared, tmp_path):
    """A training with more to see: its quantiles are others, and the recording's are the same."""
    path, config = shared / "data/recordings/street.aedat4", tmp_path / "training.yaml"
    settings = "frames: 4\nsize: 32\nvariety:\n  exposure: [{}]\n"
    reports = []
    for exposure in ("0.0004, 0.0006", "0.01, 0.02"):
        config.write_text(settings.format(exposure))
        report = tmp_path / "report.json"
        options = ["--statistics", "--training", config, "--sequences", 6, "-o", report]
        outcome = rehdr("evaluate", "--recordings", path, *options)
        assert outcome.code == 0, outcome.err
        head, *rows = outcome.out.splitlines()
        assert head.split() == ["street", "train", "5%", "50%", "95%"] and len(rows) == len(STATISTICS)
        reports.append(json.loads(report.read_text()))
        assert list(reports[-1]) == list(STATISTICS)
    within, outside = (report["exposure"] for report in reports)
    assert within["recordings"] == {"street": {"value": 0.0005, "within": True}}
    assert outside["recordings"] == {"street": {"value": 0.0005, "within": False}}
    assert 0.0004 < within["training"]["5%"] < within["training"]["95%"] < 0.0006
    first, second = (report["r2"]["recordings"]["street"]["value"] for report in reports)
    assert first == second


def test_what_has_no_statistics(rehdr, simulated_bag, tmp_path):
    def refused(*options):
        return rehdr("evaluate", "--statistics", *options)

    assert_one_line(
        refused("--benchmark", "procedural"), "don't go together: give --recordings --statistics;"
    )
    both = "--recordings --reclip --statistics don't go together"
    assert_one_line(refused("--recordings", simulated_bag, "--reclip", "0.3"), both)
    assert_one_line(refused("--recordings", simulated_bag, "--sequences", 0), "--sequences: 0")
    nowhere = tmp_path / "nowhere.yaml"
    assert_one_line(refused("--recordings", simulated_bag, "--training", nowhere), nowhere)
    nowhere.write_text("frames: -1")
    assert_one_line(refused("--recordings", simulated_bag, "--training", nowhere), "frames=-1")


def test_figures_that_do_not_exist_are_null(rehdr, tiny_weights, tmp_path):
    """In a scene without a dark pixel; the file stays strict JSON."""
    write_exr(tmp_path / "flat.exr", np.ones((60, 80, 3), np.float32))
    report = tmp_path / "report.json"
    options = ["--size", 16, "--weights", tiny_weights, "-o", report]
    outcome = rehdr("evaluate", "--benchmark", tmp_path, *options)
    assert outcome.code == 0, outcome.err

    def refuse(constant):
        raise AssertionError(constant)

    result = json.loads(report.read_text(), parse_constant=refuse)
    assert result["mean"]["tiny"]["dark_log2_rmse"] is None
    assert math.isfinite(result["mean"]["tiny"]["mu_psnr"])


def assert_one_line(outcome, *words):
    assert outcome.code == 2
    (line,) = outcome.err.splitlines()
    assert all(str(word) in line for word in words), line


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "evaluate: give --predicted or --benchmark or --recordings or --odometry or "),
        (["--predicted", "out"], "evaluate: give --predicted --truth;"),
        (["--truth", "bag"], "evaluate: give --predicted --truth;"),
        (["--rates"], "evaluate: give --benchmark --rates;"),
        (["--truth", "bag", "--benchmark", "procedural"], "--truth --benchmark don't go together: give "),
        (["--benchmark", "procedural", "--recordings", "bag"], "don't go together"),
        (["--predicted", "out", "--truth", "bag", "--recordings", "bag"], "don't go together"),
        (["--benchmark", "procedural", "--disturbed", "--blur"], "don't go together"),
        (["--recordings", "bag", "--blur"], "don't go together"),
    ],
)
def test_one_of_the_forms_must_be_chosen(rehdr, options, said):
    assert_one_line(rehdr("evaluate", *options), said)


@pytest.mark.parametrize(
    ("options", "ignored"),
    [
        ("--predicted out --truth bag", "--pictures x"),
        ("--predicted out --truth bag", "--weights rehdr_s"),
        ("--predicted out --truth bag", "--frame-time middle"),
        ("--benchmark procedural", "--response 2.2"),
        ("--benchmark procedural --rates", "--pictures x"),
        ("--recordings bag", "--size 192"),
        ("--recordings bag", "--frames 60"),
        ("--recordings bag", "--event-latency 0"),
        ("--recordings bag --statistics", "--weights nope"),
        ("--recordings bag --reclip 0.3", "--sequences 100"),
        ("--recordings bag --reclip 0.3 --downstream", "--pictures x"),
        ("--tunnel", "--seeds 5"),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(rehdr, options, ignored):
    option = ignored.split()[0]
    outcome = rehdr("evaluate", *options.split(), *ignored.split())
    assert_one_line(outcome, f"{option} goes with --", ", not with --")


def test_every_option_goes_with_some_form():
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    names = vars(parser.parse_args([])).keys() - {"output"}
    assert names == set(" ".join([*evaluate.FORMS, *evaluate.FORMS.values()]).split())
    given = {name: value for name, value in vars(parser.parse_args([])).items() if value not in (None, False)}
    assert not given, "what is not given can't be told from what is"


@pytest.mark.parametrize("wrong", [["--frames", "0"], ["--frames", "-1"], ["--white-level", "70000"]])
def test_numbers_have_bounds(rehdr, wrong):
    outcome = rehdr("evaluate", "--recordings", "bag", "--reclip", "0.3", *wrong)
    assert_one_line(outcome, f"{wrong[0]}: {wrong[1]}: must be")


def test_where_the_measures_go_is_checked_first(rehdr, tmp_path):
    for place in (tmp_path / "nowhere" / "x.json", tmp_path):
        outcome = rehdr("evaluate", "--odometry", "--weights", "nope", "-o", place)
        assert_one_line(outcome, "-o", place, "folder")


def test_how_frames_are_encoded_can_be_told(rehdr, bright_bag, tiny_weights, tmp_path):
    assert rehdr("reconstruct", bright_bag, "-o", tmp_path / "out", "--weights", tiny_weights).code == 0
    told = []
    for form in (
        ["--predicted", tmp_path / "out", "--truth", bright_bag],
        ["--recordings", bright_bag, "--weights", tiny_weights],
    ):
        for response in ([], ["--response", "1"]):
            outcome = rehdr("evaluate", *form, *response, "-o", tmp_path / "report.json")
            assert outcome.code == 0, outcome.err
            report = json.loads((tmp_path / "report.json").read_text())
            told.append(report.get("mean", report)["ldr"]["well_exposed_log2_rmse"])
    assert told[0] < 0.1 < 0.4 < told[1] and told[2] < 0.1 < 0.4 < told[3]


def test_options_add_up(rehdr, scenes, tiny_weights, tmp_path):
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(tiny_weights.read_bytes())
    options = ["--size", 16, "--weights", tiny_weights, "--weights", copy]
    outcome = rehdr("evaluate", "--benchmark", scenes, *options)
    assert outcome.code == 0, outcome.err
    assert {"tiny", "copy"} <= set(columns(outcome.out)[0])


def test_what_is_not_there_is_named(rehdr, tiny_weights, tmp_path):
    nowhere = tmp_path / "nowhere"
    assert_one_line(rehdr("evaluate", "--benchmark", nowhere, "--weights", tiny_weights), nowhere)
    assert_one_line(rehdr("evaluate", "--recordings", nowhere, "--weights", tiny_weights), nowhere)
    assert_one_line(rehdr("evaluate", "--benchmark", "procedural", "--weights", nowhere), nowhere)
    assert_one_line(rehdr("evaluate", "--predicted", nowhere, "--truth", nowhere), nowhere)


def test_frames_are_of_16_pixels_at_least(rehdr, tiny_weights):
    outcome = rehdr("evaluate", "--benchmark", "procedural", "--size", 15, "--weights", tiny_weights)
    assert_one_line(outcome, "--size: 15")


def test_networks_of_one_name_or_of_other_bins_are_refused(rehdr, scenes, tiny_weights, other_weights):
    weights = ["--weights", tiny_weights, tiny_weights]
    assert_one_line(rehdr("evaluate", "--benchmark", scenes, *weights), "--weights", "a name of its own")
    weights = ["--weights", tiny_weights, other_weights]
    assert_one_line(rehdr("evaluate", "--benchmark", scenes, *weights), "bins", "[3, 5]")


def test_recordings_of_other_bins_or_few_frames_are_refused(
    rehdr, bright_folder, tiny_weights, other_weights, tmp_path
):
    root = copytree(bright_folder, tmp_path / "root")
    outcome = rehdr("evaluate", "--recordings", root, "--weights", other_weights)
    assert_one_line(outcome, root, "5 bins", "take 3")
    for path in root.glob("*/*/*"):
        if not path.stem.endswith(("0", "1", "2")):
            path.unlink()
    assert_one_line(rehdr("evaluate", "--recordings", root, "--weights", tiny_weights), root, "3 frames")
