"""Real recordings beside a training's simulations: what events say of the frames, and when.

The event model is d = C_on n+ - C_off n-: d is the change of log luminance between two frames that expose a
pixel, n+ and n- are its ON and OFF events in between, in voxel grids: opposite ones in a bin cancel.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from torch import Tensor

from rehdr_ros.errors import InputError
from rehdr_ros.events import Events
from rehdr_ros.network.integrator import CLIPPED, luminance
from rehdr_ros.simulation.batch import Batch
from rehdr_ros.training.batches import SimulatedBatches
from rehdr_ros.training.footage import Footage, Timing
from rehdr_ros.training.grid_shift import shifted_sums

STATISTICS = {
    "r2": "R^2 of the event model over pixels with events",
    "residual_per_event": "residual variance per event, nat^2",
    "threshold_on": "C_on, nat",
    "threshold_off": "C_off, nat",
    "events_per_pixel": "events per pixel and frame",
    "exposure": "exposure, s",
    "latency": "latency of the events, s",
    "interval_0.1%": "same-polarity interval, 0.1 % quantile, s",
    "interval_1%": "same-polarity interval, 1 % quantile, s",
}
QUANTILES = (0.05, 0.5, 0.95)
BINS = 5

_BRIGHT, _DARK = 0.99, 0.02  # quantile of luminance, and share of it below which the logarithm is noise
_LEAST = 0.5  # events of a pixel that has any
_FEWEST = 20  # pixels with events that a fit needs
_LATENCIES = (0.02, 0.002), (0.002, 0.0005)  # s: how far around the best one is looked for, and how finely


def of_footage(footage: Footage, timing: Timing) -> dict[str, float]:
    """The STATISTICS of a recording, NaN where it doesn't tell; exposure: the median."""
    changes = _changes(luminance(footage.linear)[:, 0].numpy(), ~footage.saturated.numpy())

    def fit(latency: float) -> dict[str, float]:
        grids = footage.grids(BINS, Timing(timing.frame_time, latency))[1:]
        return _fit(*changes, *(x.sum(1) for x in _by_polarity(grids)))

    intervals = same_polarity_intervals(footage.events)
    return fit(timing.event_latency) | {
        "exposure": float(np.median(footage.exposure)) if footage.exposure.all() else math.nan,
        "latency": _best_latency(fit, timing.event_latency),
        "interval_0.1%": _quantile(intervals, 0.001),
        "interval_1%": _quantile(intervals, 0.01),
    }


def of_training(batches: SimulatedBatches, sequences: int) -> Iterator[dict[str, float]]:
    """The STATISTICS of each of a training's first sequences.

    Exposure and, for both intervals, the refractory period, which bounds them, are those that were drawn.
    """
    all_batches = (batches.simulated(number) for number in itertools.count())
    return itertools.islice((row for batch in all_batches for row in _of_batch(batch)), sequences)


def side_by_side(
    recordings: Mapping[str, dict[str, float]], training: Sequence[dict[str, float]]
) -> dict[str, dict]:
    """By statistic: the training's QUANTILES, each recording's value, and if it is between the outer two.

    Raises InputError where no sequence of the training tells a statistic.
    """
    result = {}
    for name in STATISTICS:
        known = [row[name] for row in training if math.isfinite(row[name])]
        if not known:
            raise InputError(f"no sequence of the training tells its {name}: more sequences or frames may")
        low, middle, high = np.quantile(known, QUANTILES).tolist()
        values = {recording: statistics[name] for recording, statistics in recordings.items()}
        result[name] = {
            "training": {"5%": low, "50%": middle, "95%": high},
            "recordings": {k: {"value": v, "within": bool(low <= v <= high)} for k, v in values.items()},
        }
    return result


def table(compared: Mapping[str, dict]) -> str:
    """Aligned text: a row a statistic; behind a value that the training doesn't contain, < or >: its side."""
    recordings = list(next(iter(compared.values()))["recordings"])
    widths = [max(len(name), 9) + 3 for name in recordings]
    head = "".join(f"{name:>{w}} " for name, w in zip(recordings, widths, strict=True))
    lines = [f"{'':48}{head}" + "".join(f"{name:>11}" for name in ("train 5%", "50%", "95%"))]
    for name, row in compared.items():
        quantiles = row["training"].values()
        cells = zip(row["recordings"].values(), widths, strict=True)
        values = "".join(f"{cell['value']:{w}.4g}{_mark(cell, *quantiles)}" for cell, w in cells)
        lines.append(f"{STATISTICS[name]:48}{values}" + "".join(f"{q:11.4g}" for q in quantiles))
    return "\n".join(lines)


