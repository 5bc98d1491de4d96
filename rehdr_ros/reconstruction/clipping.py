"""Which pixels clip."""

import numpy as np

CLIPPED_LEVEL = 250  # of 255: from here on a channel counts as clipped


def clipped_from(dtype: np.dtype, white: float) -> np.generic:
    """The value from which a channel of that type counts as clipped, of that type; white: what means that."""
    clipped = CLIPPED_LEVEL / 255 * white
    return dtype.type(round(clipped) if dtype.kind == "u" else clipped)


def clipped_fraction(image: np.ndarray, white: float) -> float:
    """Share of pixels with a channel at or above 250/255 of the white value; image: (H, W) or (H, W, 3)."""
    clipped = image >= clipped_from(image.dtype, white)  # in the image's own type: no pixel is converted
    if image.ndim == 3:
        clipped = clipped[..., 0] | clipped[..., 1] | clipped[..., 2]
    return float(np.count_nonzero(clipped) / clipped.size)
