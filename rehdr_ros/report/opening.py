"""Where the page opens: the frame and the exposure at which the result differs most from the camera's."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rehdr_ros.luminance import BT709

_WHITE = 250  # as in the measures
_SHOWN_AT = 0.4  # of the screen's light: where the middle of what clips is shown
_STOPS = (-8.0, 0.0)


class Opening(NamedTuple):
    """frame: index among the report's; stops: of exposure."""

    frame: int
    stops: float


def opening(pictures: Sequence[dict[str, np.ndarray]]) -> Opening:
    """By product, of each frame. The middle frame where none differs more than another."""
    middle = len(pictures) // 2
    frame = max(range(len(pictures)), key=lambda k: (_detail(pictures[k]), -abs(k - middle)))
    return Opening(frame, _stops(pictures[frame]))


def _detail(pictures: dict[str, np.ndarray]) -> float:
    """Contrast of the result where the camera's frame clips, in levels a pixel of the whole frame."""
    clipped = _clipped(pictures)
    grey = pictures["tonemapped"].astype(np.float32) @ BT709
    steps = abs(np.diff(grey, axis=1, prepend=grey[:, :1])) + abs(np.diff(grey, axis=0, prepend=grey[:1]))
    return float(np.where(clipped, steps, 0).mean())


def _stops(pictures: dict[str, np.ndarray]) -> float:
    light = (pictures["hdr"].astype(np.float32) @ BT709)[_clipped(pictures)]
    middle = float(np.median(light)) if light.size else 0.0
    return round(float(np.clip(np.log2(_SHOWN_AT / middle), *_STOPS)), 1) if middle > 0 else 0.0


def _clipped(pictures: dict[str, np.ndarray]) -> np.ndarray:
    if "ldr" not in pictures:
        return np.zeros(pictures["hdr"].shape[:2], bool)
    return pictures["ldr"].max(2) >= _WHITE
