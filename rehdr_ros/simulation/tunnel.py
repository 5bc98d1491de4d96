"""Driving out of a tunnel, towards a sign in the sun."""

import cv2
import numpy as np

from rehdr_ros.simulation.april_tags import tag_marker
from rehdr_ros.simulation.drives import Path, focal_length, upright
from rehdr_ros.simulation.panels import Panel, PanelRenderer, Pose
from rehdr_ros.simulation.procedural import procedural_canvas

_MOST_TAGS = 587
_START, _END = -16.0, 1.0  # m from the exit, of the drive
_LEFT, _RIGHT, _TOP, _BOTTOM = -3.0, 3.0, -2.6, 1.6  # m, of the tunnel, from the camera's way
_LENGTH = 20.0  # m, of the tunnel
_SIGN, _TAG = 2.5, 2.0  # m
_SHADE = np.float32(1)  # light in the tunnel
_SUN_STOPS = 6.0, 8.0  # of what is outside above the tunnel's inside
_BLACK, _WHITE = 0.05, 0.85  # reflectance of the sign
_TEXELS = 16  # of the tag, a module


class TunnelExit:
    """What a camera sees that drives out of a tunnel, as a Scene: before the exit, in the sun, stands a sign
    with an AprilTag of 36h11.

    seed: of what is there, of the tag and of the motion. seconds: of the drive. Raises InputError where
    OpenCV knows no tags.
    """

    def __init__(self, seed: int, height: int, width: int, seconds: float):
        rng = np.random.default_rng([seed, 5])
        self.focal = focal_length(height, width)
        self.tag = int(rng.integers(_MOST_TAGS))
        self._path = Path(rng, seconds, np.array([0, 0, (_END - _START) / seconds]), shake=0.4)
        sun = np.float32(np.exp2(rng.uniform(*_SUN_STOPS)))
        panels = [*_tunnel(rng), *_outside(rng, sun), _sign(rng, self.tag, sun)]
        self._renderer = PanelRenderer(panels, height, width, self.focal)

    def pose(self, seconds: float) -> Pose:
        """In m from the exit."""
        pose = self._path(seconds)
        return Pose(pose.rotation, pose.position + (0, 0, (_START + _END) / 2))

    def render(self, seconds: float) -> np.ndarray:
        return self._renderer.render(self.pose(seconds))


def _tunnel(rng: np.random.Generator) -> list[Panel]:
    """Ground, ceiling and two sides."""
    along, start = np.array([0, 0, _LENGTH]), -_LENGTH
    across, down = np.array([_RIGHT - _LEFT, 0, 0]), np.array([0, _BOTTOM - _TOP, 0])
    edges = [
        ((_LEFT, _BOTTOM, start), across, along),
        ((_LEFT, _TOP, start), across, along),
        ((_LEFT, _TOP, start), along, down),
        ((_RIGHT, _TOP, start), along, down),
    ]
    return [_surface(rng, np.array(corner), *sides, texels=24) for corner, *sides in edges]


def _outside(rng: np.random.Generator, sun: np.float32) -> list[Panel]:
    """A façade, and the ground before it; the exit's wall is not in sight."""
    front = np.array([-20.0, -15, 16]), np.array([40.0, 0, 0]), np.array([0, 15 + _BOTTOM, 0])
    ground = np.array([-20.0, _BOTTOM, 0]), np.array([40.0, 0, 0]), np.array([0, 0, 16.0])
    return [_surface(rng, *edges, texels=24, light=sun) for edges in (front, ground)]


def _surface(
    rng: np.random.Generator,
    corner: np.ndarray,
    across: np.ndarray,
    down: np.ndarray,
    texels: int,
    light: np.float32 = _SHADE,
) -> Panel:
    seed = np.random.SeedSequence(int(rng.integers(2**62)))
    size = (int(texels * np.linalg.norm(edge)) for edge in (down, across))
    return Panel(corner, across, down, light * procedural_canvas(seed, *size, emitters=False))


def _sign(rng: np.random.Generator, tag: int, sun: np.float32) -> Panel:
    marker = tag_marker(tag, 10 * _TEXELS)
    border = round((_SIGN / _TAG - 1) / 2 * marker.shape[0])
    marker = cv2.copyMakeBorder(marker, *[border] * 4, cv2.BORDER_CONSTANT, value=255)
    radiance = sun * (_BLACK + (_WHITE - _BLACK) * (marker / np.float32(255)))
    centre = rng.uniform(-1.2, 1.2), rng.uniform(-0.6, 0.3), rng.uniform(5.0, 7.0)
    return upright(centre, _SIGN, _SIGN, rng.uniform(-0.3, 0.3), np.repeat(radiance[..., None], 3, 2))
