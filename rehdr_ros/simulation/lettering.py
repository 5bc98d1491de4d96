"""Words in scenes."""

import cv2
import numpy as np

FONT = cv2.FONT_HERSHEY_SIMPLEX


def strokes(
    shape: tuple[int, int], text: str, place: tuple[int, int], size: float, thickness: int
) -> np.ndarray:
    """Where a text's strokes are, (H, W) bool. place: x and y of its lower left, px; size: of cv2.putText."""
    picture = np.zeros(shape, np.uint8)  # OpenCV 5 writes on no other type
    cv2.putText(picture, text, place, FONT, size, 255, thickness)
    return picture > 0
