"""AprilTags (36h11) by OpenCV: drawn, and found in pictures for the display."""

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

from rehdr_ros.errors import InputError

Found = list[tuple[int, np.ndarray]]
"""Of each tag its number and its corners (4, 2), px."""


HAS_TAGS = hasattr(cv2, "aruco")
"""Whether OpenCV knows them: from 4.7 on, and before that with its contrib modules, as Ubuntu has it."""


def tag_marker(number: int, side: int) -> np.ndarray:
    """A tag with its black border, (side, side) uint8. Raises InputError without HAS_TAGS."""
    family = _dictionary()
    draw = getattr(cv2.aruco, "generateImageMarker", None) or cv2.aruco.drawMarker  # of before 4.7
    return draw(family, number, side)


def tag_finder() -> Callable[[np.ndarray], Found]:
    """A function that finds the tags in (H, W, 3) or (H, W) uint8. Raises InputError without HAS_TAGS."""
    family = _dictionary()
    if hasattr(cv2.aruco, "ArucoDetector"):
        detect = cv2.aruco.ArucoDetector(family).detectMarkers
    else:  # before 4.7
        detect = partial(cv2.aruco.detectMarkers, dictionary=family)

    def find(image: np.ndarray) -> Found:
        grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        corners, numbers, _ = detect(grey)
        if numbers is None:
            return []
        return list(zip(numbers.ravel().tolist(), np.reshape(corners, (-1, 4, 2)), strict=True))

    return find


def outlined(image: np.ndarray, tags: Found) -> np.ndarray:
    """A copy with the tags' borders in green and their numbers."""
    image = image.copy()
    for number, corners in tags:
        outline = np.rint(corners).astype(np.int32)
        cv2.polylines(image, [outline], True, (0, 230, 60), 2, cv2.LINE_AA)
        x, y = outline.min(0).tolist()
        cv2.putText(
            image, f"{number}", (x, y - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 230, 60), 1, cv2.LINE_AA
        )
    return image


def _dictionary():
    if not HAS_TAGS:
        words = f"AprilTags need OpenCV 4.7 or later, or opencv-contrib, and this is {cv2.__version__}"
        raise InputError(words)
    return cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11)
