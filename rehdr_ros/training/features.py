"""Feature matches and tracks by OpenCV, and where in a clipped frame they begin."""

from collections.abc import Sequence

import cv2
import numpy as np

from rehdr_ros.reconstruction.clipping import CLIPPED_LEVEL

TOLERANCE = 3.0  # px from its true place within which a match or a track is correct
FEATURES = 1000  # at most, the strongest; what is not named here is OpenCV's default
DETECTORS = {
    "ORB": lambda: cv2.ORB_create(FEATURES),
    # What ORB-SLAM falls back to.
    "ORB, FAST threshold 7": lambda: cv2.ORB_create(FEATURES, fastThreshold=7),
    "SIFT": lambda: cv2.SIFT_create(FEATURES),
}
for _module in (cv2, getattr(cv2, "xfeatures2d", None)):  # OpenCV 5 has AKAZE among its contrib modules
    if hasattr(_module, "AKAZE_create"):
        DETECTORS["AKAZE"] = _module.AKAZE_create
PLACES = "all", "in clipped pixels", "in fully clipped pixels", "elsewhere", "at the rim", "exposed"

_NORMS = {"SIFT": cv2.NORM_L2}  # of descriptors; else the Hamming distance
_RIM = 8  # px around clipped pixels
_QUALITY, _APART = 0.01, 5  # Shi-Tomasi: of the strongest corner; px between two

Features = tuple[Sequence[cv2.KeyPoint], np.ndarray | None]
"""Keypoints and descriptors of one image."""


def detect(detector: str, image: np.ndarray) -> Features:
    """By one of DETECTORS, in (H, W) uint8."""
    method = DETECTORS[detector]()
    strongest = sorted(method.detect(image, None), key=lambda point: -point.response)  # AKAZE has no limit
    return method.compute(image, strongest[:FEATURES])


def match(detector: str, first: Features, second: Features) -> tuple[np.ndarray, np.ndarray]:
    """Cross-checked nearest neighbours: where they start and end, (N, 2) px each."""
    (start_points, start_words), (end_points, end_words) = first, second
    matcher = cv2.BFMatcher(_NORMS.get(detector, cv2.NORM_HAMMING), crossCheck=True)
    found = () if start_words is None or end_words is None else matcher.match(start_words, end_words)
    start = np.array([start_points[m.queryIdx].pt for m in found]).reshape(-1, 2)
    end = np.array([end_points[m.trainIdx].pt for m in found]).reshape(-1, 2)
    return start, end


def follow(images: Sequence[np.ndarray]) -> np.ndarray:
    """Shi-Tomasi corners of the first of T images, followed by KLT: (T, N, 2) px, NaN once they are lost."""
    corners = cv2.goodFeaturesToTrack(images[0], FEATURES, _QUALITY, _APART)
    corners = np.empty((0, 1, 2), np.float32) if corners is None else corners
    tracks = np.full((len(images), len(corners), 2), np.nan)
    tracks[0] = corners[:, 0]
    alive = np.arange(len(corners))
    for k in range(1, len(images)):
        if not len(alive):
            break
        corners, found, _ = cv2.calcOpticalFlowPyrLK(images[k - 1], images[k], corners, None)
        found = found.ravel() > 0
        alive, corners = alive[found], corners[found]
        tracks[k, alive] = corners[:, 0]
    return tracks


def places(ldr: np.ndarray) -> np.ndarray:
    """Masks (len(PLACES), H, W) of a frame (H, W, 3) uint8.

    Clipped, fully clipped: one channel, or every channel, is at 250 or above; the rim: not clipped, within
    8 px of what is.
    """
    channels = ldr >= CLIPPED_LEVEL
    clipped, lost = channels.any(-1), channels.all(-1)
    near = cv2.dilate(clipped.astype(np.uint8), np.ones((2 * _RIM + 1,) * 2, np.uint8)) > 0
    return np.stack((np.ones_like(clipped), clipped, lost, ~clipped, near & ~clipped, ~near))


def counts(start: np.ndarray, correct: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """(len(PLACES), 2): how many of (N, 2) px there are, and how many are correct (N,)."""
    inside = at(masks, start)
    return np.stack((inside.sum(1), (inside & correct).sum(1)), 1)


def at(masks: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Masks (n, H, W) at (N, 2) px: (n, N)."""
    x, y = points.round().astype(int).T
    return masks[:, y.clip(0, masks.shape[1] - 1), x.clip(0, masks.shape[2] - 1)]
