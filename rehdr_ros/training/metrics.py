"""Measures of HDR video with one meaning everywhere: clipped and well-exposed pixels apart, one scale per sequence."""

from collections.abc import Sequence

import numpy as np

from rehdr_ros.luminance import BT709

MU = 5000.0
FLOOR = 2.0**-10
# Mean log2 luminance of the clipped pixels of training scenes, 1.0 = LDR white: what fills clipped pixels best
# without events or network. Printed by `python -m rehdr_ros.training.constant_fill`.
CONSTANT_FILL_LOG2 = 0.79


def pixel_classes(ldr: np.ndarray) -> dict[str, np.ndarray]:
    """Masks (H, W) of an 8-bit frame (H, W, 3): clipped (a channel >= 250), dark (all <= 5), well_exposed (neither)."""
    clipped = (ldr >= 250).any(-1)
    dark = (ldr <= 5).all(-1)
    return {"clipped": clipped, "dark": dark, "well_exposed": ~clipped & ~dark}


def log2_luminance(radiance: np.ndarray) -> np.ndarray:
    """(..., 3) linear RGB -> log2 of BT.709 luminance, floor 2**-10."""
    return np.log2(np.maximum(radiance @ BT709, FLOOR))


def fill_constant(ldr: np.ndarray, linear: np.ndarray) -> np.ndarray:
    """The baseline: the linearised LDR with its clipped pixels set to CONSTANT_FILL_LOG2, grey."""
    clipped = pixel_classes(ldr)["clipped"][..., None]
    return np.where(clipped, np.float32(2.0**CONSTANT_FILL_LOG2), linear)


def score(predicted: Sequence[np.ndarray], ldr: Sequence[np.ndarray], truth: Sequence[np.ndarray]) -> dict[str, float]:
    """Measures of one sequence.

    predicted, truth: frames (H, W, 3) float32 linear RGB; ldr: 8-bit frames (H, W, 3), which decide the classes.
    Returns mu_psnr, mu_psnr_clipped, mu_psnr_well_exposed in dB and clipped_log2_rmse in stops; NaN where no
    pixel counts. Raises ValueError where the numbers of frames differ.
    """
    if not len(predicted) == len(ldr) == len(truth):
        raise ValueError(f"{len(predicted)} predicted, {len(ldr)} LDR and {len(truth)} true frames: not one sequence")
    predicted, ldr, truth = (np.stack(x) for x in (predicted, ldr, truth))
    classes = pixel_classes(ldr)
    well, clipped = classes["well_exposed"], classes["clipped"]
    log_error = log2_luminance(predicted) - log2_luminance(truth)
    shift = np.median(log_error[well]) if well.any() else 0.0
    log_error -= shift
    peak = np.quantile(truth, 0.999)
    mu_error = _mu_law(predicted / 2**shift / peak) - _mu_law(truth / peak)
    return {
        "mu_psnr": _psnr(mu_error),
        "mu_psnr_clipped": _psnr(mu_error[clipped]),
        "mu_psnr_well_exposed": _psnr(mu_error[well]),
        "clipped_log2_rmse": float(np.sqrt(np.mean(log_error[clipped] ** 2))) if clipped.any() else float("nan"),
    }


def mean_scores(scores: Sequence[dict[str, float]]) -> dict[str, float]:
    """Means over sequences, NaNs left out."""
    return {name: float(np.nanmean([s[name] for s in scores])) for name in scores[0]}


def _mu_law(x: np.ndarray) -> np.ndarray:
    return np.log1p(MU * np.clip(x, 0, 1)) / np.log1p(MU)


def _psnr(error: np.ndarray) -> float:
    with np.errstate(divide="ignore"):  # no error at all: infinity
        return float(-10 * np.log10(np.mean(error**2))) if error.size else float("nan")
