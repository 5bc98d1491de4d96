"""Which windows of a frame to compute, where little of it is needed."""

import math
from typing import NamedTuple

import cv2
import numpy as np

_LENGTHS = (3 / 8, 5 / 8, 1)  # of windows, in sides of the frame: each size takes memory, and time beforehand
_MOST = 4800  # blocks of a window, for the same reason: 640x480
_OVERHEAD = 64  # blocks that would take as long as a window does besides its own
_WORTH = 0.8  # of what the frame takes, that windows may take


class Box(NamedTuple):
    """Blocks of a frame, ends exclusive."""

    top: int
    bottom: int
    left: int
    right: int

    def grown(self, by: int, rows: int, columns: int) -> "Box":
        """By that many blocks on each side, within a frame."""
        top, bottom, left, right = self
        return Box(max(top - by, 0), min(bottom + by, rows), max(left - by, 0), min(right + by, columns))


def lengths(blocks: int, halo: int) -> np.ndarray:
    """Of windows, along a side of a frame, the shortest first; all in blocks."""
    shortest = min(2 * halo + 1, blocks)
    return np.unique([max(math.ceil(share * blocks), shortest) for share in _LENGTHS])


def sizes(rows: int, columns: int, halo: int) -> list[tuple[int, int]]:
    """Of the windows that there are for a frame, and of the frame, in blocks."""
    every = [(int(h), int(w)) for h in lengths(rows, halo) for w in lengths(columns, halo)]
    return [(h, w) for h, w in every if h * w <= _MOST or (h, w) == (rows, columns)]


def cover(needed: np.ndarray, halo: int) -> list[tuple[Box, Box]] | None:
    """Windows to compute, and the part of each that is wanted, its halo around it; all in blocks.

    needed: (rows, columns) bool. None where the frame as a whole takes less time.
    """
    if not needed.any():
        return []
    rows, columns = needed.shape
    heights, widths = lengths(rows, halo), lengths(columns, halo)

    whole = rows * columns + _OVERHEAD

    def cost(boxes: np.ndarray) -> np.ndarray:
        height, width = boxes[..., 1] - boxes[..., 0], boxes[..., 3] - boxes[..., 2]
        area = heights[np.searchsorted(heights, height)] * widths[np.searchsorted(widths, width)]
        return np.where(area <= _MOST, area + _OVERHEAD, whole)

    around = _merged(_parts(needed, halo), cost)
    if cost(around).sum() > _WORTH * whole:
        return None
    return [(_fitted(box, heights, widths), _wanted(box, halo, rows, columns)) for box in around.tolist()]


def _parts(needed: np.ndarray, halo: int) -> np.ndarray:
    """(n, 4) Boxes around connected parts with their halos."""
    grown = cv2.dilate(needed.astype(np.uint8), np.ones((2 * halo + 1, 2 * halo + 1), np.uint8))
    left, top, width, height = cv2.connectedComponentsWithStats(grown)[2][1:, :4].T
    return np.stack((top, top + height, left, left + width), 1)


def _merged(boxes: np.ndarray, cost) -> np.ndarray:
    """Boxes joined, two at a time, as long as that lowers their cost."""
    while len(boxes) > 1:
        i, j = np.triu_indices(len(boxes), 1)
        lowest, highest = np.minimum(boxes[i], boxes[j]), np.maximum(boxes[i], boxes[j])
        both = np.where([True, False, True, False], lowest, highest)
        gain = cost(boxes[i]) + cost(boxes[j]) - cost(both)
        best = gain.argmax()
        if gain[best] < 0:
            break
        boxes = np.concatenate((np.delete(boxes, (i[best], j[best]), 0), both[best : best + 1]))
    return boxes


def _fitted(box: list[int], heights: np.ndarray, widths: np.ndarray) -> Box:
    """Enlarged to a length that there is, within the frame."""
    ends = []
    for start, end, sizes in ((*box[:2], heights), (*box[2:], widths)):
        length = int(sizes[np.searchsorted(sizes, end - start)])
        start = min(max(start - (length - end + start) // 2, 0), int(sizes[-1]) - length)
        ends += [start, start + length]
    return Box(*ends)


def _wanted(box: list[int], halo: int, rows: int, columns: int) -> Box:
    """Without its halo, which ends at the frame's border."""
    top, bottom, left, right = box
    return Box(
        top + halo * (top > 0),
        bottom - halo * (bottom < rows),
        left + halo * (left > 0),
        right - halo * (right < columns),
    )
