"""Outputs between the frames by the command: reconstructed, slowed down, and against the truth."""

import csv
import json
import math

import av
import numpy as np
import pytest

from rehdr_ros.recordings import read_exr, write_exr
from rehdr_ros.simulation import SimulationConfig
from rehdr_ros.simulation.procedural import procedural_canvas
from rehdr_ros.training.benchmark import FRAMES, Case
from rehdr_ros.training.between import compare, moments, pumping
from rehdr_ros.training.evaluation import SKIPPED

OUTPUTS = 50  # Hz


@pytest.fixture
def reconstruct(rehdr, simulated_bag, tiny_weights, tmp_path):
    """A function that reconstructs outputs at that rate, and returns the folder."""

    def reconstruct(*options):
        always = "--weights", tiny_weights, "--device", "cpu", "--output-rate", OUTPUTS
        outcome = rehdr("reconstruct", simulated_bag, "-o", tmp_path / "out", *always, *options)
        assert outcome.code == 0, outcome.err
        return tmp_path / "out"

    return reconstruct


def rows(folder) -> list[dict[str, str]]:
    with open(folder / "frames.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_outputs_lie_at_regular_stamps_with_pictures_of_their_own(reconstruct):
    folder = reconstruct()
    table = rows(folder)
    assert {b - a for a, b in zip(stamps(table), stamps(table)[1:], strict=False)} == {10**9 // OUTPUTS}
    assert len(table) == json.loads((folder / "summary.json").read_text())["frames"] > 40
    assert {row["source"] for row in table} == {"between"}
    assert all(0 <= float(row["frame_age"]) < 0.11 for row in table)  # by a latency that is being measured
    first, second = (read_exr(folder / f"hdr/{k:06d}.exr") for k in (11, 12))
    assert not np.array_equal(first, second)


def stamps(table: list[dict[str, str]]) -> list[int]:
    return [int(row["stamp_ns"]) for row in table]


def test_a_video_may_be_slower_than_it_was(reconstruct):
    with av.open(str(reconstruct("--slow-motion", 5) / "video.mp4")) as video:
        assert float(video.streams.video[0].average_rate) == pytest.approx(OUTPUTS / 5, rel=0.01)


@pytest.mark.parametrize(("factor", "rate"), [(200, 0.25), (0.1, 240)])
def test_a_video_may_be_far_slower_and_is_said_to_be_slower_than_asked(
    rehdr, simulated_bag, tiny_weights, tmp_path, factor, rate
):
    options = "--weights", tiny_weights, "--device", "cpu", "--output-rate", OUTPUTS, "--slow-motion", factor
    outcome = rehdr("reconstruct", simulated_bag, "-o", tmp_path / "out", *options)
    assert outcome.code == 0, outcome.err
    with av.open(str(tmp_path / "out" / "video.mp4")) as video:
        assert float(video.streams.video[0].average_rate) == pytest.approx(rate, rel=0.01)
    assert ("note: videos of 240 frames/s, not 500" in outcome.out) == (rate == 240)


def test_a_slow_motion_has_no_other_rate(rehdr, simulated_bag, tmp_path):
    outcome = rehdr("reconstruct", simulated_bag, "-o", tmp_path / "out", "--slow-motion", 5, "--fps", 10)
    assert outcome.code == 2 and "--slow-motion" in outcome.err


def test_outputs_are_compared_with_the_truth_at_their_moments(rehdr, tiny_weights, tmp_path):
    write_exr(tmp_path / "canvas.exr", procedural_canvas(2, 60, 80))
    report = tmp_path / "report.json"
    options = ["--size", 24, "--between", 4, "--weights", tiny_weights, "-o", report]
    outcome = rehdr("evaluate", "--benchmark", tmp_path, *options)
    assert outcome.code == 0, outcome.err
    result = json.loads(report.read_text())
    assert set(result["mean"]) == {"filter", "tiny", "tiny held", "tiny interpolated", "tiny at the frames"}
    errors = {name: values["log2_rmse"] for name, values in result["mean"].items()}
    assert errors["tiny at the frames"] < errors["tiny"] < errors["tiny held"]
    share = result["shares"]["tiny / held"]["log2_rmse"]
    assert share == pytest.approx(errors["tiny"] / errors["tiny held"])


@pytest.mark.parametrize("between", [1, 2, 5, 6, 8])
def test_so_many_moments_between_two_frames(tiny_weights, between):
    """Also where the outputs' period is no whole number of ns."""
    case = Case("small", SimulationConfig(width=16, height=16, clipped=0.3))
    found = moments(case, between)
    assert sum(found.between) == (FRAMES - 1 - SKIPPED) * between
    assert found.rate == 10 * (between + 1)
    scores = compare(found, {"tiny": str(tiny_weights)})
    assert 0 < scores["tiny"]["log2_rmse"] < scores["tiny held"]["log2_rmse"]


@pytest.mark.parametrize("options", [("--recordings", "."), ("--benchmark", "procedural", "--disturbed")])
def test_between_goes_with_the_benchmark_alone(rehdr, options):
    outcome = rehdr("evaluate", *options, "--between", 4)
    assert outcome.code == 2 and "--between" in outcome.err


def test_pumping_is_the_amplitude_at_the_frame_rate():
    truth = [np.ones((4, 4, 3), np.float32)] * 50
    waves = [
        0.1 * math.sin(2 * math.pi * k / 5 + 1) + 0.3 * math.sin(2 * math.pi * k / 25) for k in range(50)
    ]
    predicted = [np.full((4, 4, 3), 2.0**wave, np.float32) for wave in waves]
    assert pumping(predicted, truth, 5) == pytest.approx(0.1, rel=1e-3)
    assert pumping(truth, truth, 5) == 0
