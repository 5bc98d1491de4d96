import math

import numpy as np
import pytest

from rehdr_ros.training import pu21
from rehdr_ros.training.metrics import (
    CONSTANT_FILL_LOG2,
    fill_constant,
    log2_luminance,
    mean_scores,
    pixel_classes,
    score,
)
from rehdr_ros.training.ssim import ssim


def grey(*values, dtype=np.float32):
    """One row of grey pixels (1, W, 3)."""
    return np.repeat(np.array(values, dtype)[None, :, None], 3, 2)


def mu(x):
    return math.log(1 + 5000 * x) / math.log(5001)


def scene(frames):
    """Coloured LDR frames (T, 24, 32, 3) with pixels of every class, and their truth."""
    truth = np.random.default_rng(0).lognormal(-1, 1, (frames, 24, 32, 3)).astype(np.float32)
    truth[:, :4] = 4 + truth[:, :4]
    truth[:, -2:] = 1e-4 + 1e-3 * truth[:, -2:].clip(0, 0.1)
    truth[:, -2:, :, 1] = 3e-3
    ldr = np.rint(255 * truth.clip(0, 1) ** (1 / 2.2)).astype(np.uint8)
    ldr[:, -2:] = 4
    return ldr, truth


LDR = grey(100, 150, 150, 255, dtype=np.uint8)
TRUTH = grey(0.25, 0.5, 0.5, 4.0)


def test_pixels_are_clipped_dark_or_well_exposed():
    ldr = np.array([[[250, 0, 0], [249, 249, 249], [5, 5, 5], [5, 6, 5], [0, 0, 250], [0, 0, 0]]], np.uint8)
    classes = pixel_classes(ldr)
    assert classes["clipped"][0].tolist() == [True, False, False, False, True, False]
    assert classes["dark"][0].tolist() == [False, False, True, False, False, True]
    assert classes["well_exposed"][0].tolist() == [False, True, False, True, False, False]


def test_luminance_is_bt709_with_a_floor():
    rgb = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [4, 4, 4], [0, 0, 0]], np.float32)
    np.testing.assert_allclose(log2_luminance(rgb), np.log2([0.2126, 0.7152, 0.0722, 4, 2**-10]), rtol=1e-5)


def test_figures_computed_by_hand():
    """The best scale makes the middle well-exposed pixels right, one double, the clipped two stops low."""
    values = score([2 * grey(0.5, 0.5, 0.5, 1.0)], [LDR], [TRUTH])
    clipped = (mu(1) - mu(1 / 4)) ** 2
    exposed = (mu(0.5 / 4) - mu(0.25 / 4)) ** 2
    assert values["clipped_log2_rmse"] == pytest.approx(2.0)
    assert values["mu_psnr_clipped"] == pytest.approx(-10 * math.log10(clipped))
    assert values["mu_psnr_well_exposed"] == pytest.approx(-10 * math.log10(exposed / 3))
    assert values["mu_psnr"] == pytest.approx(-10 * math.log10((clipped + exposed) / 4))


def test_one_scale_serves_the_whole_sequence():
    """A sequence that flickers by two stops is no better for being right in each frame up to a scale."""
    steady = score([TRUTH * 3, TRUTH * 3, TRUTH * 3], [LDR] * 3, [TRUTH * 1.0001] * 3)
    flicker = score([TRUTH, TRUTH * 4, TRUTH], [LDR] * 3, [TRUTH] * 3)
    assert steady["clipped_log2_rmse"] < 1e-3
    assert flicker["clipped_log2_rmse"] == pytest.approx(math.sqrt(4 / 3), rel=1e-4)
    assert flicker["mu_psnr"] < 30 < steady["mu_psnr"]


def test_the_scale_is_fitted_on_well_exposed_pixels_alone():
    ldr = grey(3, 150, 255, 255, 255, dtype=np.uint8)
    truth = grey(0.001, 0.5, 2, 4, 4)
    predicted = grey(0.5, 0.5, 1, 2, 2)
    assert score([predicted], [ldr], [truth])["clipped_log2_rmse"] == pytest.approx(1.0)


def test_the_log_error_of_each_class():
    """Dark two stops high, clipped one low; of three well-exposed pixels one three stops low, two right."""
    ldr = grey(3, 100, 150, 150, 255, dtype=np.uint8)
    truth = grey(0.01, 0.5, 0.5, 0.5, 4)
    values = score([truth * grey(4, 1 / 8, 1, 1, 1 / 2)], [ldr], [truth])
    assert values["dark_log2_rmse"] == pytest.approx(2)
    assert values["well_exposed_log2_rmse"] == pytest.approx(math.sqrt(9 / 3))
    assert values["clipped_log2_rmse"] == pytest.approx(1)
    assert values["log2_rmse"] == pytest.approx(math.sqrt((4 + 9 + 1) / 5))


