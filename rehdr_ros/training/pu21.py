"""PU21: luminance -> values of which equal steps look equally large, so that PSNR and SSIM serve for HDR.

R. K. Mantiuk and M. Azimi, "PU21: A novel perceptually uniform encoding for adapting existing quality metrics
for HDR", Picture Coding Symposium 2021. This is the fit "banding_glare", the authors' default, with the
parameters of https://github.com/gfxdisp/pu21.
"""

import numpy as np

PEAK = 256.0  # of PSNR and SSIM, as in the authors' pu21_metric: nearly the value of 100 cd/m^2
DARKEST, BRIGHTEST = 0.005, 10_000.0  # cd/m^2: the range of the fit

_P1, _P2, _P3, _P4 = 0.353487901, 0.3734658629, 8.277049286e-05, 0.9062562627
_P5, _P6, _P7 = 0.09150303166, 0.9099517204, 596.3148142


def encode(luminance: np.ndarray) -> np.ndarray:
    """cd/m^2, any shape, clamped to the range of the fit -> 0 to 595.4, in the same floating point type."""
    power = np.clip(luminance, DARKEST, BRIGHTEST) ** _P4
    encoded = _P7 * (((_P1 + _P2 * power) / (1 + _P3 * power)) ** _P5 - _P6)
    return np.maximum(encoded, 0)
