import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from rehdr_ros.errors import InputError
from rehdr_ros.events import Packet
from rehdr_ros.network import Rehdr, RehdrConfig
from rehdr_ros.products import NAMED
from rehdr_ros.recordings import BagRecording, BagWriter, RecordingError, write_exr
from rehdr_ros.recordings.results.folder import ResultWriter
from rehdr_ros.simulation import SimulationConfig
from rehdr_ros.simulation.bag import EVENTS_TOPIC, IMAGE_TOPIC, TRUTH_TOPIC, write_bag
from rehdr_ros.simulation.procedural import procedural_canvas
from rehdr_ros.training.baselines import BASELINES
from rehdr_ros.training.evaluation import (
    WITHOUT_EVENTS,
    compare,
    compare_folder,
    compare_with_truth,
    json_text,
    mean_of,
    table,
    table_by_sequence,
)
from rehdr_ros.training.metrics import score
from rehdr_ros.training.simulated import simulated_sequence
from rehdr_ros.training.validation import encoded
from rehdr_ros.training.validation import images as frames_of


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
    with ResultWriter(path) as results:
        for index, (stamp, image) in enumerate(images.items()):
            results.write({NAMED["hdr"]: image}, {"index": index, "stamp_ns": stamp, "events": 0})
    return path


def test_a_reconstruction_of_the_truth_beats_the_baselines_whatever_its_scale(tmp_path, bag, truth):
    folder = written(tmp_path / "out", {stamp: 3.001 * image for stamp, image in truth.items()})
    scores = compare_folder(folder, bag).scores()
    assert list(scores) == ["ours", *BASELINES]
    assert scores["ours"]["clipped_log2_rmse"] < 1e-3
    assert scores["ours"]["mu_psnr"] > 60 > scores["constant_fill"]["mu_psnr"]
    assert scores["ldr"]["clipped_log2_rmse"] > 0.03
    assert scores["ldr"]["mu_psnr_well_exposed"] > 30


def test_frames_are_paired_by_their_stamps(tmp_path, bag, truth):
    """Frames that were skipped, or that come in another order, don't shift the others."""
    stamps = list(truth)
    some = {stamp: 1.001 * truth[stamp] for stamp in (stamps[3], stamps[1])}
    strange = {stamps[0] + 1: truth[stamps[0]] * 0}
    scores = compare_folder(written(tmp_path / "out", {**strange, **some}), bag).scores()
    assert scores["ours"]["clipped_log2_rmse"] < 1e-3


def test_all_are_scored_on_the_frames_that_all_have(bag, truth):
    stamps = list(truth)
    first = {stamp: truth[stamp] * 1.001 for stamp in stamps[:3]}
    wrong_outside = {stamp: truth[stamp] * (1.001 if stamp in first else 100.0) for stamp in stamps}
    for images in ({"a": first, "b": wrong_outside}, {"b": wrong_outside, "a": first}):
        scores = compare_with_truth(images, bag).scores()
        assert scores["a"] == pytest.approx(scores["b"], nan_ok=True)


def test_the_baseline_is_linearised_by_the_response_of_the_simulated_camera(bag, truth):
    images = {stamp: truth[stamp] * 1.001 for stamp in truth}
    assert compare_with_truth({"ours": images}, bag).scores()["ldr"]["mu_psnr_well_exposed"] > 45


def test_what_is_missing_is_named(tmp_path, bag, truth):
    with pytest.raises(RecordingError, match="frames.csv"):
        compare_folder(tmp_path, bag)
    stamp, image = next(iter(truth.items()))
    folder = written(tmp_path / "other", {stamp + 5: image})
    with pytest.raises(ValueError, match="no frame with truth"):
        compare_folder(folder, bag)
    with pytest.raises(RecordingError, match="gone"):
        compare_folder(folder, tmp_path / "gone")
    (folder / "hdr" / "000000.exr").unlink()
    with pytest.raises(FileNotFoundError, match="000000.exr"):
        compare_folder(folder, bag)


def test_a_folder_of_another_method_needs_two_columns_and_the_frames(tmp_path, bag, truth):
    table = tmp_path / "frames.csv"
    (tmp_path / "hdr").mkdir()
    for index, image in enumerate(truth.values()):
        write_exr(tmp_path / f"hdr/{index:06d}.exr", 1.001 * image)
    whole = [f"{index},{stamp}" for index, stamp in enumerate(truth)]
    table.write_text("\n".join(["index,stamp_ns", *whole[1:]]))
    comparison = compare_folder(tmp_path, bag)
    assert len(comparison.truth) == len(truth) - 1 and comparison.scores()["ours"]["log2_rmse"] < 1e-3
    for wrong in ("index\n0", "index,stamp_ns\n0,1000000000000.0", "index,stamp_ns\n0"):
        table.write_text(wrong)
        with pytest.raises(InputError, match="frames.csv needs columns index and stamp_ns"):
            compare_folder(tmp_path, bag)
    table.write_text("\n".join(["index,stamp_ns", *whole]))
    write_exr(tmp_path / "hdr/000002.exr", np.full((24, 32, 3), np.nan, np.float32))
    with pytest.raises(InputError, match="hdr/000002.exr has values that are not finite"):
        compare_folder(tmp_path, bag)
    write_exr(tmp_path / "hdr/000002.exr", np.ones((12, 16, 3), np.float32))
    with pytest.raises(InputError, match="ours: the frame at .* ns has 16x12 pixels, its truth 32x24"):
        compare_folder(tmp_path, bag)


