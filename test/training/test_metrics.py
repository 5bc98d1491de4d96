import math

import numpy as np
import pytest

from rehdr_ros.training.metrics import (
    CONSTANT_FILL_LOG2,
    fill_constant,
    log2_luminance,
    mean_scores,
    pixel_classes,
    score,
)


def grey(*values, dtype=np.float32):
    """One row of grey pixels (1, W, 3)."""
    return np.repeat(np.array(values, dtype)[None, :, None], 3, 2)


def mu(x):
    return math.log(1 + 5000 * x) / math.log(5001)


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
    """The best scale makes the middle well-exposed pixels right: then one is double, and the clipped two stops low."""
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


def test_where_no_pixel_counts_there_is_no_figure():
    exposed = score([TRUTH * 1.01], [np.full_like(LDR, 100)], [TRUTH])
    assert math.isnan(exposed["mu_psnr_clipped"]) and math.isnan(exposed["clipped_log2_rmse"])
    clipped = score([TRUTH / 2], [np.full_like(LDR, 255)], [TRUTH])
    assert math.isnan(clipped["mu_psnr_well_exposed"])
    assert clipped["clipped_log2_rmse"] == pytest.approx(1.0)  # nothing to fit a scale on
    assert math.isfinite(clipped["mu_psnr"])


@pytest.mark.filterwarnings("error")
def test_the_truth_itself_has_no_error():
    values = score([TRUTH], [LDR], [TRUTH])
    assert values["clipped_log2_rmse"] == 0 and values["mu_psnr"] == math.inf


def test_means_leave_out_what_has_no_figure():
    nan = float("nan")
    means = mean_scores([{"a": 1.0, "b": nan}, {"a": 3.0, "b": 5.0}])
    assert means == {"a": 2.0, "b": 5.0}


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
