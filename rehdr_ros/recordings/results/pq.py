"""Linear radiance -> code values of HDR10 video: BT.2020 primaries, PQ transfer, Y'CbCr 4:2:0, 10 bits."""

from __future__ import annotations

import numpy as np

PEAK = 10_000.0  # cd/m2, the largest that PQ can say

# ITU-R BT.2087, table 1: linear RGB of BT.709 to that of BT.2020.
_BT709_TO_BT2020 = np.float32([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.088, 0.8956]])
# SMPTE ST 2084, section 5.
_M1, _M2 = 2610 / 16384, 128 * 2523 / 4096
_C1, _C2, _C3 = 3424 / 4096, 32 * 2413 / 4096, 32 * 2392 / 4096
# ITU-R BT.2020, table 4: luma, non-constant luminance.
_LUMA = np.array([0.2627, 0.6780, 0.0593], np.float32)
_CB, _CR = 1.8814, 1.4746


def to_bt2020(rgb: np.ndarray) -> np.ndarray:
    """Linear RGB (..., 3) float32 of BT.709 primaries -> of BT.2020 primaries, in the same unit."""
    return rgb @ _BT709_TO_BT2020.T


def encode_pq(luminance: np.ndarray) -> np.ndarray:
    """Display light in cd/m2 -> PQ signal in 0..1 (ST 2084's inverse EOTF), clipped outside 0..10000."""
    power = (np.clip(luminance, 0, PEAK) * np.float32(1 / PEAK)) ** np.float32(_M1)
    return ((_C1 + _C2 * power) / (1 + _C3 * power)) ** np.float32(_M2)


def to_yuv420p10(signal: np.ndarray) -> np.ndarray:
    """PQ R'G'B' of BT.2020, (H, W, 3) with even H and W -> Y'CbCr planes, (3 H / 2, W) uint16, narrow range.

    The layout is that of FFmpeg's yuv420p10le. A chroma sample is the mean of the four pixels around it.
    """
    height, width = signal.shape[:2]
    y = signal @ _LUMA
    planes = np.empty((height * 3 // 2, width), np.uint16)
    planes[:height] = np.rint(64 + 876 * y)
    rows = planes[height:].reshape(2, height // 2, width // 2)
    for plane, channel, range_ in ((rows[0], 2, _CB), (rows[1], 0, _CR)):
        difference = (signal[..., channel] - y) / np.float32(range_)
        mean = difference.reshape(height // 2, 2, width // 2, 2).mean((1, 3))
        plane[:] = np.rint(512 + 896 * mean)
    return planes
