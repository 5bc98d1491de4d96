"""Events of an interval -> voxel grid."""

from __future__ import annotations

import numpy as np

from rehdr_ros.events.jit import kernel, sealed
from rehdr_ros.events.packet import Events


def voxel_grid(
    events: Events, t0: int, t1: int, bins: int, height: int, width: int, out: np.ndarray | None = None
) -> np.ndarray:
    """Sum the polarities (+1 ON, -1 OFF) of the events in (t0, t1] into a float32 (bins, height, width) grid.

    An event at time t is shared linearly by the two bins around (bins - 1) (t - t0) / (t1 - t0), as in Zhu
    et al., "Unsupervised Event-Based Learning of Optical Flow, Depth, and Egomotion" (CVPR 2019); a single
    bin takes all. t0, t1: int ns, on the clock of `events`. Events outside the interval or the image are
    ignored; without events, or with t1 <= t0, the grid is zero. The order of the events does not matter.
    `out`, if given, is overwritten and returned.
    Raises ValueError for bins < 1 and for an `out` that is not C-contiguous float32 of that shape.
    """
    if bins < 1:
        raise ValueError(f"a voxel grid needs at least one bin, not {bins}")
    shape = (bins, height, width)
    if out is None:
        out = np.zeros(shape, np.float32)
    elif out.shape != shape or out.dtype != np.float32 or not out.flags.c_contiguous:
        raise ValueError(f"out must be C-contiguous float32 of {shape}, not {out.dtype} of {out.shape}")
    else:
        out.fill(0.0)
    if len(events) and t1 > t0:
        _accumulate(sealed(events.t), sealed(events.x), sealed(events.y), sealed(events.p), int(t0), int(t1), out)
    return out


@kernel
def _accumulate(t, x, y, p, t0, t1, grid):
    bins, height, width = grid.shape
    scale = (bins - 1) / (t1 - t0)
    for i in range(len(t)):
        if t[i] <= t0 or t[i] > t1 or x[i] >= width or y[i] >= height:
            continue
        polarity = np.float32(1.0) if p[i] else np.float32(-1.0)
        position = (t[i] - t0) * scale
        lower = min(int(position), bins - 1)
        share = np.float32(position - lower)
        grid[lower, y[i], x[i]] += polarity * (np.float32(1.0) - share)
        if lower + 1 < bins:
            grid[lower + 1, y[i], x[i]] += polarity * share
