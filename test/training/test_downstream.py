"""Features and detectors in front of simulated and of real frames, in small."""

import cv2
import numpy as np
import pytest
import torch

from rehdr_ros.events import Events
from rehdr_ros.network import load_checkpoint
from rehdr_ros.reconstruction import HdrPipeline, PipelineConfig
from rehdr_ros.recordings import write_exr
from rehdr_ros.simulation import SimulationConfig, simulate
from rehdr_ros.training import codes, features
from rehdr_ros.training.camera_motion import CameraMotion, moved, warped_back
from rehdr_ros.training.downstream import KLT, DownstreamBenchmark
from rehdr_ros.training.downstream_results import real_summary, summary, table
from rehdr_ros.training.footage import Footage, Timing
from rehdr_ros.training.reclipped_features import TO_NEXT, TO_ORIGINAL, real_runs


@pytest.fixture(scope="module")
def report():
    """Of one scene with the shipped network; a larger one with codes, so that some are wholly in view."""
    benchmark = DownstreamBenchmark("rehdr_s", ["local"], (240, 180))
    feature_runs = benchmark.features(2, benchmark.record(2))
    larger = DownstreamBenchmark("rehdr_s", ["local"], (346, 260))
    return summary(feature_runs, larger.codes(2))


def test_hdr_gives_more_correct_matches_where_the_frame_clips(report):
    orb = report["matches"]["ORB"]

    def correct(variant, place):
        return orb[variant][place]["correct"]

    assert correct("HDR, local", "in clipped pixels") > 1.2 * correct("LDR", "in clipped pixels") > 0
    assert correct("HDR, local", "in fully clipped pixels") > 1.5 * correct("LDR", "in fully clipped pixels")
    for variant in orb:
        parts = [correct(variant, place) for place in ("in clipped pixels", "at the rim", "exposed")]
        assert sum(parts) == pytest.approx(correct(variant, "all"))
    assert report["steadiness"]["HDR, local"]["whole"] < 0.5
    assert report["track_length"]["truth, local"]["all"] > 10
    klt = report["matches"][KLT]["truth, local"]["all"]
    assert klt["correct"] > 0.9 * klt["found"] > 50


def test_codes_above_white_are_in_the_truth_alone(report):
    tags = report["codes"]["AprilTag"]
    assert tags["LDR"][codes.ABOVE]["found"] == 0
    assert tags["truth, local"][codes.ABOVE]["share"] > 0.4
    assert tags["LDR"][codes.BELOW]["share"] > 0.7
    assert all(row["false_alarms"] == 0 for row in tags.values())


def test_the_table_has_every_variant_and_what_it_is_over_the_ldr(report):
    text = table(report)
    for name in (
        "ORB",
        "ORB, FAST threshold 7",
        "SIFT",
        *features.DETECTORS,
        KLT,
        "AprilTags found",
        "QR codes found",
    ):
        assert f"| {name} |" in text
    assert text.count("| HDR, local / LDR |") == len(features.DETECTORS) + 1
    assert text.count("| truth, local |") == len(features.DETECTORS) + 5


@pytest.mark.parametrize("kind", ["procedural", "panorama"])
def test_the_motion_is_the_simulated_cameras(tmp_path, kind):
    scene = kind
    if kind == "panorama":
        rng = np.random.default_rng(0)
        scene = tmp_path / "panorama.exr"
        write_exr(scene, np.exp(rng.normal(0, 1, (32, 64, 3))).repeat(8, 0).repeat(8, 1).astype(np.float32))
    config = SimulationConfig(scene=str(scene), width=120, height=90, seconds=0.5, renders=50, seed=1)
    samples, motion = list(simulate(config)), CameraMotion(config)
    homography = motion.between(samples[2].stamp_ns, samples[7].stamp_ns)

    def error(homography):
        after = warped_back(samples[7].truth, homography)
        seen = np.isfinite(after)
        assert seen.mean() > 0.5
        return np.abs(np.log2(after[seen] / samples[2].truth[seen])).mean()

    exact = error(homography)
    assert exact < 0.3 * error(np.eye(3))
    for shift in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        by_a_pixel = np.eye(3)
        by_a_pixel[:2, 2] = shift
        assert exact < error(by_a_pixel @ homography)


