"""Signs in a scene to train on: codes and letters, some behind windows, most brighter than the scene.

What clips in the scenes themselves are lamps, sky and walls, whose inside says little. Signs have in it what
their readers need: two tones, edges between them, of all that a camera's path shows.
"""

import string

import cv2
import numpy as np
import torch
from torch import Tensor

from rehdr_ros.luminance import BT709
from rehdr_ros.simulation.lettering import FONT, strokes

_BRIGHT = 0.9  # quantile of the scene's luminance
_STOPS = (-1.0, 4.0)  # a sign's white over that
_CONTRAST = (2.0, 5.0)  # stops between a sign's white and black
_CELLS, _CELL_PX = (2, 13), (2.0, 7.0)
_LETTERS = string.ascii_uppercase + string.digits
_WINDOWS, _WINDOW, _ROOM = (5, 15), (60, 240), 2500  # how many, their sides in px, and px^2 of it a sign
_ALONE = (20, 50)


def with_signs(radiance: Tensor, rng: np.random.Generator) -> Tensor:
    """A copy of (H, W, 3) linear radiance with windows and signs in them or beside."""
    canvas = radiance.cpu().numpy().copy()
    bright = float(np.quantile(canvas[::8, ::8] @ BT709, _BRIGHT))
    for _ in range(rng.integers(*_WINDOWS)):
        window = _part(canvas, *rng.integers(*_WINDOW, 2), rng)
        light = bright * np.exp2(rng.uniform(*_STOPS))
        window *= 0.5 * light / max(float(np.mean(window @ BT709)), 1e-6)
        for _ in range(window.shape[0] * window.shape[1] // _ROOM):
            _paint(window, light * np.exp2(rng.normal(0, 0.5)), rng)
    for _ in range(rng.integers(*_ALONE)):
        _paint(canvas, bright * np.exp2(rng.uniform(*_STOPS)), rng)
    return torch.from_numpy(canvas).to(radiance.device)


def _paint(canvas: np.ndarray, white: float, rng: np.random.Generator) -> None:
    sign = _letters(rng) if rng.random() < 0.3 else _code(rng)
    black = np.exp2(-rng.uniform(*_CONTRAST))
    tint = np.exp(rng.normal(0, 0.1, 3)).astype(np.float32)
    sign = (black + (1 - black) * sign)[..., None] * np.float32(white) * tint
    part = _part(canvas, *sign.shape[:2], rng)
    part[:] = sign[: part.shape[0], : part.shape[1]]


def _code(rng: np.random.Generator) -> np.ndarray:
    """Cells of black and white at random in a black frame with a white margin, (h, w) 0..1."""
    rows = rng.integers(*_CELLS)
    cells = (rng.random((rows, rows)) < 0.5).astype(np.float32)
    cells = np.pad(np.pad(cells, 1), 1, constant_values=1.0)
    size = round(len(cells) * np.exp(rng.uniform(*np.log(_CELL_PX))))
    fine = cv2.resize(cells, (4 * size, 4 * size), interpolation=cv2.INTER_NEAREST)
    return cv2.resize(fine, (size, size), interpolation=cv2.INTER_AREA)


def _letters(rng: np.random.Generator) -> np.ndarray:
    """A word, black on white or white on black, (h, w) 0..1."""
    word = "".join(rng.choice(list(_LETTERS), rng.integers(1, 7)))
    scale = 4 * rng.uniform(0.4, 1.6)
    (width, height), base = cv2.getTextSize(word, FONT, scale, round(2 * scale))
    shape = height + base + 40, width + 40
    fine = np.float32(1) - strokes(shape, word, (20, 20 + height), scale, round(2 * scale))
    sign = cv2.resize(fine, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    return sign if rng.random() < 0.5 else 1 - sign


def _part(canvas: np.ndarray, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """A rectangle at random, no larger than the canvas, as a view."""
    top, left = (int(rng.integers(max(1, n))) for n in (canvas.shape[0] - height, canvas.shape[1] - width))
    return canvas[top : top + height, left : left + width]
