"""The true way of every pixel from frame to frame of a simulated camera without parallax."""

import cv2
import numpy as np

from rehdr_ros.simulation import SimulationConfig
from rehdr_ros.simulation.scene import load_radiance, make_scene


class CameraMotion:
    """Homographies between the frames of `simulate(config, radiance)`; a stamp is a frame's, in ns."""

    def __init__(self, config: SimulationConfig, radiance: np.ndarray | None = None):
        if radiance is None:
            radiance = load_radiance(config.scene, config.height, config.width, config.seed)
        rng = np.random.default_rng([config.seed, 1])  # as simulate() has it
        places = _places(*radiance.shape[:2])
        self._scene = make_scene(places, config.height, config.width, config.speed, rng)
        self._middle, self._size = config.exposure / 2, radiance.shape[1]
        self._found: dict[int, np.ndarray] = {}

    def to_canvas(self, stamp_ns: int) -> np.ndarray:
        """3x3: from pixels to those of the radiance, where that is flat; up to scale."""
        return np.diag((self._size, self._size, 1.0)) @ self._pose(stamp_ns)

    def between(self, start_ns: int, end_ns: int) -> np.ndarray:
        """3x3: from pixels of one frame to those of another."""
        return np.linalg.inv(self._pose(end_ns)) @ self._pose(start_ns)

    def _pose(self, stamp_ns: int) -> np.ndarray:
        """By the same camera in front of a scene whose values are places."""
        if stamp_ns not in self._found:
            view = self._scene.render(stamp_ns * 1e-9 + self._middle)
            self._found[stamp_ns] = _pixel_to_world(view)
        return self._found[stamp_ns]


def moved(points: np.ndarray, homography: np.ndarray) -> np.ndarray:
    """(N, 2) px -> (N, 2)."""
    ends = np.insert(points, 2, 1, axis=1) @ homography.T
    return ends[:, :2] / ends[:, 2:]


def warped_back(image: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """The image, as float32, seen from where `motion` starts; NaN where it shows nothing."""
    size, flags = image.shape[1::-1], cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpPerspective(image.astype(np.float32), motion, size, flags=flags, borderValue=(np.nan,) * 3)


def _places(height: int, width: int) -> np.ndarray:
    """Each pixel's homogeneous coordinates, of a panorama its direction; (H, W, 3) float32."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    if width != 2 * height:
        return np.stack((x / width, y / width, np.ones_like(x)), -1).astype(np.float32)
    longitude, latitude = 2 * np.pi * x / width, np.pi * (y + 0.5) / height
    ray = (np.sin(latitude) * np.sin(longitude), np.cos(latitude), np.sin(latitude) * np.cos(longitude))
    return np.stack(ray, -1).astype(np.float32)


def _pixel_to_world(view: np.ndarray) -> np.ndarray:
    """M, 3x3, so that M (x, y, 1) is parallel to view[y, x] of (H, W, 3): the direct linear transform."""
    height, width = view.shape[:2]
    grid = np.mgrid[0.1 * height : 0.9 * height : 16j, 0.1 * width : 0.9 * width : 16j]
    y, x = grid.astype(int).reshape(2, -1)
    pixel, place = np.stack((x / width, y / width, np.ones_like(x)), 1), view[y, x].astype(np.float64)
    zero = np.zeros_like(pixel)
    px, py, pz = (place[:, k, None] * pixel for k in range(3))
    # place x (M pixel) = 0
    equations = np.block([[zero, -pz, py], [pz, zero, -px], [-py, px, zero]])
    matrix = np.linalg.svd(equations, full_matrices=False)[2][-1].reshape(3, 3)
    return matrix @ np.diag((1 / width, 1 / width, 1))