def rewritten(bag, path, convert, encoding):
    """The same bag with frames of another encoding."""
    source = BagRecording(bag)
    truth = {frame.stamp_ns: frame.image for frame in source.frames(TRUTH_TOPIC)}
    with BagWriter(path) as written:
        for message in source.messages():
            if isinstance(message, Packet):
                written.write_packet(EVENTS_TOPIC, message, "")
            else:
                written.write_image(IMAGE_TOPIC, message.stamp_ns, "", convert(message.image), encoding)
                written.write_image(TRUTH_TOPIC, message.stamp_ns, "", truth[message.stamp_ns], "32FC3")
    return path


def test_frames_of_any_depth_and_response_score_alike(tmp_path, bag, truth):
    images = {"ours": {stamp: 1.5 * image for stamp, image in truth.items()}}

    def scores(name, convert, *of_frames):
        deep = rewritten(bag, tmp_path / name, convert, "rgb16")
        return compare_with_truth(images, deep, *of_frames).scores()

    expected = compare_with_truth(images, bag).scores()
    others = [
        scores("full", lambda x: x.astype(np.uint16) * 257),
        scores("12 bits", lambda x: x.astype(np.uint16) * 16, 2.2, 255 * 16),
        scores("linear", lambda x: np.rint(65535 * (x / 255) ** 2.2).astype(np.uint16), 1.0),
    ]
    for other in others:
        for name in expected:
            assert other[name] == pytest.approx(expected[name], abs=1e-6, nan_ok=True)


@pytest.fixture(scope="module")
def adapting(tmp_path_factory):
    """A bag of a camera whose exposure adapts, and tells, and its samples."""
    path = tmp_path_factory.mktemp("adapting") / "bag"
    config = SimulationConfig(
        scene="hall",
        width=48,
        height=36,
        seconds=0.8,
        fps=10,
        seed=7,
        speed=75,
        auto_exposure=True,
        renders=200,
    )
    return path, list(write_bag(config, path))


def test_baselines_are_brought_to_one_exposure(adapting):
    """As the truth is: where frames are exposed they all are what the camera has measured."""
    path, samples = adapting
    exposures = [sample.exposure for sample in samples]
    assert max(exposures) > 1.3 * min(exposures)
    images = {f.stamp_ns: f.image for f in BagRecording(path).frames(TRUTH_TOPIC)}
    comparison = compare_with_truth({"ours": images}, path)
    scores = comparison.scores()
    for name in BASELINES:
        assert scores[name]["well_exposed_log2_rmse"] < 0.1, name
    assert scores["filter"]["clipped_log2_rmse"] < scores["ldr"]["clipped_log2_rmse"]


@pytest.fixture(scope="module")
def sequence():
    """Eight frames, a third of their pixels clipped, seen by a camera that moves fast."""
    config = SimulationConfig(width=40, height=40, seconds=0.8, fps=10, seed=5, speed=100, clipped=0.3)
    return simulated_sequence(config, procedural_canvas(5, 120, 160))


@pytest.fixture(scope="module")
def head_start():
    """An untrained network."""
    torch.manual_seed(0)
    return Rehdr(RehdrConfig(base_channels=4, scales=1)).eval()


def test_networks_are_compared_with_events_and_with_none_beside_the_baselines(sequence, head_start):
    other = Rehdr(RehdrConfig(base_channels=4, scales=1)).eval()
    with torch.no_grad():
        other.body.prediction.conv.bias[1] = -1e4  # its share of the head start: nothing
    comparison = compare(sequence, {"mine": head_start, "frames": other})
    names = [*BASELINES, "mine", "mine" + WITHOUT_EVENTS, "frames", "frames" + WITHOUT_EVENTS]
    assert list(comparison.rows) == names
    rows = (*comparison.rows.values(), comparison.ldr, comparison.grids, comparison.truth)
    assert {len(row) for row in rows} == {8}
    np.testing.assert_array_equal(comparison.truth[5], sequence.truth[5].permute(1, 2, 0))
    error = {name: row["clipped_log2_rmse"] for name, row in comparison.scores().items()}
    assert error["mine"] < 0.9 * error["ldr"] and error["mine"] < 0.95 * error["mine" + WITHOUT_EVENTS]
    assert error["mine"] < error["frames"] < error["ldr"]
    # But far above white, where events carry it, the head start has its say.
    assert error["frames"] == pytest.approx(error["frames" + WITHOUT_EVENTS], rel=0.01)