def test_what_the_detectors_get_is_what_the_node_publishes(tiny_weights):
    benchmark = DownstreamBenchmark(str(tiny_weights), ["local"], (64, 48))
    recorded = benchmark.record(0)
    config = PipelineConfig(weights=str(tiny_weights), policy="all", tonemap="local")
    pipeline = HdrPipeline(config)
    pipeline.add_events(Events.empty())
    for stamp, image in zip(recorded.views.stamps[:4], recorded.ldr[:4], strict=True):
        pipeline.add_frame(stamp, image)
    first = next(pipeline.take(flush=True))  # the first frame of a stream has no events
    grey = cv2.cvtColor(first.tonemapped, cv2.COLOR_RGB2GRAY)
    np.testing.assert_array_equal(recorded.views.images["HDR, local"][0], grey)


def test_tracks_follow_and_are_lost():
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.integers(0, 256, (80, 120), np.uint8), (0, 0), 2)
    picture = cv2.normalize(picture, None, 0, 255, cv2.NORM_MINMAX)
    images = [np.roll(picture, 2 * k, axis=1) for k in range(4)]
    tracks = features.follow(images)
    inner = (tracks[0, :, 0] > 20) & (tracks[0, :, 0] < 95)
    assert inner.sum() > 20
    error = np.abs(tracks[3, inner] - tracks[0, inner] - (6, 0)).max(1)
    assert np.mean(error < 0.5) > 0.9
    assert features.follow([np.zeros((40, 40), np.uint8)] * 3).shape == (3, 0, 2)


def test_the_rim_is_what_surrounds_clipped_pixels():
    ldr = np.full((60, 60, 3), 100, np.uint8)
    ldr[30, 30, 0] = 250
    everywhere, clipped, lost, elsewhere, rim, exposed = features.places(ldr)
    assert everywhere.all() and clipped.sum() == 1 and not lost.any()
    assert rim.sum() == 17 * 17 - 1 and not (rim & exposed).any()
    np.testing.assert_array_equal(rim | exposed, elsewhere)


def test_a_wrong_place_is_a_false_alarm():
    canvas = np.full((300, 300, 3), 0.3)
    canvas, planted = codes.plant(canvas, (150, 150), 1.0, np.random.default_rng(0))
    assert {code.range for code in planted} == {codes.ABOVE, codes.BELOW}
    image = (canvas[..., 0].clip(0, 1) * 255).astype(np.uint8)
    tags = [code for code in planted if code.kind == "AprilTag" and code.range == codes.BELOW]
    true = {code.name: (code.range, code.corners.mean(0)) for code in tags}
    moved_away = {name: (level, centre + 30) for name, (level, centre) in true.items()}
    unseen = {name: (None, centre) for name, (_, centre) in true.items()}
    assert len(tags) > 0
    assert codes.score("AprilTag", image, true)[codes.BELOW] == len(tags)
    assert codes.score("AprilTag", image, moved_away) == {
        codes.ABOVE: 0,
        codes.BELOW: 0,
        codes.FALSE_ALARMS: len(tags),
    }
    assert not any(codes.score("AprilTag", image, unseen).values())


def test_real_frames_are_matched_with_the_originals(tiny_weights):
    rng = np.random.default_rng(1)
    wide = np.exp(rng.normal(-2, 0.8, (24, 36))).clip(0, 1).repeat(8, 0).repeat(8, 1).astype(np.float32)
    linear = torch.from_numpy(np.stack([np.stack([wide[:180, 5 * k : 5 * k + 240]] * 3) for k in range(6)]))
    stamps = np.arange(6) * 50_000_000
    nothing = torch.zeros((6, 180, 240), dtype=torch.bool)
    footage = Footage("made", linear, nothing, stamps, np.zeros(6), Events.empty())
    runs = list(real_runs(footage, 0.1, load_checkpoint(tiny_weights), ["highlights"], Timing()))
    (name,) = report = real_summary(runs)
    assert name == "made, 10 % clipped"
    for against in (TO_ORIGINAL, TO_NEXT):
        orb = report[name][against]["ORB"]
        assert list(orb) == ["LDR", "LDR, CLAHE", "HDR, highlights", "truth, highlights"]
        assert orb["LDR"]["all"]["correct"] > 0.5 * orb["LDR"]["all"]["found"] > 10


def test_moved_points():
    points = np.array([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_allclose(
        moved(points, 2 * np.array([[1, 0, 5], [0, 1, -1], [0, 0, 1]])), points + (5, -1)
    )
