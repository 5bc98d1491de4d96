"""A dim hall whose gate stands open on a sunlit yard, with signs and AprilTags in both.

Painted from far to near on planes in perspective: x right, y down, z ahead of the eye, in m.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from rehdr_ros.luminance import BT709
from rehdr_ros.simulation.lettering import strokes
from rehdr_ros.simulation.motion import Wander

TAGS = {0: 0x21A146BAB, 1: 0x92D18FE9B, 2: 0x7089014BB, 3: 0x193979E27, 4: 0x44153D3D7}
"""Of the family tag36h11: the 6x6 cells of each, row by row, 1 = white."""
TAGS_IN_THE_YARD = (0, 1, 2)

_FINER = 2  # samples of a pixel, along each axis
_FOCAL = 1.62  # in widths of the view
_START = 0.45  # rad of the turn, there and back, at which it begins: the gate comes into view
_SUN, _SHADE = 8.0, 4.0  # light in the yard; that of the hall is below 1.0
_FLOOR, _CEILING, _SIDE, _BACK = 1.6, -2.6, 7.4, 9.0
_GATE = (-2.4, -1.3, 2.6, _FLOOR)  # left, top, right, bottom, on the back wall
_WHITE, _BLACK = 0.8, 0.16  # reflectance of paint and ink
_HAZE = 0.5  # of the yard's colours that is left
_ASPHALT, _GREEN, _BRICK, _STEEL = (0.22, 0.21, 0.2), (0.06, 0.14, 0.03), (0.4, 0.2, 0.13), (0.3, 0.33, 0.36)
_SKY, _CLOUD = np.float32((0.25, 0.43, 0.75)), np.float32(0.65)

Colour = tuple[float, float, float]
Box = tuple[float, float, float, float]  # left, top, right, bottom
Surface = Callable[[np.ndarray, np.ndarray], np.ndarray]  # reflectance (H, W, 3) at x, y


class HallScene:
    """A camera that turns in the hall, from the wall to the gate and past it, and shakes, as a Scene.

    Every place of the image shows the wall before it shows the yard. speed: px/s in the view, on average.
    """

    def __init__(self, height: int, width: int, speed: float, rng: np.random.Generator):
        self._canvas, self._size = hall_canvas(height, width), (width, height)
        self._reach = 0.46 * (self._canvas.shape[1] - width)
        self._rate = 0.5 * np.pi * speed / self._reach
        self._up = Wander(rng, 0.08 * height, 2.5)
        self._angle, self._zoom = Wander(rng, 0.05, 3.0), Wander(rng, 0.06, 4.0)

    def render(self, seconds: float) -> np.ndarray:
        """(height, width, 3) float32."""
        middle, whole = np.array(self._size) / 2, np.array(self._canvas.shape[1::-1]) / 2
        turn = -self._reach * np.cos(self._rate * seconds + _START)
        angle, scale = np.rad2deg(self._angle(seconds)), np.exp(self._zoom(seconds))
        pose = cv2.getRotationMatrix2D(middle, angle, scale)
        pose[:, 2] += whole + (turn, self._up(seconds)) - middle
        how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(self._canvas, pose, self._size, flags=how, borderMode=cv2.BORDER_REFLECT)


def hall_canvas(height: int, width: int) -> np.ndarray:
    """Radiance (1.4 height, 3 width, 3) float32, linear RGB: room for a view of height x width to turn."""
    rows, columns = round(1.4 * height), 3 * width
    view = _view(_FINER * rows, _FINER * columns, _FINER * _FOCAL * width)
    _paint_hall(view)
    gate = view.part(_BACK, _GATE)
    _paint_yard(gate)
    grey = (gate.radiance @ BT709)[..., None]
    gate.radiance[:] = grey + _HAZE * (gate.radiance - grey)
    return cv2.resize(view.radiance, (columns, rows), interpolation=cv2.INTER_AREA)


def tag_image(number: int) -> np.ndarray:
    """Reflectance (10, 10, 3) float32 of a tag with its border and a margin, a pixel a cell."""
    cells = np.zeros((8, 8), bool)
    cells[1:7, 1:7] = np.reshape([bit == "1" for bit in f"{TAGS[number]:036b}"], (6, 6))
    grey = np.pad(np.where(cells, _WHITE, _BLACK), 1, constant_values=_WHITE)
    return grey[..., None].repeat(3, 2).astype(np.float32)


@dataclass(frozen=True)
class _View:
    """radiance: (H, W, 3) float32, _FINER times as fine as the canvas; x, y: where each ray is at z = 1."""

    radiance: np.ndarray
    x: np.ndarray
    y: np.ndarray

    def part(self, z: float, box: Box) -> "_View":
        """What is seen through a box that faces the eye at z; painted there, it is painted here."""
        left, top, right, bottom = (np.float32(edge / z) for edge in box)
        columns = slice(*np.searchsorted(self.x[0], (left, right)))
        rows = slice(*np.searchsorted(self.y[:, 0], (top, bottom)))
        return _View(*(each[rows, columns] for each in (self.radiance, self.x, self.y)))

    def on_level(self, height: float) -> tuple[np.ndarray, np.ndarray]:
        """x and z of the rays on a floor or a ceiling; far away where they don't meet it."""
        sign = np.float32(np.sign(height))
        z = np.float32(abs(height)) / np.maximum(self.y * sign, np.float32(1e-3))
        return self.x * z, z

    def paint(self, where: np.ndarray, radiance: np.ndarray) -> None:
        """radiance: (H, W, 3)."""
        np.copyto(self.radiance, radiance, where=where[..., None], casting="same_kind")

    def panel(self, z: float, box: Box, surface: Surface, light: float = _SUN) -> None:
        """A rectangle that faces the eye."""
        part = self.part(z, box)
        part.radiance[:] = light * surface(part.x * np.float32(z), part.y * np.float32(z))

    def picture(self, z: float, box: Box, image: np.ndarray, light: float = _SUN) -> None:
        """The same, with the pixels of an image (h, w, 3)."""
        left, top, right, bottom = box
        rows, columns = image.shape[:2]

        def surface(x: np.ndarray, y: np.ndarray) -> np.ndarray:
            u = np.clip((x - left) / (right - left) * columns, 0, columns - 1).astype(int)
            v = np.clip((y - top) / (bottom - top) * rows, 0, rows - 1).astype(int)
            return image[v, u]

        self.panel(z, box, surface, light)


