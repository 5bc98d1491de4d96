"""The loops of propagation.py: over all pixels, with work where events came."""

from __future__ import annotations

import math

import numpy as np

from rehdr_ros.jit import kernel

_1 = np.float32(1)


@kernel
def add(new, events, changed):
    """new: (H, W) onto events, (H + 2, W + 2); changed: True around each pixel that has any."""
    height, width = new.shape
    for y in range(height):
        row = new[y]
        for x in range(width):
            if row[x] > 0:
                events[y + 1, x + 1] += row[x]
                changed[y : y + 3, x : x + 3] = True


@kernel
def update(on, off, changed, per_on, per_off, fading, isolated, most, correction, keyframe, gain, radiance):
    """Gain and radiance of the changed pixels; none is changed then. on, off, changed: with a border.

    fading: what an event adds to the odds against the correction. isolated: events by which a pixel may
    surpass all its neighbours. most: change of log radiance.
    """
    height, width = gain.shape
    for y in range(height):
        for x in range(width):
            if not changed[y + 1, x + 1]:
                continue
            rising = _limited(on, y + 1, x + 1, isolated)
            falling = _limited(off, y + 1, x + 1, isolated)
            change = per_on * rising - per_off * falling
            left = _1 / (_1 + fading * (rising + falling))
            change -= correction[y, x] * (_1 - left)
            factor = math.exp(min(max(change, -most), most))
            gain[y, x] = factor
            for c in range(3):
                radiance[c, y, x] = keyframe[c, y, x] * factor
    changed[:] = False


@kernel
def _limited(events, y, x, isolated):
    """As of head_start.without_isolated."""
    around = np.float32(0)
    for j in range(y - 1, y + 2):
        for i in range(x - 1, x + 2):
            if (j != y) | (i != x):
                around = max(around, events[j, i])
    return min(events[y, x], around + isolated)
