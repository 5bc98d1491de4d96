"""AprilTags and QR codes: planted in a scene, above the camera's white and below, and found in images."""

from dataclasses import dataclass

import cv2
import numpy as np

from rehdr_ros.simulation.april_tags import tag_finder, tag_marker

ABOVE, BELOW, FALSE_ALARMS = "above white", "in range", "false alarms"
INK, PAPER = {ABOVE: 3.0, BELOW: 0.15}, {ABOVE: 12.0, BELOW: 0.6}  # radiance over the camera's white
KINDS = "AprilTag", "QR code"

_MODULES = dict(zip(KINDS, (5, 4), strict=True))  # px
_PITCH = 106  # px from one code to the next
_COLUMNS, _ROWS = 5, 4
_NEAR = 10.0  # px from its true place within which a tag is the planted one


@dataclass(frozen=True)
class Code:
    """kind: of KINDS; range: ABOVE or BELOW; name: what a reader reads; corners: (4, 2) px of the canvas,
    with the margin."""

    kind: str
    range: str
    name: str
    corners: np.ndarray


def plant(
    canvas: np.ndarray, centre: tuple[float, float], white: float, rng: np.random.Generator
) -> tuple[np.ndarray, list[Code]]:
    """A copy of the radiance (H, W, 3) with rows of codes around a place, (x, y) px, none of them twice."""
    canvas, codes = canvas.copy(), []
    numbers, levels = (
        rng.choice(500, _COLUMNS * _ROWS, replace=False),
        rng.permutation((ABOVE, BELOW)).tolist(),
    )
    for k, number in enumerate(numbers.tolist()):
        row, column = divmod(k, _COLUMNS)
        # Both ranges of both kinds in every two rows, none beside its like.
        kind, level = KINDS[(row + column) % 2], levels[(column // 2 + row) % 2]
        name = str(number) if kind == KINDS[0] else f"N{number:03d}"
        modules = _tag(number) if kind == KINDS[0] else _qr(name)
        picture = modules.repeat(_MODULES[kind], 0).repeat(_MODULES[kind], 1)
        side = len(picture)
        left = round(centre[0] + (column - (_COLUMNS - 1) / 2) * _PITCH - side / 2)
        top = round(centre[1] + (row - (_ROWS - 1) / 2) * _PITCH - side / 2)
        if min(left, top) < 0 or top + side > canvas.shape[0] or left + side > canvas.shape[1]:
            continue
        radiance = white * np.where(picture, PAPER[level], INK[level])
        canvas[top : top + side, left : left + side] = radiance[..., None]
        corners = np.array([(left, top), (left + side, top), (left + side, top + side), (left, top + side)])
        codes.append(Code(kind, level, name, corners.astype(float)))
    return canvas, codes


def find_tags(image: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Number and centre, px, of each AprilTag (36h11) in (H, W) uint8."""
    return [(str(number), corners.mean(0)) for number, corners in tag_finder()(image)]


def find_qr_codes(image: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Text and centre, px, of each QR code that can be read in (H, W) uint8."""
    try:
        _, texts, corners, _ = cv2.QRCodeDetector().detectAndDecodeMulti(image)
    except cv2.error:  # of a code, or what looks like one, in an encoding that OpenCV doesn't know
        return []
    if corners is None:
        return []
    found = zip(texts, corners, strict=True)
    return [(text, corner.reshape(4, 2).mean(0)) for text, corner in found if text]


FINDERS = dict(zip(KINDS, (find_tags, find_qr_codes), strict=True))


def score(kind: str, image: np.ndarray, planted: dict[str, tuple[str | None, np.ndarray]]) -> dict[str, int]:
    """How many are found ABOVE, BELOW, and as FALSE_ALARMS. planted: by name the range, None for one that
    isn't wholly in the picture and doesn't count, and the centre, px."""
    result = {ABOVE: 0, BELOW: 0, FALSE_ALARMS: 0}
    for name, centre in FINDERS[kind](image):
        level, true = planted.get(name, (None, np.inf))
        if not np.linalg.norm(centre - true) <= _NEAR:
            result[FALSE_ALARMS] += 1
        elif level:
            result[level] += 1
    return result


def _tag(number: int) -> np.ndarray:
    """(10, 10) bool with a margin, true is paper."""
    cells = tag_marker(number, 8) > 0
    return np.pad(cells, 1, constant_values=True)


def _qr(text: str) -> np.ndarray:
    """(25, 25) bool with a margin."""
    settings = cv2.QRCodeEncoder_Params()
    settings.version = 1
    return cv2.QRCodeEncoder.create(settings).encode(text) > 0
