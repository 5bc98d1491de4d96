"""The loops of propagation.py: over events, and over the rows of pixels where there were any."""

from __future__ import annotations

import numpy as np

from rehdr_ros.jit import kernel

_0, _1 = np.float32(0), np.float32(1)
_LOG2_E = np.float32(1.4426950408889634)
# exp(x log 2) over -1/2..1/2, by Taylor's series
_C1, _C2, _C3 = np.float32(0.6931471806), np.float32(0.2402265070), np.float32(0.0555041087)
_C4, _C5, _C6 = np.float32(0.0096181291), np.float32(0.0013333558), np.float32(0.0001540353)


@kernel
def count(t, x, y, p, after, until, events, changed):
    """Events of (after, until] ns onto events (2, H + 2, W + 2), OFF and ON; changed: (H + 2,), its rows."""
    height, width = events.shape[1] - 2, events.shape[2] - 2
    for i in range(len(t)):
        if (t[i] > after) & (t[i] <= until) & (x[i] < width) & (y[i] < height):
            row = y[i] + 1
            events[1 if p[i] else 0, row, x[i] + 1] += _1
            changed[row] = True


@kernel
def add(new, plane, changed):
    """Counts (H, W) onto those of one polarity, (H + 2, W + 2)."""
    for y in range(len(new)):
        row, out, some = new[y], plane[y + 1], _0
        for x in range(len(row)):
            out[x + 1] += row[x]
            some += row[x]
        if some > _0:
            changed[y + 1] = True


@kernel
def update(events, changed, per_on, per_off, fading, isolated, most, correction, keyframe, gain, radiance):
    """Gain and radiance in changed rows and beside them; none is changed then. events, changed: of `count`.

    fading: what an event adds to the odds against the correction. isolated: events by which a pixel may
    surpass all its neighbours. most: change of log radiance.
    """
    height, width = gain.shape
    rising, falling = np.empty(width, np.float32), np.empty(width, np.float32)
    for y in range(height):
        if not (changed[y] | changed[y + 1] | changed[y + 2]):
            continue
        _limited(events[1], y, isolated, rising)
        _limited(events[0], y, isolated, falling)
        corrected, factor = correction[y], gain[y]
        for x in range(width):
            change = per_on * rising[x] - per_off * falling[x]
            odds = fading * (rising[x] + falling[x])
            change -= corrected[x] * odds / (_1 + odds)
            factor[x] = _exp(min(max(change, -most), most))
        for c in range(3):
            row, out = keyframe[c, y], radiance[c, y]
            for x in range(width):
                out[x] = row[x] * factor[x]
    changed[:] = False


@kernel
def _exp(x):
    """Within 1e-6, relative, for |x| below 80, in a form that goes by the vector."""
    power = x * _LOG2_E
    whole = np.float32(np.int32(power + np.float32(128.5))) - np.float32(128)
    part = power - whole
    series = _C3 + part * (_C4 + part * (_C5 + part * _C6))
    series = _1 + part * (_C1 + part * (_C2 + part * series))
    scale = np.int32((np.int32(whole) + 127) << 23)
    return series * np.float32(np.int32(scale).view(np.float32))


@kernel
def _limited(plane, y, isolated, out):
    """Row y, as of head_start.without_isolated: few surpass what passes anyway."""
    here = plane[y + 1]
    for x in range(len(out)):
        out[x] = here[x + 1]
    for x in range(len(out)):
        if out[x] > isolated:
            around = max(here[x], here[x + 2])
            for i in range(x, x + 3):
                around = max(around, plane[y, i], plane[y + 2, i])
            out[x] = min(out[x], around + isolated)