@pytest.mark.parametrize(
    ("pixel", "name"), [(0, "pu21_psnr_dark"), (1, "pu21_psnr_well_exposed"), (4, "pu21_psnr_clipped")]
)
def test_pu21_psnr_of_one_wrong_channel(pixel, name):
    """White is 100 cd/m^2 and the peak 256; the error counts among all pixels and those of its class."""
    ldr = grey(3, 150, 150, 150, 255, dtype=np.uint8)
    truth = grey(0.01, 0.5, 0.5, 0.5, 4)
    predicted = truth.copy()
    predicted[0, pixel, 0] /= 2
    values = score([predicted], [ldr], [truth])
    level = 100 * float(truth[0, pixel, 0])
    error = np.subtract(*pu21.encode(np.array([level, level / 2]))) / 256
    size = 3 if name == "pu21_psnr_well_exposed" else 1
    assert values[name] == pytest.approx(-10 * math.log10(error**2 / (3 * size)), rel=1e-5)
    assert values["pu21_psnr"] == pytest.approx(-10 * math.log10(error**2 / 15), rel=1e-5)
    others = {"pu21_psnr_dark", "pu21_psnr_well_exposed", "pu21_psnr_clipped"} - {name}
    assert all(values[other] == math.inf for other in others)


def test_pu21_ssim_is_the_mean_over_the_frames_of_that_of_luminance():
    ldr, truth = scene(frames=2)
    predicted = truth.copy()
    predicted[1, :12] *= 0.5  # far fewer than half of the well-exposed pixels: the scale stays 1
    weights = [0.2126, 0.7152, 0.0722]
    a, b = (pu21.encode(100 * (x[1] @ weights)).astype(np.float32) / 256 for x in (predicted, truth))
    value = score(predicted, ldr, truth)["pu21_ssim"]
    assert value == pytest.approx((1 + ssim(a, b)) / 2, abs=1e-5)
    assert value < 0.999


def test_a_constant_gain_changes_no_measure():
    ldr, truth = scene(frames=3)
    predicted = truth * np.random.default_rng(1).lognormal(0, 0.3, truth.shape).astype(np.float32)
    plain, gained = score(predicted, ldr, truth), score(5 * predicted, ldr, truth)
    assert all(math.isfinite(value) for value in plain.values())
    assert gained == pytest.approx(plain, rel=1e-4)


def test_a_gain_per_frame_flickers():
    values = score([TRUTH, TRUTH * 4, TRUTH], [LDR] * 3, [TRUTH] * 3)
    assert values["flicker"] == pytest.approx(np.std([0, 2, 0]))
    assert values["flicker_clipped"] == pytest.approx(2)


def test_no_flicker_where_errors_stay_however_the_scene_moves():
    wrong = grey(1, 1, 1, 1 / 8)
    values = score([TRUTH * wrong, 3 * TRUTH * wrong], [LDR] * 2, [TRUTH, 3 * TRUTH])
    assert values["clipped_log2_rmse"] == pytest.approx(3)
    assert values["flicker"] == values["flicker_clipped"] == pytest.approx(0, abs=1e-5)


def test_flicker_of_clipped_pixels_counts_those_clipped_in_both_frames():
    ldr = [grey(255, 255, 150, 150, 150, dtype=np.uint8), grey(255, 150, 255, 150, 150, dtype=np.uint8)]
    truth = grey(1, 1, 1, 1, 1)
    values = score([truth, grey(2, 8, 16, 1, 1)], ldr, [truth, truth])
    assert values["flicker_clipped"] == pytest.approx(1)
    assert values["flicker"] == pytest.approx(np.std([0, (1 + 3 + 4) / 5]))


def test_chroma_is_blind_to_a_grey_factor_a_pixel():
    ldr, truth = scene(frames=2)
    factors = np.random.default_rng(1).uniform(0.5, 2, (*truth.shape[:-1], 1)).astype(np.float32)
    assert score(truth * factors, ldr, truth)["chroma_error_clipped"] == pytest.approx(0, abs=1e-5)


def test_the_chroma_error_of_a_tint():
    """A stop in one channel: 2/3 of it there and -1/3 in the others; what is not clipped does not count."""
    predicted = TRUTH.copy()
    predicted[0, 3, 2] *= 2
    predicted[0, 0, 0] *= 2
    values = score([predicted], [LDR], [TRUTH])
    assert values["chroma_error_clipped"] == pytest.approx(math.sqrt(2 / 9))


def test_where_no_pixel_counts_there_is_no_figure():
    exposed = score([TRUTH * 1.01], [np.full_like(LDR, 100)], [TRUTH])
    assert math.isnan(exposed["mu_psnr_clipped"]) and math.isnan(exposed["clipped_log2_rmse"])
    clipped = score([TRUTH / 2], [np.full_like(LDR, 255)], [TRUTH])
    assert math.isnan(clipped["mu_psnr_well_exposed"])
    assert clipped["clipped_log2_rmse"] == pytest.approx(1.0)  # nothing to fit a scale on
    assert math.isfinite(clipped["mu_psnr"])
    names = "dark_log2_rmse pu21_psnr_dark pu21_psnr_clipped chroma_error_clipped flicker_clipped"
    for name in names.split():
        assert math.isnan(exposed[name]), name
    assert math.isnan(clipped["well_exposed_log2_rmse"]) and math.isnan(clipped["pu21_psnr_well_exposed"])
    assert math.isnan(clipped["flicker"]) and math.isnan(clipped["flicker_clipped"])  # a single frame


