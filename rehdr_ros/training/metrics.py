"""Measures of HDR video with one meaning everywhere: pixels by class, one scale per sequence."""

from collections.abc import Sequence

import cv2
import numpy as np

from rehdr_ros.luminance import BT709
from rehdr_ros.training import pu21
from rehdr_ros.training.ssim import ssim

WHITE = 100.0  # cd/m^2 of the LDR's white
MU = 5000.0
FLOOR = 2.0**-10
# Mean log2 luminance of the clipped pixels of training scenes, 1.0 = LDR white: what fills them best without
# events or network. Printed by `python -m rehdr_ros.training.constant_fill FOLDER`.
CONSTANT_FILL_LOG2 = 0.83
_AROUND = (31, 31)  # px, whose mean is no local structure
_FLAT = 1e-4  # stops


def pixel_classes(ldr: np.ndarray) -> dict[str, np.ndarray]:
    """(H, W, 3) uint8 -> masks (H, W): clipped (one >= 250), dark (all <= 5), well_exposed (neither)."""
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


def score(
    predicted: Sequence[np.ndarray], ldr: Sequence[np.ndarray], truth: Sequence[np.ndarray]
) -> dict[str, float]:
    """Measures of one sequence, under the scale that makes the median log error of well-exposed pixels zero.

    predicted, truth: frames (H, W, 3) float32 linear RGB, the truth's 1.0 = LDR white; ldr: 8-bit (H, W, 3),
    which decide the classes. Pixels of NaN truth count nowhere. Over all pixels or those of the class named:
    - mu_psnr..., dB: of mu-law values, 1 = the truth's 99.9th percentile;
    - ...log2_rmse, stops: of log luminance;
    - pu21_psnr..., dB: of the PU21 values of the three channels, white = 100 cd/m^2, peak 256;
    - pu21_ssim: of the PU21 value of luminance over 256, mean over the frames;
    - chroma_error_clipped, stops: RMSE over pixels and channels of log2 chromaticity, a pixel's log2 RGB less
      its mean over the channels: errors of colour, which no grey factor, not even one a pixel, changes;
    - flicker, stops: standard deviation over time of the frame's mean log luminance error, so a wobble of the
      whole image, part of which comes from errors that move in or out of sight;
    - flicker_clipped, stops a frame: mean of |change of log luminance error| over pixels clipped in both of
      two successive frames, so how far their predicted changes are from the true ones;
    - structure_error_clipped, stops: RMSE of the local structure of clipped pixels, their log luminance less
      its mean over the clipped pixels of the surrounding 31x31: what no lift of the level changes;
    - structure_correlation_clipped: of that structure with the truth's, 0 where the result has none.
    NaN where no pixel counts, and for one frame's flicker. Raises ValueError for unequal numbers of frames.
    """
    if not len(predicted) == len(ldr) == len(truth):
        counts = f"{len(predicted)} predicted, {len(ldr)} LDR and {len(truth)} true frames"
        raise ValueError(f"{counts}: not one sequence")
    predicted, ldr, truth = (np.stack(x) for x in (predicted, ldr, truth))
    known = ~np.isnan(truth).any(-1)
    classes = {name: mask & known for name, mask in pixel_classes(ldr).items()}
    well, clipped, dark = classes["well_exposed"], classes["clipped"], classes["dark"]
    peak = np.quantile(truth[known], 0.999) if known.any() else np.nan
    truth = np.where(known[..., None], truth, predicted)
    log_predicted, log_truth = log2_luminance(predicted), log2_luminance(truth)
    log_error = log_predicted - log_truth
    shift = np.median(log_error[well]) if well.any() else 0.0
    log_error -= shift
    predicted = predicted / 2**shift
    mu_error = _mu_law(predicted / peak) - _mu_law(truth / peak)
    pu21_error = (pu21.encode(WHITE * predicted) - pu21.encode(WHITE * truth)) / pu21.PEAK
    log_change = np.abs(np.diff(log_error, axis=0))
    frame_errors = [_mean(frame[mask]) for frame, mask in zip(log_error, known, strict=True)]
    chroma, true_chroma = (_log2_chromaticity(x[clipped]) for x in (predicted, truth))
    structure, true_structure = (_local_structure(x, clipped) for x in (log_predicted, log_truth))
    return {
        "mu_psnr": _psnr(mu_error[known]),
        "mu_psnr_clipped": _psnr(mu_error[clipped]),
        "mu_psnr_well_exposed": _psnr(mu_error[well]),
        "clipped_log2_rmse": _rms(log_error[clipped]),
        "log2_rmse": _rms(log_error[known]),
        "dark_log2_rmse": _rms(log_error[dark]),
        "well_exposed_log2_rmse": _rms(log_error[well]),
        "pu21_psnr": _psnr(pu21_error[known]),
        "pu21_psnr_clipped": _psnr(pu21_error[clipped]),
        "pu21_psnr_well_exposed": _psnr(pu21_error[well]),
        "pu21_psnr_dark": _psnr(pu21_error[dark]),
        "pu21_ssim": _mean([_pu21_ssim(*frames) for frames in zip(predicted, truth, known, strict=True)]),
        "chroma_error_clipped": _rms(chroma - true_chroma),
        "flicker": float(np.std(frame_errors)) if len(log_error) > 1 else float("nan"),
        "flicker_clipped": _mean(log_change[clipped[1:] & clipped[:-1]]),
        "structure_error_clipped": _rms(structure - true_structure),
        "structure_correlation_clipped": _correlation(structure, true_structure),
    }


