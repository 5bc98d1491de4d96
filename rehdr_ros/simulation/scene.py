"""Scenes: radiance seen by a moving camera at a time."""

from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from rehdr_ros.recordings.images import read_radiance
from rehdr_ros.simulation.motion import Wander
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
        self._scale = min(1.0, 0.8 * canvas.shape[0] / height, 0.8 * canvas.shape[1] / width)
        reach_x = (canvas.shape[1] - self._scale * width) / 2
        reach_y = (canvas.shape[0] - self._scale * height) / 2
        # A sinusoid's mean speed is 4 amplitudes a period.
        self._x = Wander(rng, 0.9 * reach_x, 4 * 0.9 * reach_x / (self._scale * speed))
        self._y = Wander(rng, 0.9 * reach_y, 4 * 0.9 * reach_y / (self._scale * speed))
        self._angle = Wander(rng, 0.15, 4.0)
        self._zoom = Wander(rng, 0.12, 5.0)

    def render(self, seconds: float) -> np.ndarray:
        width, height = self._size
        angle, scale = self._angle(seconds), self._scale * np.exp(self._zoom(seconds))
        c, s = scale * np.cos(angle), scale * np.sin(angle)
        centre = (
            self._canvas.shape[1] / 2 + self._x(seconds),
            self._canvas.shape[0] / 2 + self._y(seconds),
        )
        view_to_canvas = np.array(
            [
                [c, -s, centre[0] - c * width / 2 + s * height / 2],
                [s, c, centre[1] - s * width / 2 - c * height / 2],
            ]
        )
        return cv2.warpAffine(
            self._canvas,
            view_to_canvas,
            self._size,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT,
        )


class PanoramaScene:
    """An equirectangular panorama seen by a pinhole camera that looks around.

    panorama: (H, 2H, 3) float32. speed: about px/s in the view.
    """

    def __init__(self, panorama: np.ndarray, height: int, width: int, speed: float, rng: np.random.Generator):
        self._panorama = np.concatenate((panorama, panorama[:, :2]), 1)  # room to interpolate across the seam
        self._width = panorama.shape[1]
        fov = np.deg2rad(rng.uniform(45, 80))
        focal = 0.5 * max(height, width) / np.tan(fov / 2)
        x, y = np.meshgrid(np.arange(width) - (width - 1) / 2, np.arange(height) - (height - 1) / 2)
        rays = np.stack((x / focal, y / focal, np.ones_like(x)), -1).astype(np.float32)
        self._rays = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
        rate = speed / focal  # rad/s
        self._start, self._turn = rng.uniform(0, 2 * np.pi), rate * rng.choice((-0.6, 0.6))
        self._yaw = Wander(rng, 0.5, 4 * 0.5 / rate)
        self._pitch = Wander(rng, 0.6, 4 * 0.6 / rate)
        self._roll = Wander(rng, 0.2, 4.0)

    def render(self, seconds: float) -> np.ndarray:
        yaw = self._start + self._turn * seconds + self._yaw(seconds)
        rays = self._rays @ rotation(yaw, self._pitch(seconds), self._roll(seconds)).T.astype(np.float32)
        longitude = np.arctan2(rays[..., 0], rays[..., 2])
        latitude = np.arcsin(np.clip(rays[..., 1], -1, 1))
        map_x = (longitude / (2 * np.pi) + 0.5) * self._width
        map_y = (latitude / np.pi + 0.5) * self._panorama.shape[0] - 0.5
        return cv2.remap(self._panorama, map_x % self._width, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def rotation(yaw: np.ndarray | float, pitch: np.ndarray | float, roll: np.ndarray | float) -> np.ndarray:
    """Camera to world, (..., 3, 3), of angles in rad."""
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    zero, one = np.zeros_like(cy), np.ones_like(cy)
    about_y = matrices([[cy, zero, sy], [zero, one, zero], [-sy, zero, cy]])
    about_x = matrices([[one, zero, zero], [zero, cp, -sp], [zero, sp, cp]])
    about_z = matrices([[cr, -sr, zero], [sr, cr, zero], [zero, zero, one]])
    return about_y @ about_x @ about_z


def matrices(rows: list[list[np.ndarray]]) -> np.ndarray:
    """(..., 3, 3), of the elements."""
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))


def load_radiance(source: str | Path, height: int, width: int, seed: int) -> np.ndarray:
    """Radiance of "procedural" (a canvas with room for a view of height x width) or of a `.hdr`/`.exr` file.

    Raises FileNotFoundError, and ValueError for a file that is neither.
    """
    if str(source) == "procedural":
        return procedural_canvas(seed, max(900, 2 * height), max(1200, 2 * width))
    return np.maximum(np.nan_to_num(read_radiance(source), posinf=65504.0), 0)


def make_scene(
    radiance: np.ndarray, height: int, width: int, speed: float, rng: np.random.Generator
) -> PlanarScene | PanoramaScene:
    """A camera in front of the radiance; twice as wide as high means an equirectangular panorama."""
    is_panorama = radiance.shape[1] == 2 * radiance.shape[0]
    return (PanoramaScene if is_panorama else PlanarScene)(radiance, height, width, speed, rng)
