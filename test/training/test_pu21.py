import numpy as np
import pytest

from rehdr_ros.training.pu21 import encode


def test_known_values():
    """The ends of the range as its authors publish them, and their rule of thumb: 100 cd/m^2 is about 256."""
    np.testing.assert_allclose(encode(np.array([0.005, 10_000])), [0, 595.3939], atol=1e-4)
    assert encode(np.array(100.0)) == pytest.approx(256, abs=0.5)
    # By hand at 1 cd/m^2, where the powers of luminance are 1.
    at_one = 596.3148142 * ((0.7269537639 / 1.00008277049286) ** 0.09150303166 - 0.9099517204)
    assert encode(np.array(1.0)) == pytest.approx(at_one, abs=1e-6)


def test_it_grows_with_luminance_and_is_clamped_to_its_range():
    values = encode(np.geomspace(0.005, 10_000, 500))
    assert (np.diff(values) > 0).all()
    np.testing.assert_array_equal(encode(np.array([-1, 0, 2e4])), encode(np.array([0.005, 0.005, 1e4])))


def test_single_precision_is_kept_and_suffices():
    luminance = np.geomspace(0.005, 10_000, 500).reshape(50, 10)
    encoded = encode(luminance.astype(np.float32))
    assert encoded.dtype == np.float32 and encoded.min() >= 0
    np.testing.assert_allclose(encoded, encode(luminance), atol=1e-3)
