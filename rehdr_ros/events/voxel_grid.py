"""Events of an interval -> voxel grid."""

from __future__ import annotations

import numpy as np

from rehdr_ros.events.packet import Events
from rehdr_ros.events.registration import Registration
from rehdr_ros.jit import kernel, sealed

_BLOCK = 1 << 12  # events whose cells are found before they are counted; these stay in the cache
_NO_TABLE = sealed(np.empty(0, np.int32))


def voxel_grid(
    events: Events,
    t0: int,
    t1: int,
    bins: int,
    height: int,
    width: int,
    out: np.ndarray | None = None,
    registration: Registration | None = None,
    exposures: tuple[int, int] = (0, 0),
) -> np.ndarray:
    """Sum the polarities (+1 ON, -1 OFF) of the events in (t0, t1] into a float32 (bins, height, width) grid.

    An event at time t is shared linearly by the two bins around (bins - 1) (t - t0) / (t1 - t0), as in Zhu et
    al., "Unsupervised Event-Based Learning of Optical Flow, Depth, and Egomotion" (CVPR 2019); a single bin
    takes all. t0, t1: int ns, on the clock of `events`. Events outside the interval or the image are ignored;
    without events, or with t1 <= t0, the grid is zero. The order of the events does not matter. `out`, if
    given, is overwritten and returned. `registration` tells where in the grid each pixel of the sensor lies;
    without one, the pixels are the same.
    `exposures`: ns, how long the frames at t0 and t1, the middles, were exposed. A frame is a mean over its
    exposure, so that an event within one belongs to this interval and to the next by the share of it that has
    passed; those of the first half of the exposure at t0 and of the second half of that at t1 count in the
    outer bins. Raises ValueError for bins < 1, for an `out` that is not C-contiguous float32 of that shape,
    and for a registration into another size.
    """
    if bins < 1:
        raise ValueError(f"a voxel grid needs at least one bin, not {bins}")
    if registration is not None and registration.frame_size != (width, height):
        into = registration.frame_size
        raise ValueError(f"the registration is into {into}, the grid is of {(width, height)}")
    shape = (bins, height, width)
    if out is None:
        out = np.zeros(shape, np.float32)
    elif out.shape != shape or out.dtype != np.float32 or not out.flags.c_contiguous:
        raise ValueError(f"out must be C-contiguous float32 of {shape}, not {out.dtype} of {out.shape}")
    else:
        out.fill(0.0)
    if len(events) and t1 > t0:
        columns = (sealed(column) for column in (events.t, events.x, events.y, events.p))
        interval = int(t0), int(t1), *map(int, exposures)
        if registration is None:
            _accumulate(*columns, *interval, width, height, _NO_TABLE, out)
        else:
            _accumulate(*columns, *interval, *registration.event_size, registration.table, out)
            registration.complete(out)
    return out


@kernel
def _accumulate(t, x, y, p, t0, t1, exposure0, exposure1, width, height, table, grid):
    # Not in one loop: the processor would wait for each pixel before it knew where the next event goes.
    bins, plane, flat = grid.shape[0], grid.shape[1] * grid.shape[2], grid.reshape(-1)
    room = min(_BLOCK, len(t))
    pixels, cells = np.empty(room, np.int32), np.empty(room, np.int32)
    shares = np.empty((2, room), np.float32)
    for start in range(0, len(t), _BLOCK):
        end = min(start + _BLOCK, len(t))
        part = pixels[: end - start]
        _number(x[start:end], y[start:end], width, height, part)
        if len(table):
            _look_up(part, table)
        _share(t[start:end], part, p[start:end], t0, t1, exposure0, exposure1, bins, plane, cells, shares)
        _add(cells[: end - start], shares, plane if bins > 1 else 0, flat)


@kernel
def _share(t, pixels, p, t0, t1, exposure0, exposure1, bins, plane, cells, shares):
    """The cell of each event in its lower bin, and what it adds to that and to the one in the next bin."""
    last = max(bins - 2, 0)
    scale = (bins - 1) / (t1 - t0)
    begin, end = t0 - exposure0 // 2, t1 - exposure1 // 2 + exposure1
    whole_from, whole_until = begin + exposure0, end - exposure1
    earliest, latest = t[0], t[0]
    for i in range(len(t)):
        earliest, latest = min(earliest, t[i]), max(latest, t[i])
    whole = earliest > begin and earliest >= whole_from and latest <= end and latest <= whole_until
    lower_share, upper_share = shares[0], shares[1]
    if whole:  # as below, without what keeps the loop from going by the vector
        for i in range(len(t)):
            position = (min(max(t[i], t0), t1) - t0) * scale
            lower = min(np.int32(position), np.int32(last))
            polarity = np.float32(1.0) if p[i] else np.float32(-1.0)
            polarity = polarity if pixels[i] >= 0 else np.float32(0.0)
            share = polarity * np.float32(position - lower)
            cells[i] = lower * np.int32(plane) + max(pixels[i], np.int32(0))
            lower_share[i], upper_share[i] = polarity - share, share
        return
    for i in range(len(t)):
        cells[i], lower_share[i], upper_share[i] = 0, 0.0, 0.0
        if t[i] <= begin or t[i] > end or pixels[i] < 0:
            continue
        position = (min(max(t[i], t0), t1) - t0) * scale
        lower = min(np.int32(position), np.int32(last))
        polarity = np.float32(1.0) if p[i] else np.float32(-1.0)
        if t[i] < whole_from or t[i] > whole_until:
            weight = (t[i] - begin) / exposure0 if t[i] < whole_from else 1.0
            if t[i] > whole_until:
                weight -= (t[i] - whole_until) / exposure1
            polarity *= np.float32(weight)
        share = polarity * np.float32(position - lower)
        cells[i] = lower * np.int32(plane) + pixels[i]
        lower_share[i], upper_share[i] = polarity - share, share


@kernel
def _add(cells, shares, plane, flat):
    lower_share, upper_share = shares[0], shares[1]
    for i in range(len(cells)):
        cell = np.uint64(cells[i])
        flat[cell] += lower_share[i]
        flat[cell + np.uint64(plane)] += upper_share[i]


@kernel
def _number(x, y, width, height, pixels):
    width, height = np.int32(width), np.int32(height)
    for i in range(len(x)):
        column, row = np.int32(x[i]), np.int32(y[i])
        pixels[i] = row * width + column if (column < width) & (row < height) else np.int32(-1)


@kernel
def _look_up(pixels, table):
    for i in range(len(pixels)):
        pixels[i] = table[np.uint64(np.int64(pixels[i]) + 1)]
