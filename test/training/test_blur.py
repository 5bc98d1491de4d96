"""The benchmark of blurred frames."""

from dataclasses import replace

import numpy as np
import pytest

from rehdr_ros.training.blur import DEBLURRED, EXPOSURES, PLAIN, blur_cases


@pytest.fixture(scope="module")
def comparison():
    case = list(blur_cases(size=48))[1]
    return replace(case, config=replace(case.config, seconds=0.5)).compare({"ours": "rehdr_s"})


def test_every_scene_comes_with_each_blur():
    cases = list(blur_cases())
    assert [case.name for case in cases[:3]] == [f"procedural 0 {blur} px" for blur in EXPOSURES]
    assert {case.config.speed * case.config.exposure for case in cases} == set(map(float, EXPOSURES))
    assert all(case.config.sharp_truth for case in cases)


def test_rows_are_the_frame_the_plain_integral_and_both_reconstructions(comparison):
    assert list(comparison.rows) == ["ldr", PLAIN, "ours", f"ours{DEBLURRED}"]
    assert all(len(row) == len(comparison.truth) == 5 for row in comparison.rows.values())


def test_what_is_well_exposed_stays_blurred_without_deblurring(comparison):
    for frame, ldr, ours in zip(comparison.ldr, comparison.rows["ldr"], comparison.rows["ours"], strict=True):
        exposed = (frame < 250).all(-1)
        np.testing.assert_allclose(ours[exposed], ldr[exposed], atol=1e-6)


def test_deblurring_is_nearer_to_the_middle_than_what_it_starts_from(comparison):
    scores = comparison.scores()
    for measure in ("pu21_psnr_well_exposed", "pu21_psnr_clipped"):
        ours = scores[f"ours{DEBLURRED}"][measure]
        assert ours > max(scores["ours"][measure], scores[PLAIN][measure]) + 0.5