def _view(rows: int, columns: int, focal: float) -> _View:
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    x, y = ((at + np.float32(0.5 - count / 2)) / np.float32(focal) for at, count in ((x, columns), (y, rows)))
    return _View(np.zeros((rows, columns, 3), np.float32), x, y)


def _paint_hall(view: _View) -> None:
    _paint_walls(view)
    x, z = view.on_level(_FLOOR)
    floor = _grained(x, z, 0.1, (0.3, 0.29, 0.27))
    floor[(x % 1.5 < 0.03) | (z % 1.5 < 0.04)] *= 0.6
    floor[abs(abs(x - 0.05) - 2.9) < 0.06] = (0.6, 0.45, 0.05)
    near = _BACK - np.minimum(z, _BACK)  # to the back wall
    left, _, right, _ = _GATE
    sunlit = (x > left + 0.55 * near) & (x < right + 0.55 * near) & (near < 1.4)
    light = np.where(sunlit, np.float32(0.7 * _SUN), 0.25 + 0.6 * np.exp(-near / 3))
    view.paint((view.y > 0) & (z < _BACK), floor * light[..., None])
    x, z = view.on_level(_CEILING)
    ceiling = _grained(x, z, 0.3, (0.35, 0.34, 0.32))
    ceiling[z % 1.4 < 0.25] *= 0.4
    view.paint((view.y < 0) & (z < _BACK), ceiling * np.float32(0.3))
    for number, left in ((3, -4.1), (4, 3.2)):
        view.picture(_BACK, (left, -0.8, left + 1, 0.2), tag_image(number), 0.6)


def _paint_walls(view: _View) -> None:
    left, top, right, _ = _GATE
    x, y = view.x * _BACK, view.y * _BACK
    blocks = _grained(x * 2, y * 2, 0.1, (0.5, 0.48, 0.44))
    blocks[(y % 0.4 < 0.03) | ((x + 0.4 * np.floor(y / 0.4)) % 0.8 < 0.03)] *= 0.6
    blocks[y > 0.9] *= np.float32((0.35, 0.45, 0.6))
    blocks[(x > left - 0.16) & (x < right + 0.16) & (y > top - 0.2)] = 0.3
    far = np.hypot(np.maximum(abs(x) - 1.8, 0), np.maximum(-1.1 - y, 0))  # from the gate
    view.paint(view.x < np.inf, blocks * (0.25 + 0.5 * np.exp(-far / 2.5))[..., None])
    z = _SIDE / np.maximum(abs(view.x), np.float32(0.1))
    y = view.y * z
    light = 0.18 + 0.45 * np.exp((np.minimum(z, _BACK) - _BACK) / 4)
    shelves = (z < _BACK) & (y > _CEILING) & (y < _FLOOR)
    view.paint(shelves, _shelves(z, y) * light[..., None])