def mean_scores(scores: Sequence[dict[str, float]]) -> dict[str, float]:
    """Means over sequences, NaNs left out; NaN for a measure that no sequence has."""
    columns = {name: np.array([s[name] for s in scores]) for name in scores[0]}
    return {name: _mean(values[~np.isnan(values)]) for name, values in columns.items()}


def _log2_chromaticity(rgb: np.ndarray) -> np.ndarray:
    log2 = np.log2(np.maximum(rgb, FLOOR))
    return log2 - log2.mean(-1, keepdims=True)


def _local_structure(log2: np.ndarray, clipped: np.ndarray) -> np.ndarray:
    """(T, H, W) -> (N,), of the clipped pixels alone."""
    parts = []
    for frame, mask in zip(log2, clipped, strict=True):
        weight = mask.astype(np.float64)
        total, count = (_sum_around(x) for x in (np.where(mask, frame, 0.0), weight))
        parts.append(frame[mask] - (total / np.maximum(count, 1))[mask])
    return np.concatenate(parts)


def _sum_around(image: np.ndarray) -> np.ndarray:
    return cv2.boxFilter(image, -1, _AROUND, normalize=False, borderType=cv2.BORDER_CONSTANT)


def _correlation(values: np.ndarray, truth: np.ndarray) -> float:
    spread = [float(np.std(x)) if x.size else 0.0 for x in (values, truth)]
    if spread[1] < _FLAT:
        return float("nan")
    return 0.0 if spread[0] < _FLAT else float(np.corrcoef(values, truth)[0, 1])


def _pu21_ssim(predicted: np.ndarray, truth: np.ndarray, known: np.ndarray) -> float:
    return ssim(*(pu21.encode(WHITE * (frame @ BT709)) / pu21.PEAK for frame in (predicted, truth)), known)


def _mu_law(x: np.ndarray) -> np.ndarray:
    return np.log1p(MU * np.clip(x, 0, 1)) / np.log1p(MU)


def _psnr(error: np.ndarray) -> float:
    with np.errstate(divide="ignore"):  # no error at all: infinity
        return float(-10 * np.log10(np.mean(error**2))) if error.size else float("nan")


def _rms(error: np.ndarray) -> float:
    return float(np.sqrt(np.mean(error**2))) if error.size else float("nan")


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
