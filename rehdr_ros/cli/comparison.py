"""The picture that says more than the numbers: LDR | events | ours | truth at a few instants."""

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from rehdr_ros.reconstruction.event_image import event_image
from rehdr_ros.reconstruction.synchronizer import Job
from rehdr_ros.reconstruction.tonemap import ToneMapper
from rehdr_ros.recordings import Recording
from rehdr_ros.simulation.sensors import RESPONSE
from rehdr_ros.training.export import grid_of, paired
from rehdr_ros.transfer import upload

_TITLES = ("LDR", "events", "ours", "truth")
_GAP, _TITLE_HEIGHT = 4, 24
# mu-law alone leaves the dark end dim.
_LIFT = np.rint(255 * (np.arange(256) / 255) ** 0.65).astype(np.uint8)
Images = dict[int, np.ndarray]  # by stamp, ns


def comparison_picture(recording: Recording, ours: Images, truth: Images, rows: int = 4) -> np.ndarray:
    """One row per instant, (H, W, 3) uint8; three radiances tone mapped with one exposure, the truth's."""
    stamps = sorted(ours.keys() & truth.keys())
    chosen = {stamps[i] for i in np.linspace(len(stamps) / rows / 2, len(stamps) - 1, rows).astype(int)}
    made = [_row(job, ours[t], truth[t]) for job in paired(recording) if (t := job.frame.stamp_ns) in chosen]
    return grid_picture(made, _TITLES)


def _row(job: Job, ours: np.ndarray, truth: np.ndarray) -> list[np.ndarray]:
    linear = (job.frame.image.astype(np.float32) / 255) ** np.float32(RESPONSE)
    return [display(linear, truth), event_image(grid_of(job, 1)), display(ours, truth), display(truth, truth)]


def display(radiance: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Tone mapped, (H, W, 3) uint8, with the exposure that suits the reference."""
    tonemapper = ToneMapper("mulaw")
    for image in (reference, radiance):  # the first sets the exposure; no time passes before the second
        shown = tonemapper(upload(image, torch.device("cpu")), 0)
    return _LIFT[shown.pixels]


def grid_picture(rows: list[list[np.ndarray]], titles: Sequence[str]) -> np.ndarray:
    """Rows of images of one size (H, W, 3) uint8, under the columns' titles."""
    height, width = rows[0][0].shape[:2]
    columns = len(rows[0])
    shape = (_TITLE_HEIGHT + len(rows) * (height + _GAP), columns * (width + _GAP) - _GAP, 3)
    canvas = np.full(shape, 255, np.uint8)
    for j, title in enumerate(titles):
        x = j * (width + _GAP)
        cv2.putText(canvas, title, (x + 4, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (0, 0, 0), 1, cv2.LINE_AA)
        for i, row in enumerate(rows):
            y = _TITLE_HEIGHT + i * (height + _GAP)
            canvas[y : y + height, x : x + width] = row[j]
    return canvas