def _shelves(z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Boxes on shelves along a side wall."""
    height = y - _CEILING
    draw = np.abs(np.sin(np.floor(z / 0.55) * 12.9898 + np.floor(height / 0.7) * 78.233) * 43758.5453) % 1
    boxes = np.float32((0.42, 0.3, 0.18)) * (0.4 + draw[..., None])
    boxes[draw > 0.75] = (0.1, 0.14, 0.2)
    boxes[height % 0.7 < 0.08 + 0.25 * draw] = 0.05
    boxes[height % 0.7 < 0.07] = (0.45, 0.2, 0.05)
    boxes[z % 0.55 < 0.05] *= 0.3
    return boxes


def _paint_yard(view: _View) -> None:
    clouds = np.clip(_noise(view.x * 5, view.y * 14, 1.0) + 0.1, 0, 1)[..., None]
    view.paint(view.x < np.inf, (_SKY * (1 - 2 * view.y[..., None]) + _CLOUD * clouds) * _SUN)
    hills = _noise(view.x * 9, 0 * view.y, 0.012) - 0.045
    view.paint(view.y > hills, _grained(view.x * 60, view.y * 60, 1.2, _GREEN) * _SHADE)
    x, z = view.on_level(_FLOOR)
    ground = _grained(x, z * 0.5, 0.3, _ASPHALT)
    ground[(abs(x - 0.1) < 0.09) & (z % 5 < 2.6)] = _WHITE
    view.paint(view.y > 0.012, ground * _SUN)

    view.panel(26.0, (-9.0, -4.2, -0.6, _FLOOR), _bricks)
    for left, top, colour in ((2.3, -0.9, (0.5, 0.09, 0.05)), (2.6, -3.4, (0.05, 0.2, 0.42))):
        view.panel(18.0, (left, top, left + 5.0, top + 2.5), _ribs(colour))
    view.picture(17.9, (2.6, -0.75, 4.6, 1.25), tag_image(2))
    for post in (-2.2, 0.8):
        view.panel(13.2, (post, 0.4, post + 0.1, _FLOOR), lambda x, y: _grained(x, y, 0.1, _STEEL))
    view.picture(13.0, (-2.6, -1.45, 1.3, 0.75), _sign())


def _bricks(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A wall with windows."""
    wall = _grained(x, y, 0.25, _BRICK)
    wall[(y % 0.22 < 0.035) | ((x + 0.3 * np.floor(y / 0.22)) % 0.6 < 0.05)] = 0.45
    across, down = abs(x % 2.6 - 1.3), abs((y + 6) % 2.8 - 1.2)
    pane = (across < 0.6) & (down < 0.75)
    wall[pane] = 0.07
    wall[pane & ((across < 0.05) | (down < 0.05))] = 0.7
    return wall


def _ribs(colour: Colour) -> Surface:
    """The side of a container."""
    return lambda x, y: (0.75 + 0.25 * np.sign(np.sin(9 * x)))[..., None] * _grained(x, y, 0.2, colour)


def _sign() -> np.ndarray:
    """Reflectance (H, W, 3): two tags and some words."""
    sign = np.empty((310, 550, 3), np.float32)
    sign[:] = (0.04, 0.1, 0.26)
    cv2.rectangle(sign, (5, 5), (544, 304), (_WHITE,) * 3, 4)
    for number, left in ((0, 16), (1, 324)):
        sign[16:226, left : left + 210] = tag_image(number).repeat(21, 0).repeat(21, 1)
    for text, place, size, thickness in (("7", (240, 165), 3.4, 12), ("LOADING ONLY", (52, 285), 1.9, 7)):
        sign[strokes(sign.shape[:2], text, place, size, thickness)] = _WHITE
    return sign


def _grained(x: np.ndarray, y: np.ndarray, stops: float, colour: Colour) -> np.ndarray:
    """Reflectance (H, W, 3) of a surface that is not quite even."""
    return np.exp2(_noise(x, y, stops))[..., None] * np.float32(colour)


def _noise(x: np.ndarray, y: np.ndarray, amplitude: float) -> np.ndarray:
    """Fractal noise (H, W) float32 about 0; its coarsest features are a unit of x and y wide."""
    grain = _fractal()
    size = len(grain)
    maps = (np.mod(each * np.float32(size / 4), np.float32(size)) for each in (x, y))
    return np.float32(amplitude) * cv2.remap(grain, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


@cache
def _fractal(size: int = 512) -> np.ndarray:
    """Noise of octaves that repeats, (size, size) float32, standard deviation 1; always the same."""
    rng = np.random.default_rng(0)
    total = np.zeros((size, size), np.float32)
    for cells in (4, 8, 16, 32, 64, 128):
        grid = np.pad(rng.normal(0, 1, (cells, cells)).astype(np.float32), 2, mode="wrap")
        fine = cv2.resize(grid, None, fx=size / cells, fy=size / cells, interpolation=cv2.INTER_CUBIC)
        border = 2 * size // cells
        total += fine[border : border + size, border : border + size] * np.float32(cells**-0.5)
    return total / total.std()
