"""AprilTags (36h11) in pictures for the display, by OpenCV's detector."""

from collections.abc import Callable

import cv2
import numpy as np

Corners = dict[int, np.ndarray]
"""By a tag's number its corners (4, 2), px."""


def tag_finder() -> Callable[[np.ndarray], Corners] | None:
    """A function that finds the tags in (H, W, 3) uint8; None where OpenCV is older than 4.7."""
    if not hasattr(cv2, "aruco") or not hasattr(cv2.aruco, "ArucoDetector"):
        return None
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11)
    detector = cv2.aruco.ArucoDetector(dictionary)

    def find(image: np.ndarray) -> Corners:
        corners, numbers, _ = detector.detectMarkers(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))
        return (
            {}
            if numbers is None
            else dict(zip(numbers.ravel().tolist(), np.reshape(corners, (-1, 4, 2)), strict=True))
        )

    return find


def outlined(image: np.ndarray, tags: Corners) -> np.ndarray:
    """A copy with the tags' borders in green and their numbers."""
    image = image.copy()
    for number, corners in tags.items():
        outline = np.rint(corners).astype(np.int32)
        cv2.polylines(image, [outline], True, (0, 230, 60), 2, cv2.LINE_AA)
        x, y = outline.min(0).tolist()
        cv2.putText(
            image, f"{number}", (x, y - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 230, 60), 1, cv2.LINE_AA
        )
    return image
