"""Structural similarity: Z. Wang et al., "Image quality assessment", IEEE Trans. on Image Processing 2004."""

import cv2
import numpy as np

_WINDOW, _SIGMA = (11, 11), 1.5  # px
_C1, _C2 = 0.01**2, 0.03**2


def ssim(a: np.ndarray, b: np.ndarray, counts: np.ndarray | None = None) -> float:
    """Mean SSIM of two images (H, W) float32 with a data range of 1.0; borders are replicated.

    counts: (H, W) bool, the pixels that the mean is of; NaN where none is.
    """
    mean_a, mean_b = _blur(a), _blur(b)
    variances = (_blur(a * a) - mean_a**2) + (_blur(b * b) - mean_b**2)
    covariance = _blur(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    structure = (2 * covariance + _C2) / (variances + _C2)
    similarity = luminance * structure
    similarity = similarity if counts is None else similarity[counts]
    return float(np.mean(similarity, dtype=np.float64)) if similarity.size else float("nan")


def _blur(image: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(image, _WINDOW, _SIGMA, borderType=cv2.BORDER_REPLICATE)
