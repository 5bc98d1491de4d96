"""Flat textured panels in space, seen by a pinhole camera: parallax, occlusion, all of it exact."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from rehdr_ros.jit import kernel

_LEAST_TEXELS = 4  # along the shorter side of a texture's coarsest level


@dataclass(frozen=True)
class Panel:
    """A rectangle. corner, across, down: (3,) m: its upper left corner, its upper and its left edge, which
    are orthogonal; radiance: (H, W, 3) float32, seen from both sides."""

    corner: np.ndarray
    across: np.ndarray
    down: np.ndarray
    radiance: np.ndarray

    def places(self) -> np.ndarray:
        """Where its texels are, (H, W, 3) m."""
        height, width = self.radiance.shape[:2]
        v, u = np.mgrid[:height, :width] + 0.5
        return self.corner + u[..., None] / width * self.across + v[..., None] / height * self.down


@dataclass(frozen=True)
class Pose:
    """Of a camera whose x points right, y down, z ahead. rotation: (3, 3), camera to world; position: m."""

    rotation: np.ndarray
    position: np.ndarray


class PanelRenderer:
    """Radiance of panels, (height, width, 3) float32, of the nearest in each pixel; 0 where there is none.

    focal: px. Textures are averaged over a pixel's footprint (mipmaps), edges over the pixels they cross.
    """

    def __init__(self, panels: list[Panel], height: int, width: int, focal: float):
        self._panels, self._size = panels, (height, width)
        centre = (width - 1) / 2, (height - 1) / 2
        self._rays = np.array(
            [[1 / focal, 0, -centre[0] / focal], [0, 1 / focal, -centre[1] / focal], [0, 0, 1]]
        )
        levels = [_levels(panel.radiance) for panel in panels]
        self._shapes = np.zeros((len(panels), max(map(len, levels)), 3), np.int64)  # start, height, width
        self._counts = np.array([len(each) for each in levels])
        start = 0
        for k, each in enumerate(levels):
            for level, texture in enumerate(each):
                self._shapes[k, level] = start, *texture.shape[:2]
                start += texture.shape[0] * texture.shape[1]
        self._texels = np.concatenate([texture.reshape(-1, 3) for each in levels for texture in each])

    def render(self, pose: Pose) -> np.ndarray:
        out = np.empty((*self._size, 3), np.float32)
        boxes = np.array([self._box(panel, pose) for panel in self._panels])
        _render(self._texels, self._shapes, self._counts, self._projections(pose), boxes, out)
        return out

    def _box(self, panel: Panel, pose: Pose) -> tuple[float, float, float, float]:
        """The pixels that it may touch, least x and y and most x and y."""
        corners = panel.corner + np.outer((0, 1, 0, 1), panel.across) + np.outer((0, 0, 1, 1), panel.down)
        x, y, z = np.linalg.inv(self._rays) @ pose.rotation.T @ (corners - pose.position).T
        if z.max() <= 0:
            return 0, 0, -1, -1
        if z.min() <= 0:  # the camera's plane cuts it
            return 0, 0, *self._size[::-1]
        return (x / z).min() - 1, (y / z).min() - 1, (x / z).max() + 1, (y / z).max() + 1

    def _projections(self, pose: Pose) -> np.ndarray:
        """(N, 3, 3): pixel (x, y, 1) -> (u, v, 1) / depth in texels of each panel."""
        rays = pose.rotation @ self._rays
        matrices = np.zeros((len(self._panels), 3, 3))
        for matrix, panel in zip(matrices, self._panels, strict=True):
            normal, from_corner = np.cross(panel.across, panel.down), pose.position - panel.corner
            distance = -normal @ from_corner
            if abs(distance) < 1e-9:  # seen edgewise
                continue
            matrix[2] = normal @ rays / distance
            for row, edge, size in ((0, panel.across, 1), (1, panel.down, 0)):
                unit = edge / (edge @ edge) * panel.radiance.shape[size]
                matrix[row] = unit @ from_corner * matrix[2] + unit @ rays
        return matrices


def _levels(radiance: np.ndarray) -> list[np.ndarray]:
    """The texture, and each level half as large as the one before."""
    levels = [np.ascontiguousarray(radiance, np.float32)]
    while min(levels[-1].shape[:2]) >= 2 * _LEAST_TEXELS:
        height, width = levels[-1].shape[:2]
        size = (width // 2, height // 2)
        levels.append(cv2.resize(levels[-1], size, interpolation=cv2.INTER_AREA))
    return levels


@kernel
def _render(texels, shapes, counts, projections, boxes, out):
    height, width = out.shape[:2]
    colour, behind = np.zeros(3, np.float32), np.zeros(3, np.float32)
    row = np.empty(len(projections), np.int64)  # the panels that it may cross
    for y in range(height):
        count = 0
        for k in range(len(projections)):
            if boxes[k, 1] <= y <= boxes[k, 3]:
                row[count] = k
                count += 1
        for x in range(width):
            first, second = -1, -1
            nearness = further = 0.0  # 1 / depth
            coverage = 1.0
            for k in row[:count]:
                if x < boxes[k, 0] or x > boxes[k, 2]:
                    continue
                m = projections[k]
                inverse = m[2, 0] * x + m[2, 1] * y + m[2, 2]
                if inverse <= further:
                    continue
                u = (m[0, 0] * x + m[0, 1] * y + m[0, 2]) / inverse
                v = (m[1, 0] * x + m[1, 1] * y + m[1, 2]) / inverse
                spread_u = max(abs(m[0, 0] - u * m[2, 0]), abs(m[0, 1] - u * m[2, 1])) / inverse
                spread_v = max(abs(m[1, 0] - v * m[2, 0]), abs(m[1, 1] - v * m[2, 1])) / inverse
                inside = min(u, shapes[k, 0, 2] - u) / spread_u
                inside = min(inside, min(v, shapes[k, 0, 1] - v) / spread_v) + 0.5
                if inside <= 0:
                    continue
                if inverse > nearness:
                    second, further = first, nearness
                    first, nearness, coverage = k, inverse, min(inside, 1.0)
                else:
                    second, further = k, inverse
            colour[:] = 0
            if first >= 0:
                _sample(texels, shapes[first], counts[first], projections[first], x, y, colour)
                if coverage < 1:
                    behind[:] = 0
                    if second >= 0:
                        _sample(texels, shapes[second], counts[second], projections[second], x, y, behind)
                    for c in range(3):
                        colour[c] = coverage * colour[c] + (1 - coverage) * behind[c]
            out[y, x] = colour


@kernel
def _sample(texels, shapes, count, m, x, y, colour):
    """Trilinear: between texels and between the two levels whose texels are about as large as the pixel."""
    inverse = m[2, 0] * x + m[2, 1] * y + m[2, 2]
    u = (m[0, 0] * x + m[0, 1] * y + m[0, 2]) / inverse
    v = (m[1, 0] * x + m[1, 1] * y + m[1, 2]) / inverse
    ux, uy = m[0, 0] - u * m[2, 0], m[0, 1] - u * m[2, 1]
    vx, vy = m[1, 0] - v * m[2, 0], m[1, 1] - v * m[2, 1]
    footprint = math.sqrt(max(ux * ux + vx * vx, uy * uy + vy * vy)) / inverse
    level = min(max(math.log2(max(footprint, 1e-6)), 0.0), count - 1.0)
    fine = int(level)
    share = level - fine
    _bilinear(texels, shapes, fine, u, v, 1 - share, colour)
    if share > 0:
        _bilinear(texels, shapes, fine + 1, u, v, share, colour)


@kernel
def _bilinear(texels, shapes, level, u, v, weight, colour):
    start, height, width = shapes[level]
    u = min(max(u * width / shapes[0, 2] - 0.5, 0.0), width - 1.0)
    v = min(max(v * height / shapes[0, 1] - 0.5, 0.0), height - 1.0)
    left, top = min(int(u), width - 2), min(int(v), height - 2)
    right, lower = u - left, v - top
    corner = start + top * width + left
    for c in range(3):
        upper_texel = (1 - right) * texels[corner, c] + right * texels[corner + 1, c]
        lower_texel = (1 - right) * texels[corner + width, c] + right * texels[corner + width + 1, c]
        colour[c] += weight * ((1 - lower) * upper_texel + lower * lower_texel)
