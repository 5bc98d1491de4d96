import json
import math

import pytest

from rehdr_ros.recordings import BagRecording, RecordingError
from rehdr_ros.recordings.results import ResultWriter
from rehdr_ros.simulation import SimulationConfig
from rehdr_ros.simulation.bag import write_bag
from rehdr_ros.training.evaluation import evaluate_folder, json_text, score_with_baselines, table

START = 1_000_000_000_000


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    path = tmp_path_factory.mktemp("evaluation") / "bag"
    config = SimulationConfig(width=32, height=24, seconds=0.4, fps=10, seed=1, renders=20, speed=100)
    list(write_bag(config, path, "evt3"))
    return path


@pytest.fixture
def truth(bag):
    return {frame.stamp_ns: frame.image for frame in BagRecording(bag).frames("/ground_truth/hdr/image_raw")}


def written(path, images):
    """A folder as `rehdr reconstruct` leaves it."""
    with ResultWriter(path, fps=10) as results:
        for index, (stamp, image) in enumerate(images.items()):
            display = (255 * image.clip(0, 1)).astype("uint8")
            results.write(image, display, {"index": index, "stamp_ns": stamp, "events": 0})
    return path


def test_a_reconstruction_of_the_truth_beats_the_baselines_whatever_its_scale(tmp_path, bag, truth):
    folder = written(tmp_path / "out", {stamp: 3.001 * image for stamp, image in truth.items()})
    scores = evaluate_folder(folder, bag)
    assert list(scores) == ["ours", "ldr", "constant_fill"]
    assert scores["ours"]["clipped_log2_rmse"] < 1e-3
    assert scores["ours"]["mu_psnr"] > 60 > scores["constant_fill"]["mu_psnr"]
    assert scores["ldr"]["clipped_log2_rmse"] > 0.03
    assert scores["ldr"]["mu_psnr_well_exposed"] > 30


def test_frames_are_paired_by_their_stamps(tmp_path, bag, truth):
    """Frames that were skipped, or that come in another order, don't shift the others."""
    stamps = list(truth)
    some = {stamp: 1.001 * truth[stamp] for stamp in (stamps[3], stamps[1])}
    strange = {stamps[0] + 1: truth[stamps[0]] * 0}
    scores = evaluate_folder(written(tmp_path / "out", {**strange, **some}), bag)
    assert scores["ours"]["clipped_log2_rmse"] < 1e-3


def test_all_are_scored_on_the_frames_that_all_have(bag, truth):
    stamps = list(truth)
    first = {stamp: truth[stamp] * 1.001 for stamp in stamps[:3]}
    wrong_outside = {stamp: truth[stamp] * (1.001 if stamp in first else 100.0) for stamp in stamps}
    for images in ({"a": first, "b": wrong_outside}, {"b": wrong_outside, "a": first}):
        scores = score_with_baselines(images, bag)
        assert scores["a"] == scores["b"]


def test_the_baseline_is_linearised_by_the_response_of_the_simulated_camera(bag, truth):
    images = {stamp: truth[stamp] * 1.001 for stamp in truth}
    assert score_with_baselines({"ours": images}, bag)["ldr"]["mu_psnr_well_exposed"] > 45


def test_what_is_missing_is_named(tmp_path, bag, truth):
    with pytest.raises(RecordingError, match="frames.csv"):
        evaluate_folder(tmp_path, bag)
    stamp, image = next(iter(truth.items()))
    folder = written(tmp_path / "other", {stamp + 5: image})
    with pytest.raises(ValueError, match="no frame with truth"):
        evaluate_folder(folder, bag)
    with pytest.raises(RecordingError, match="gone"):
        evaluate_folder(folder, tmp_path / "gone")
    (folder / "hdr" / "000000.exr").unlink()
    with pytest.raises(FileNotFoundError, match="000000.exr"):
        evaluate_folder(folder, bag)


def test_a_table_has_a_row_a_name_and_a_column_a_measure(bag, truth):
    scores = score_with_baselines({"ours": {stamp: truth[stamp] * 1.001 for stamp in truth}}, bag)
    head, *rows = table(scores).splitlines()
    assert head.split() == ["mu_psnr", "mu_psnr_clipped", "mu_psnr_well_exposed", "clipped_log2_rmse"]
    assert [row.split()[0] for row in rows] == ["ours", "ldr", "constant_fill"]
    assert len({len(line) for line in (head, *rows)}) == 1


def test_figures_that_do_not_exist_are_null_in_json():
    scores = {"ours": {"mu_psnr": math.inf, "clipped_log2_rmse": math.nan, "mu_psnr_clipped": 20.5}}
    assert json.loads(json_text(scores)) == {
        "ours": {"mu_psnr": None, "clipped_log2_rmse": None, "mu_psnr_clipped": 20.5}
    }
