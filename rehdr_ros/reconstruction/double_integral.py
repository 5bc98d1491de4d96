"""The event-based double integral (Pan et al., CVPR 2019), per pixel, of events as they really come.

A frame shows the mean of the radiance over its exposure; the events tell its course, up to a factor. The mean
of that course over its value at one instant is what the frame has to be divided by to show that instant.
Beyond the published form: log radiance rises towards an event and doesn't jump there; an event that follows
one of its pixel at once stands for more than a threshold, since the pixel was blind in between; and what the
thresholds leave open is taken from neighbours that show the same.
"""

import math

import numpy as np

from rehdr_ros.jit import kernel
from rehdr_ros.network.head_start.reference import ISOLATED

_MOST_MISSED = 3.0  # thresholds that an event may stand for, because of the dead time before it
_NEVER = np.int64(1) << 50  # ns
_DARK = np.float32(2e-3)  # of white, what noise makes of black
_REACH = 2  # px on each side that are like a pixel, perhaps
_NEARNESS = np.array(
    [
        [math.exp(-(x * x + y * y) / 2) for x in range(-_REACH, _REACH + 1)]
        for y in range(-_REACH, _REACH + 1)
    ],
    np.float32,
)


@kernel
def double_integral(t, sensor, p, table, share, start, end, on, off, dead, ramp, log_ratio, count):
    """log_ratio: (H * W,) float32, log of the mean radiance over (start, end] over that at the middle.

    t: int64 ns, in the order of time, from any before `start` on; sensor: int32, the event's pixel, -1: none.
    table: as of Registration, empty where frame pixels are the sensor's; share: (H * W,) float32, of each
    event that falls into a frame pixel. on, off: contrast thresholds, nat. dead: ns that a pixel
    is blind after an event; ramp: ns, the longest rise towards one. count: (H * W,) int32, events of the
    exposure. Both are zeros before, and stay so where there is no event.
    """
    pixels, middle = len(log_ratio), (start + end) // 2
    level, at_middle, total = np.zeros(pixels), np.zeros(pixels), np.zeros(pixels)
    since, passed = np.full(pixels, start), np.zeros(pixels, np.bool_)
    before = np.full(sensor.max() + 1 if len(sensor) else 0, start - _NEVER)
    for i in range(len(t)):
        if sensor[i] < 0 or t[i] > end:
            continue
        gap, before[sensor[i]] = t[i] - before[sensor[i]], t[i]
        k = table[sensor[i] + 1] if len(table) else sensor[i]
        if k < 0 or t[i] <= start:
            continue
        step = (on if p[i] else -off) * _stands_for(gap, dead) * share[k]
        begin, old = max(since[k], t[i] - ramp), level[k]
        rise = t[i] - begin
        if not passed[k] and t[i] > middle:
            at_middle[k] = old + step * max(middle - begin, 0) / rise if rise > 0 else old
            passed[k] = True
        total[k] += np.exp(old) * ((begin - since[k]) + np.expm1(step) / step * rise)
        level[k], since[k] = old + step, t[i]
        count[k] += 1
    for k in range(pixels):
        if count[k]:
            total[k] += np.exp(level[k]) * (end - since[k])
            log_ratio[k] = np.log(total[k] / (end - start)) - (at_middle[k] if passed[k] else level[k])


@kernel
def weighted_counts(t, sensor, p, table, share, middles, exposures, dead, counts):
    """Add to counts, (2, H * W) float32, the OFF and ON events between two frames, as voxel_grid counts them.

    Each counts as many thresholds as it stands for. middles, exposures: ns, of both frames. The others as of
    double_integral.
    """
    begin, end = middles[0] - exposures[0] // 2, middles[1] - exposures[1] // 2 + exposures[1]
    whole_from, whole_until = begin + exposures[0], end - exposures[1]
    before = np.full(sensor.max() + 1 if len(sensor) else 0, begin - _NEVER)
    for i in range(len(t)):
        if sensor[i] < 0 or t[i] > end:
            continue
        gap, before[sensor[i]] = t[i] - before[sensor[i]], t[i]
        k = table[sensor[i] + 1] if len(table) else sensor[i]
        if k < 0 or t[i] <= begin:
            continue
        weight = (t[i] - begin) / exposures[0] if t[i] < whole_from else 1.0
        if t[i] > whole_until:
            weight -= (t[i] - whole_until) / exposures[1]
        counts[p[i], k] += weight * _stands_for(gap, dead) * share[k]


@kernel
def _stands_for(gap, dead):
    """Thresholds, of an event that comes `gap` after its pixel's last: it saw nothing for `dead`."""
    if gap * (_MOST_MISSED - 1) <= dead * _MOST_MISSED:
        return _MOST_MISSED
    return gap / (gap - dead)


@kernel
def smooth(luminance, like, clipped, count, log_ratio, out):
    """What the double integral gives, with each pixel's instant a mean of neighbours that look like it.

    luminance: (H, W) float32 of the frame, white = 1; like: float32, nat, how different log radiances come
    out that are the same; clipped: (H, W) bool, pixels that are like no others. 0 in pixels without events,
    and in those whose events no neighbour confirms.
    """
    height, width = log_ratio.shape
    shown = np.log(luminance + _DARK)
    instant, scale = shown - log_ratio, np.float32(-0.5 / (like * like))
    for y in range(height):
        for x in range(width):
            out[y, x] = 0.0
            if not count[y, x]:
                continue
            total, weights, most = np.float32(0.0), np.float32(0.0), 0
            for v in range(max(y - _REACH, 0), min(y + _REACH + 1, height)):
                for u in range(max(x - _REACH, 0), min(x + _REACH + 1, width)):
                    if abs(v - y) <= 1 and abs(u - x) <= 1 and (v != y or u != x):
                        most = max(most, count[v, u])
                    if clipped[v, u] == clipped[y, x]:
                        off = instant[v, u] - instant[y, x]
                        weight = _NEARNESS[v - y + _REACH, u - x + _REACH] * np.exp(scale * off * off)
                        total += weight * instant[v, u]
                        weights += weight
            if 0 < most >= count[y, x] - ISOLATED:
                out[y, x] = shown[y, x] - total / weights
