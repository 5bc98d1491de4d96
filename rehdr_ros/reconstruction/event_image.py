"""Events as a picture: ON red, OFF blue."""

import cv2
import numpy as np

_EVENTS = 3.0  # of one sign in a pixel that make the full colour
_LIGHTEST = 0.4  # share of white in what lies below


def event_image(grid: np.ndarray, image: np.ndarray | None = None, white: float = 255.0) -> np.ndarray:
    """A grid of signed events (B, H, W) over the frame that they are of, pale and grey: (H, W, 3) uint8 RGB.

    image: (H, W) or (H, W, 3) of any type, its white at `white`; None: on white. Where events and frame
    agree, the coloured fringes end on the frame's edges.
    """
    strength = np.clip(grid.sum(0) * np.float32(1 / _EVENTS), -1, 1)
    below = np.full(strength.shape, 255, np.float32) if image is None else _pale(image, white)
    faded = below * (1 - np.abs(strength)) + np.float32(0.5)
    picture = np.empty((*strength.shape, 3), np.uint8)
    picture[..., 0] = faded + 255 * np.maximum(strength, 0)
    picture[..., 1] = faded
    picture[..., 2] = faded + 255 * np.maximum(-strength, 0)
    return picture


def _pale(image: np.ndarray, white: float) -> np.ndarray:
    grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
    level = np.nan_to_num(np.clip(grey.astype(np.float32) / np.float32(white), 0, 1))
    return 255 * (_LIGHTEST + (1 - _LIGHTEST) * level)
