import numpy as np
import pytest

from rehdr_ros.training.ssim import ssim


def images(height=13, width=17):
    rng = np.random.default_rng(0)
    a = rng.random((height, width), np.float32)
    return a, (0.7 * a + 0.3 * rng.random((height, width), np.float32)).astype(np.float32)


def stated(a, b):
    """The definition by pixel, in float64: 11 x 11 Gaussian window of sigma 1.5, borders replicated."""
    offsets = np.arange(-5, 6)
    weights = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    weights /= weights.sum()
    c1, c2 = 0.01**2, 0.03**2
    a, b = (np.pad(x.astype(np.float64), 5, mode="edge") for x in (a, b))
    values = []
    for row in range(a.shape[0] - 10):
        for column in range(a.shape[1] - 10):
            p, q = (x[row : row + 11, column : column + 11] for x in (a, b))
            mp, mq = (weights * p).sum(), (weights * q).sum()
            vp, vq = (weights * (p - mp) ** 2).sum(), (weights * (q - mq) ** 2).sum()
            covariance = (weights * (p - mp) * (q - mq)).sum()
            numerator = (2 * mp * mq + c1) * (2 * covariance + c2)
            values.append(numerator / ((mp**2 + mq**2 + c1) * (vp + vq + c2)))
    return np.mean(values)


def test_it_is_the_definition():
    a, b = images()
    assert ssim(a, b) == pytest.approx(stated(a, b), abs=1e-5)
    assert 0.5 < ssim(a, b) < 0.95


def test_identical_images_have_one_and_flat_ones_the_luminance_term():
    a, b = images()
    assert ssim(a, a) == 1
    flat = np.full_like(a, 0.2), np.full_like(a, 0.6)
    assert ssim(*flat) == pytest.approx((2 * 0.12 + 1e-4) / (0.04 + 0.36 + 1e-4), abs=1e-4)
    assert ssim(a, b) == pytest.approx(ssim(b, a), abs=1e-6)


def test_images_smaller_than_the_window():
    a, b = images(2, 3)
    assert ssim(a, b) == pytest.approx(stated(a, b), abs=1e-5)
