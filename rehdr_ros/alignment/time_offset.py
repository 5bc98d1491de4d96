"""The time offset between events and frames, from what both saw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from rehdr_ros.alignment.pairs import TILES, FramePair
from rehdr_ros.alignment.score import event_change, score

_STEPS = 20  # of the coarse search, to a frame interval
_COARSEST_NS, _FINEST_NS = 5_000_000, 500_000
_COARSE_PIXELS = 400_000  # of all pairs
_ROUNDS, _SETTLED_NS = 12, 100_000
_FARTHEST_STEP_NS = 5_000_000
_OUTLIER = 3.0  # standard deviations
_RESAMPLES = 200
_SYSTEMATIC = 0.0005  # s: about what simulated recordings are missed by, whatever their length

_FEWEST_PAIRS, _FEWEST_TIMED = 3, 100
_WEAKEST, _RIVAL = 0.15, 0.8  # score; share of the best score that another peak may have
_WIDEST = 0.002  # s, of the uncertainty


@dataclass(frozen=True)
class TimeOffset:
    """What was found.

    offset: s to add to the events' time, the parameter event_time_offset. uncertainty: s, of two standard
    deviations. present: what was added so far. score, present_score: with either. contrast: the events'
    threshold, log units, 0 where unknown. pairs: of frames; pixels: in them, that tell the time. offsets,
    scores: the coarse search's, s. doubts: why not to trust it, in words; empty where nothing speaks so.
    """

    offset: float
    uncertainty: float
    present: float
    score: float
    present_score: float
    contrast: float
    pairs: int
    pixels: int
    offsets: np.ndarray = field(repr=False)
    scores: np.ndarray = field(repr=False)
    doubts: tuple[str, ...] = ()

    @property
    def sure(self) -> bool:
        return not self.doubts


@dataclass(frozen=True)
class _Fit:
    """One step of the refinement. offset_ns: where it leads; parts: sums of products, (pairs, tiles, 5)."""

    offset_ns: float
    contrast: float
    pixels: int
    parts: np.ndarray


def estimate_time_offset(
    pairs: list[FramePair], present: float = 0.0, reach: float = 0.1, track=iter
) -> TimeOffset:
    """Search `reach` s on both sides of `present` for the best score, then refine.

    Coarse: the highest `score` on a grid of a twentieth of the frame interval. Fine: Gauss-Newton, as in
    Lucas and Kanade (1981), on the pixels whose log intensity the events tell to the moment (`event_change`):
    change = C (level - d speed), where d is what is missing in the offset, C the contrast threshold. Pixels
    that don't fit (3 standard deviations, robustly) are left out. The uncertainty is a bootstrap's, of pairs
    and, in them, tiles of the image, as neighbouring pixels err together. track: wraps the coarse offsets.
    """
    offsets = _grid(pairs, present, reach)
    sample = _thinned(pairs)
    scores = np.array([score(sample, round(offset * 1e9)) for offset in track(offsets)])
    coarse = _peak(offsets, scores)
    fit, settled = _refine(pairs, round(coarse * 1e9))
    interval = np.median([pair.t1_ns - pair.t0_ns for pair in pairs]) * 1e-9
    near = max(interval / 2, 3 * (offsets[1] - offsets[0]))
    refined = settled and abs(fit.offset_ns * 1e-9 - coarse) < near
    offset = float(fit.offset_ns * 1e-9 if refined else coarse)
    uncertainty = float(np.hypot(2 * _spread(fit.parts), _SYSTEMATIC)) if refined else float(interval / 2)
    best, before = (score(pairs, round(each * 1e9)) for each in (offset, present))
    doubts = (
        *_data_doubts(len(pairs), fit.pixels, best),
        *_curve_doubts(offsets, scores, coarse, interval),
        *([] if refined else ["the refinement did not settle"]),
        *([f"it is uncertain by {1e3 * uncertainty:.1f} ms"] if not uncertainty <= _WIDEST else []),
    )
    contrast = float(fit.contrast) if refined else 0.0
    return TimeOffset(
        offset, uncertainty, present, best, before, contrast, len(pairs), fit.pixels, offsets, scores, doubts
    )


def _data_doubts(pairs: int, pixels: int, best: float) -> Iterator[str]:
    if pairs < _FEWEST_PAIRS:
        yield f"only {pairs} pair{'s' * (pairs > 1)} of frames"
    if pixels < _FEWEST_TIMED:
        yield f"only {pixels} pixels tell the time: too little motion, or too few events"
    if best < _WEAKEST:
        causes = "no motion, a wrong registration, or a larger offset"
        yield f"events and frames hardly agree (score {best:.2f}): {causes}"


def _curve_doubts(offsets: np.ndarray, scores: np.ndarray, coarse: float, interval: float) -> Iterator[str]:
    step = offsets[1] - offsets[0]
    if not offsets[0] + step < coarse < offsets[-1] - step:
        yield "the score is best at the end of the range"
    peaks = np.flatnonzero((scores[1:-1] >= scores[:-2]) & (scores[1:-1] > scores[2:])) + 1
    rivals = [k for k in peaks if abs(offsets[k] - coarse) > interval and scores[k] > _RIVAL * scores.max()]
    if rivals:
        rival = max(rivals, key=lambda k: scores[k])
        yield f"at {1e3 * offsets[rival]:.1f} ms the score is nearly as high"


def _grid(pairs: list[FramePair], present: float, reach: float) -> np.ndarray:
    interval = np.median([pair.t1_ns - pair.t0_ns for pair in pairs])
    step = min(max(interval / _STEPS, _FINEST_NS), _COARSEST_NS) * 1e-9
    count = max(2, int(np.ceil(reach / step)))
    return present + step * np.arange(-count, count + 1)


def _thinned(pairs: list[FramePair]) -> list[FramePair]:
    stride = 1 + sum(len(pair.change) for pair in pairs) // _COARSE_PIXELS
    return [pair.only(np.arange(len(pair.change)) % stride == 0) for pair in pairs]


def _peak(x: np.ndarray, y: np.ndarray) -> float:
    """Where the parabola through the highest value and its neighbours is highest."""
    k = min(max(int(np.argmax(y)), 1), len(y) - 2)
    left, middle, right = y[k - 1 : k + 2]
    bend = left - 2 * middle + right
    shift = 0.5 * (left - right) / bend if bend < 0 else 0.0
    return float(x[k] + np.clip(shift, -1, 1) * (x[1] - x[0]))


def _refine(pairs: list[FramePair], offset_ns: int) -> tuple[_Fit, bool]:
    """The last step, and whether it was a small one."""
    for number in range(_ROUNDS):
        fit = _step(pairs, round(offset_ns))
        step = np.clip(fit.offset_ns - offset_ns, -_FARTHEST_STEP_NS, _FARTHEST_STEP_NS)
        if number >= _ROUNDS // 2:  # two sets of pixels may lead to each other
            step = step / 2
        if not np.isfinite(step):
            return fit, False
        offset_ns = offset_ns + step
        if abs(step) < _SETTLED_NS:
            return fit, True
    return fit, False


def _step(pairs: list[FramePair], offset_ns: int) -> _Fit:
    columns = []
    for number, pair in enumerate(pairs):
        change = event_change(pair, offset_ns)
        timed = change.timed
        values = np.stack((change.level[timed], change.speed[timed], pair.change[timed]))
        part = np.full(len(values[0]), number * TILES**2) + pair.tile[timed]
        columns.append((values - values.mean(1, keepdims=True) if len(part) else values, part))
    level, speed, change = np.concatenate([values for values, _ in columns], 1)
    part = np.concatenate([part for _, part in columns])
    kept = np.ones(len(part), bool)
    for _ in range(4):
        contrast, slope = _solve(_products(level, speed, change, kept, part, len(pairs)).sum((0, 1)))
        error = np.abs(change - contrast * level - slope * speed)
        if not kept.any() or not np.isfinite(error).all():
            break
        kept = error < _OUTLIER * 1.4826 * np.median(error[kept]) + 1e-9
    parts = _products(level, speed, change, kept, part, len(pairs))
    contrast, slope = _solve(parts.sum((0, 1)))
    with np.errstate(divide="ignore", invalid="ignore"):
        return _Fit(offset_ns - slope / contrast, contrast, len(part), parts)


def _products(level, speed, change, kept, part, pairs: int) -> np.ndarray:
    columns = level * level, level * speed, speed * speed, level * change, speed * change
    sums = [np.bincount(part[kept], column[kept], pairs * TILES**2) for column in columns]
    return np.stack(sums, 1).reshape(pairs, TILES**2, 5)


def _solve(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least squares of change on level and speed; sums: (..., 5), of _products. NaN where they don't tell."""
    ll, ls, ss, lc, sc = np.moveaxis(sums, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        determinant = ll * ss - ls * ls
        return (lc * ss - sc * ls) / determinant, (sc * ll - lc * ls) / determinant


def _spread(parts: np.ndarray) -> float:
    """Standard deviation of the offset, s, over resampled pairs and, in each, resampled tiles."""
    rng = np.random.default_rng(0)
    pairs, tiles, _ = parts.shape
    offsets = np.empty(_RESAMPLES)
    for k in range(_RESAMPLES):
        chosen = rng.integers(pairs, size=(pairs, 1)), rng.integers(tiles, size=(pairs, tiles))
        contrast, slope = _solve(parts[chosen].sum((0, 1)))
        offsets[k] = -slope / contrast if contrast else np.nan
    return float(np.nanstd(offsets)) * 1e-9