@pytest.mark.filterwarnings("error")
def test_the_truth_itself_has_no_error():
    values = score([TRUTH], [LDR], [TRUTH])
    assert values["clipped_log2_rmse"] == 0 and values["mu_psnr"] == math.inf
    assert (values["pu21_psnr"], values["pu21_ssim"], values["chroma_error_clipped"]) == (math.inf, 1, 0)


@pytest.mark.filterwarnings("error")
def test_means_leave_out_what_has_no_figure():
    nan = float("nan")
    means = mean_scores([{"a": 1.0, "b": nan, "c": nan}, {"a": 3.0, "b": 5.0, "c": nan}])
    assert means == pytest.approx({"a": 2.0, "b": 5.0, "c": nan}, nan_ok=True)


def test_pixels_of_unknown_truth_count_nowhere():
    """Whatever is predicted there, and whatever class they have."""
    ldr, truth = scene(frames=3)
    predicted = truth * np.random.default_rng(1).lognormal(0, 0.3, truth.shape).astype(np.float32)
    unknown = np.random.default_rng(2).random(truth.shape[:-1]) < 0.1
    truth[unknown] = np.nan
    scores = []
    for value in (1e-3, 1e3):
        predicted[unknown] = value
        scores.append(score(predicted, ldr, truth))
    assert all(math.isfinite(value) for value in scores[0].values())
    for each in scores:
        del each["pu21_ssim"]  # its windows reach into them
    assert scores[0] == pytest.approx(scores[1], rel=1e-5)
    none = score(predicted, ldr, np.full_like(truth, np.nan))
    assert all(math.isnan(value) for value in none.values())


def stated_structure(log2, clipped):
    """The definition, pixel by pixel."""
    values = []
    for k, row, column in zip(*np.nonzero(clipped), strict=True):
        around = np.s_[k, max(0, row - 15) : row + 16, max(0, column - 15) : column + 16]
        values.append(log2[k, row, column] - log2[around][clipped[around]].mean())
    return np.array(values)


def test_the_structure_is_what_differs_from_the_clipped_pixels_around():
    random = np.random.default_rng(3)
    truth = np.repeat(random.lognormal(1, 0.5, (2, 40, 50, 1)), 3, 3).astype(np.float32)
    ldr = np.where(random.random(truth.shape[:3])[..., None] < 0.4, 255, 100).repeat(3, 3).astype(np.uint8)
    predicted = truth * random.lognormal(0, 0.4, truth.shape[:3])[..., None].astype(np.float32)
    truth[0, :5, :5] = np.nan
    values = score(predicted, ldr, truth)
    counts = (ldr[..., 0] == 255) & ~np.isnan(truth[..., 0])
    a, b = (stated_structure(np.log2(x[..., 0].astype(np.float64)), counts) for x in (predicted, truth))
    assert values["structure_error_clipped"] == pytest.approx(np.sqrt(np.mean((a - b) ** 2)), rel=1e-4)
    assert values["structure_correlation_clipped"] == pytest.approx(np.corrcoef(a, b)[0, 1], rel=1e-4)
    assert 0.5 < values["structure_correlation_clipped"] < 0.95


def test_a_lift_of_the_level_changes_no_structure():
    ldr, truth = scene(frames=2)
    flat = np.full_like(truth, 3)
    lifted = score(2 * flat, ldr, truth)
    assert lifted["structure_correlation_clipped"] == 0, "a flat result has none of it"
    structure = score(flat, ldr, truth)["structure_error_clipped"]
    assert lifted["structure_error_clipped"] == pytest.approx(structure)
    assert math.isnan(score(truth, ldr, flat)["structure_correlation_clipped"]), "nor has a flat truth"
    assert score(truth * 7, ldr, truth)["structure_error_clipped"] == pytest.approx(0, abs=1e-5)


def test_sequences_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="1 predicted, 2 LDR and 2 true"):
        score([TRUTH], [LDR, LDR], [TRUTH, TRUTH])


def test_the_constant_fills_clipped_pixels_and_no_others():
    ldr = np.array([[[250, 10, 10], [249, 10, 10], [0, 0, 0]]], np.uint8)
    linear = (ldr / np.float32(255)) ** 2.2
    filled = fill_constant(ldr, linear)
    np.testing.assert_array_equal(filled[0, 1:], linear[0, 1:])
    assert log2_luminance(filled[0, 0]) == pytest.approx(CONSTANT_FILL_LOG2, abs=1e-4)
    assert np.ptp(filled[0, 0]) == 0
