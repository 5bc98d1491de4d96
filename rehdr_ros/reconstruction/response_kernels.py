"""Display values -> linear radiance on the CPU, through a table: one pass over the image."""

from __future__ import annotations

import numpy as np

from rehdr_ros.jit import kernel


@kernel
def look_up(pixels, table, clipped_from, out):
    """pixels: uint8 or uint16 (N, 1 or 3) -> out: float32 (3, N), by a table of all their values.

    Returns how many pixels have a channel at or above `clipped_from`.
    """
    clipped, green, blue = 0, pixels.shape[1] // 2, pixels.shape[1] - 1
    for i in range(len(pixels)):
        r, g, b = pixels[i, 0], pixels[i, green], pixels[i, blue]
        out[0, i], out[1, i], out[2, i] = table[r], table[g], table[b]
        clipped += max(r, g, b) >= clipped_from
    return clipped


@kernel
def interpolate(pixels, table, clipped_from, out):
    """As `look_up`, of float32 in 0..1, between the values of an evenly spaced table. NaN counts as black."""
    clipped, channels = 0, pixels.shape[1]
    zero, last = np.float32(0), np.float32(len(table) - 1)
    for i in range(len(pixels)):
        clips = False
        for c in range(3):
            value = pixels[i, min(c, channels - 1)]
            clips |= value >= clipped_from
            position = min(value * last, last) if value > zero else zero
            lower = min(np.int32(position), np.int32(len(table) - 2))
            share = position - np.float32(lower)
            out[c, i] = table[lower] + share * (table[lower + 1] - table[lower])
        clipped += clips
    return clipped