def same_polarity_intervals(events: Events) -> np.ndarray:
    """Between two events of one pixel and one polarity without another in between, s."""
    pixel = events.y.astype(np.int64) << 16 | events.x
    order = np.lexsort((events.t, pixel))
    t, pixel, p = events.t[order], pixel[order], events.p[order]
    return np.diff(t)[(pixel[1:] == pixel[:-1]) & (p[1:] == p[:-1])] * 1e-9


def _of_batch(batch: Batch) -> Iterator[dict[str, float]]:
    for n, ldr in enumerate(batch.ldr.cpu()):
        voxel, gain, seconds = (x[n].cpu() for x in (batch.voxel, batch.gain, batch.seconds))
        changes = _changes(luminance(ldr)[:, 0].numpy(), (ldr.amax(1) < CLIPPED).numpy(), gain.numpy())
        grids, inner = _by_polarity(voxel), [x[1:-1] for x in changes]

        def fit(latency: float, inner=inner, grids=grids, seconds=seconds) -> dict[str, float]:
            return _fit(*inner, *(shifted_sums(x, seconds, latency) for x in grids))

        refractory = float(batch.refractory[n])
        yield _fit(*changes, *(x[1:].sum(1) for x in grids)) | {
            "exposure": float(batch.exposure[n]),
            "latency": _best_latency(fit, 0.0) if len(ldr) > 3 else math.nan,
            "interval_0.1%": refractory,
            "interval_1%": refractory,
        }


def _changes(y: np.ndarray, exposed: np.ndarray, gain: np.ndarray | None = None) -> tuple[np.ndarray, ...]:
    """Of log luminance y (T, H, W) from frame to frame, less the exposure's (T,), and where they count."""
    dark = _DARK * np.quantile(y, _BRIGHT)
    usable = exposed & (y > dark)
    change = np.diff(np.log(np.maximum(y, max(dark, 1e-6))), axis=0)
    return change - (0 if gain is None else np.log(gain[1:, None, None])), usable[1:] & usable[:-1]


def _by_polarity(grids: Tensor) -> tuple[Tensor, Tensor]:
    return grids.clamp_min(0), (-grids).clamp_min(0)


def _fit(change: np.ndarray, usable: np.ndarray, on: Tensor, off: Tensor) -> dict[str, float]:
    """The event model by least squares; all (T, H, W), of the same intervals."""
    on, off = on.numpy(), off.numpy()
    active = usable & (on + off > _LEAST)
    d, n = change[active].astype(np.float64), np.stack((on[active], -off[active]), 1).astype(np.float64)
    figures = dict.fromkeys(("r2", "residual_per_event", "threshold_on", "threshold_off"), math.nan)
    if len(d) >= _FEWEST and np.ptp(d):
        thresholds = np.linalg.lstsq(n, d, rcond=None)[0]
        squares = ((d - n @ thresholds) ** 2).sum()
        values = (1 - squares / ((d - d.mean()) ** 2).sum(), squares / np.abs(n).sum(), *thresholds)
        figures = dict(zip(figures, map(float, values), strict=True))
    return figures | {"events_per_pixel": float((on + off).mean())}


def _best_latency(fit: Callable[[float], dict[str, float]], first: float) -> float:
    """The one by which the event model explains most."""
    for reach, step in _LATENCIES:
        around = first + np.arange(-reach, reach + step / 2, step)
        explained = [fit(float(latency))["r2"] for latency in around]
        if not np.isfinite(explained).any():
            return math.nan
        first = float(around[np.nanargmax(explained)])
    return first


def _quantile(values: np.ndarray, share: float) -> float:
    return float(np.quantile(values, share)) if len(values) else math.nan


def _mark(cell: dict, low: float, _: float, high: float) -> str:
    if cell["within"]:
        return " "
    return "<" if cell["value"] < low else ">" if cell["value"] > high else "?"
