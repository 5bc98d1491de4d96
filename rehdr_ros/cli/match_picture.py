"""A picture of feature matches: LDR above, HDR below."""

from pathlib import Path

import cv2
import numpy as np

from rehdr_ros.training import features
from rehdr_ros.training.camera_motion import moved
from rehdr_ros.training.downstream import Recorded
from rehdr_ros.training.views import LDR

_LINES = 20  # drawn, about: all would hide the picture
_SCALE = 2
_BLACK, _RED, _GREEN, _ORANGE = (0, 0, 0), (220, 40, 40), (40, 170, 40), (255, 140, 0)


def write_match_picture(path: Path, recorded: Recorded, variant: str) -> None:
    """A JPEG: ORB matches of the middle pair of frames of the LDR and of a variant."""
    i, j = recorded.pairs()[len(recorded.pairs()) // 2]
    _, clipped, _, elsewhere, *_ = features.places(recorded.ldr[i])
    rows = []
    for name in (LDR, variant):
        images = [recorded.views.images[name][k] for k in (i, j)]
        start, end = features.match("ORB", *(features.detect("ORB", image) for image in images))
        correct = np.linalg.norm(end - moved(start, recorded.between(i, j)), axis=1) <= features.TOLERANCE
        in_clipped, in_range = correct & features.at(np.stack((clipped, elsewhere)), start)
        rows.append(_heading(name, correct, in_clipped, in_range, 2 * _SCALE * images[0].shape[1]))
        rows.append(_drawn(images, start, end, {_RED: ~correct, _GREEN: in_range, _ORANGE: in_clipped}))
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.concatenate(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])


def _drawn(images: list[np.ndarray], start: np.ndarray, end: np.ndarray, masks: dict) -> np.ndarray:
    """masks: by colour; every so many of the orange ones get a line."""
    large = [cv2.resize(image, None, fx=_SCALE, fy=_SCALE, interpolation=cv2.INTER_CUBIC) for image in images]
    canvas = cv2.cvtColor(np.concatenate(large, 1), cv2.COLOR_GRAY2RGB)
    start, end = (_SCALE * points.astype(int) for points in (start, end))
    end = end + (large[0].shape[1], 0)
    for colour, mask in masks.items():
        for point in (*start[mask].tolist(), *end[mask].tolist()):
            cv2.circle(canvas, point, 3, colour, -1, cv2.LINE_AA)
    lines = np.flatnonzero(masks[_ORANGE])
    for i in lines[:: max(1, len(lines) // _LINES)]:
        cv2.line(canvas, start[i].tolist(), end[i].tolist(), _ORANGE, 1, cv2.LINE_AA)
    return canvas


def _heading(
    variant: str, correct: np.ndarray, clipped: np.ndarray, elsewhere: np.ndarray, width: int
) -> np.ndarray:
    heading, x = np.full((34, width, 3), 255, np.uint8), 6
    for text, colour in (
        (f"{variant}: {correct.sum()} correct ORB matches,", _BLACK),
        (f"{elsewhere.sum()} where the LDR is exposed,", _GREEN),
        (f"{clipped.sum()} where it clips;", _ORANGE),
        (f"{(~correct).sum()} wrong", _RED),
    ):
        cv2.putText(heading, text, (x, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.65, colour, 2, cv2.LINE_AA)
        x += cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.65, 2)[0][0] + 14
    return heading
