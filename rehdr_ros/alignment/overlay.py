"""Pictures that show how events and frames fit, and the curve that told."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from rehdr_ros.alignment.time_offset import TimeOffset
from rehdr_ros.alignment.windows import Window
from rehdr_ros.events import Registration, voxel_grid
from rehdr_ros.reconstruction.event_image import event_image

_SHARE = 0.1  # of the frame interval, on each side of the frame's time
_ZOOM = 3
_SIZE, _MARGIN = (900, 420), (70, 40)  # px: of the curve's picture, and left and below of the curve
_GREY, _INK, _OLD, _NEW = (205, 205, 205), (40, 40, 40), (150, 150, 150), (200, 60, 30)


def before_after(
    window: Window,
    offsets: Sequence[float],
    registration: Registration | None,
    until_middle: float,
    white: float,
) -> list[np.ndarray]:
    """Where the second frame has most edges and events: both, threefold, for each offset; (H, W, 3) uint8.

    The events are those of a tenth of the frame interval on both sides of the exposure's middle: where they
    fit, they lie on the frame's edges, half of them on each side. offsets: s, added to the events' time;
    until_middle: s, from stamps to there; white: the value of the frame that means white.
    """
    image, half = window.second.image, round(_SHARE * (window.second.stamp_ns - window.first.stamp_ns))
    middle = window.second.stamp_ns + round(until_middle * 1e9)
    span = middle - half, middle + half

    def grid(offset: float) -> np.ndarray:
        events = window.events.shifted(round(offset * 1e9))
        return voxel_grid(events, *span, 1, *image.shape[:2], registration=registration)

    grids = [grid(offset) for offset in offsets]
    part = _busiest(image, grids[-1][0])
    return [np.repeat(np.repeat(event_image(each, image, white)[part], _ZOOM, 0), _ZOOM, 1) for each in grids]


def _busiest(image: np.ndarray, grid: np.ndarray) -> tuple[slice, slice]:
    """The part, a third of each side, with most events on edges of the frame."""
    grey = image.astype(np.float32)
    grey = grey.mean(2) if grey.ndim == 3 else grey
    edges = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    size = tuple(max(1, side // _ZOOM) for side in grey.shape)
    busy = cv2.boxFilter(edges * (grid != 0), -1, size[::-1], anchor=(0, 0), borderType=cv2.BORDER_CONSTANT)
    busy = busy[: grey.shape[0] - size[0] + 1, : grey.shape[1] - size[1] + 1]
    top, left = np.unravel_index(np.argmax(busy), busy.shape)
    return slice(top, top + size[0]), slice(left, left + size[1])


def curve(found: TimeOffset) -> np.ndarray:
    """The score over the offset, (H, W, 3) uint8; grey: the present offset, red: the one found."""
    (width, height), (left, below) = _SIZE, _MARGIN
    picture = np.full((height, width, 3), 255, np.uint8)
    low, high = min(0.0, found.scores.min()), max(found.scores.max() * 1.1, 0.1)
    first, last = found.offsets[[0, -1]]

    def place(x: float, y: float) -> tuple[int, int]:
        across, up = (x - first) / (last - first), (y - low) / (high - low)
        return left + round(across * (width - left - 40)), height - below - round(up * (height - below - 20))

    def write(text: str, x: int, y: int) -> None:
        cv2.putText(picture, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.45, _INK, 1, cv2.LINE_AA)

    for x in np.linspace(first, last, 9):
        cv2.line(picture, place(x, low), place(x, high), _GREY)
        write(f"{1e3 * x:.1f}", place(x, low)[0] - 18, height - below + 16)
    for y in np.linspace(low, high, 5):
        cv2.line(picture, place(first, y), place(last, y), _GREY)
        write(f"{y:.2f}", 22, place(first, y)[1] + 4)
    for x, colour in ((found.present, _OLD), (found.offset, _NEW)):
        cv2.line(picture, place(x, low), place(x, high), colour, 2)
    points = np.array([place(x, y) for x, y in zip(found.offsets, found.scores, strict=True)], np.int32)
    cv2.polylines(picture, [points], False, _INK, 2, cv2.LINE_AA)
    write("score over the offset that is added to the events' time, ms", left, height - 6)
    return picture