def test_the_first_three_frames_count_for_nothing(sequence, head_start):
    def scores_with(truth):
        return json_text(compare(replace(sequence, truth=truth), {"x": head_start}).scores())

    truth = sequence.truth.clone()
    before = scores_with(truth)
    truth[:3] = 1e3
    assert scores_with(truth) == before
    truth[3] = 1e3
    assert scores_with(truth) != before


def test_scores_are_those_of_the_measures(sequence):
    ldr, truth = frames_of(sequence.ldr[None])[0], frames_of(sequence.truth[None])[0]
    expected = score(ldr[3:], encoded(ldr)[3:], truth[3:])
    shares = {"clipped_error_share": 1, "structure_error_share": 1}
    assert compare(sequence, {}).scores()["ldr"] == pytest.approx(expected | shares, rel=1e-4, nan_ok=True)


def test_errors_are_told_as_shares_of_the_frames(sequence):
    scores = compare(sequence, {}).scores()
    for share, measure in (
        ("clipped_error_share", "clipped_log2_rmse"),
        ("structure_error_share", "structure_error_clipped"),
    ):
        for values in scores.values():
            assert values[share] == pytest.approx(values[measure] / scores["ldr"][measure])
    assert scores["filter"]["clipped_error_share"] < 0.9


def test_networks_get_other_events_in_rows_of_their_own(sequence, head_start):
    others = {", backwards": sequence.voxel.flip(0), ", the same": sequence.voxel}
    rows = compare(sequence, {"x": head_start}, {"ldr": BASELINES["ldr"]}, others).rows
    assert list(rows) == ["ldr", "x", "x" + WITHOUT_EVENTS, "x, backwards", "x, the same"]
    np.testing.assert_array_equal(rows["x"], rows["x, the same"])
    assert np.abs(np.subtract(rows["x"], rows["x, backwards"])).max() > 0.1


def test_fewer_frames_may_be_skipped(sequence):
    whole = compare(sequence, {}, skipped=0).scores()["ldr"]
    frames, truth = frames_of(sequence.ldr[None])[0], frames_of(sequence.truth[None])[0]
    assert whole["log2_rmse"] == pytest.approx(score(frames, encoded(frames), truth)["log2_rmse"], rel=1e-4)


def test_means_are_by_method_and_measure():
    scores = [{"a": {"x": 1.0, "y": 2.0}}, {"a": {"x": 3.0, "y": math.nan}}]
    assert mean_of(scores) == {"a": {"x": 2.0, "y": 2.0}}


def test_a_table_has_a_column_a_method_and_a_row_a_measure():
    scores = {
        "ours": {"mu_psnr": 31.25, "clipped_log2_rmse": 0.5},
        "ours without events": {"mu_psnr": 9.0, "clipped_log2_rmse": math.nan},
    }
    assert table(scores).splitlines() == [
        f"{'':30}      ours  ours without events",
        f"{'mu_psnr':30}    31.250                9.000",
        f"{'clipped_log2_rmse':30}     0.500                  nan",
    ]


def test_a_measure_by_sequence_has_the_mean_first():
    first, second = {"a": {"x": 1.0}, "b": {"x": 4.0}}, {"a": {"x": 3.0}, "b": {"x": math.nan}}
    sequences = {"first one": first, "b": second}
    assert table_by_sequence(sequences, "x").splitlines() == [
        f"{'x':40}    mean  first one       b",
        f"{'a':40}   2.000      1.000   3.000",
        f"{'b':40}   4.000      4.000     nan",
    ]


def test_a_table_shows_every_measure_of_a_real_evaluation(sequence):
    scores = compare(sequence, {}).scores()
    head, *rows = table(scores).splitlines()
    assert head.split() == list(BASELINES)
    assert [row.split()[0] for row in rows] == list(scores["ldr"])
    assert {len(row) for row in rows} == {len(head)}
    values = np.array([[float(x) for x in row.split()[1:]] for row in rows])
    np.testing.assert_allclose(values.T, [list(row.values()) for row in scores.values()], atol=6e-4)


def test_figures_that_do_not_exist_are_null_in_json():
    scores = {"ours": {"mu_psnr": math.inf, "clipped_log2_rmse": math.nan, "mu_psnr_clipped": 20.5}}
    assert json.loads(json_text(scores)) == {
        "ours": {"mu_psnr": None, "clipped_log2_rmse": None, "mu_psnr_clipped": 20.5}
    }
