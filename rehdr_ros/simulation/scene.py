"""Scenes: radiance seen by a moving camera at a time."""

from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from rehdr_ros.recordings.images import read_radiance
from rehdr_ros.simulation.motion import LookingAround, Sliding
from rehdr_ros.simulation.procedural import procedural_canvas


class Scene(Protocol):
    """Anything that renders linear radiance (height, width, 3) float32 at a time in s."""

    def render(self, seconds: float) -> np.ndarray: ...


class PlanarScene:
    """A flat radiance canvas under a camera that slides, turns and zooms over it.

    canvas: (H, W, 3) float32, at least as large as the view. speed: about px/s in the view.
    """

    def __init__(self, canvas: np.ndarray, height: int, width: int, speed: float, rng: np.random.Generator):
        self._canvas, self._size = canvas, (width, height)
        scale = min(1.0, 0.8 * canvas.shape[0] / height, 0.8 * canvas.shape[1] / width)
        reach_x = (canvas.shape[1] - scale * width) / 2
        reach_y = (canvas.shape[0] - scale * height) / 2
        bounds = 0.9 * reach_x, 0.9 * reach_y
        view, texture = (width / 2, height / 2), (canvas.shape[1] / 2, canvas.shape[0] / 2)
        self._pose = Sliding(rng, scale, speed, bounds, view, texture)

    def render(self, seconds: float) -> np.ndarray:
        pose, how = self._pose(seconds)[:2], cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(self._canvas, pose, self._size, flags=how, borderMode=cv2.BORDER_REFLECT)


class PanoramaScene:
    """An equirectangular panorama seen by a pinhole camera that looks around.

    panorama: (H, 2H, 3) float32. speed: about px/s in the view. rays: (height, width, 3), of unit length.
    """

    def __init__(self, panorama: np.ndarray, height: int, width: int, speed: float, rng: np.random.Generator):
        self._panorama = np.concatenate((panorama, panorama[:, :2]), 1)  # room to interpolate across the seam
        self._width = panorama.shape[1]
        fov = np.deg2rad(rng.uniform(45, 80))
        focal = 0.5 * max(height, width) / np.tan(fov / 2)
        x, y = np.meshgrid(np.arange(width) - (width - 1) / 2, np.arange(height) - (height - 1) / 2)
        rays = np.stack((x / focal, y / focal, np.ones_like(x)), -1).astype(np.float32)
        self.rays = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
        self.orientation = LookingAround(rng, speed / focal)

    def render(self, seconds: float) -> np.ndarray:
        rays = self.rays @ self.orientation(seconds).T.astype(np.float32)
        longitude = np.arctan2(rays[..., 0], rays[..., 2])
        latitude = np.arcsin(np.clip(rays[..., 1], -1, 1))
        map_x = (longitude / (2 * np.pi) + 0.5) * self._width % self._width
        map_y = (latitude / np.pi + 0.5) * self._panorama.shape[0] - 0.5
        return cv2.remap(self._panorama, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def load_radiance(source: str | Path, height: int, width: int, seed: int) -> np.ndarray:
    """Radiance of "procedural" (a canvas with room for a view of height x width) or of a `.hdr`/`.exr` file.

    Raises FileNotFoundError, and ValueError for a file that is neither.
    """
    if str(source) == "procedural":
        rows, columns = max(900, 2 * height), max(1200, 2 * width)
        return procedural_canvas(seed, rows + (columns == 2 * rows), columns)  # or it is taken for a panorama
    return np.maximum(np.nan_to_num(read_radiance(source), posinf=65504.0), 0)


def make_scene(
    radiance: np.ndarray, height: int, width: int, speed: float, rng: np.random.Generator
) -> PlanarScene | PanoramaScene:
    """A camera in front of the radiance; twice as wide as high means an equirectangular panorama."""
    is_panorama = radiance.shape[1] == 2 * radiance.shape[0]
    return (PanoramaScene if is_panorama else PlanarScene)(radiance, height, width, speed, rng)
