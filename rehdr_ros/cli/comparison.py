"""The picture that says more than the numbers: LDR | events | ours | truth at a few instants."""

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import torch

from rehdr_ros.events import Clock, Events, Packet, make_decoder, voxel_grid
from rehdr_ros.reconstruction.event_image import event_image
from rehdr_ros.reconstruction.tonemap import ToneMapper
from rehdr_ros.simulation.sensors import RESPONSE
from rehdr_ros.transfer import upload

_TITLES = ("LDR", "events", "ours", "truth")
_GAP, _TITLE_HEIGHT = 4, 24
# mu-law alone leaves the dark end dim.
_LIFT = np.rint(255 * (np.arange(256) / 255) ** 0.65).astype(np.uint8)
Images = dict[int, np.ndarray]  # by stamp, ns


def comparison_picture(
    ldr: Images, ours: Images, truth: Images, packets: Iterable[Packet], rows: int = 4
) -> np.ndarray:
    """One row per instant, (H, W, 3) uint8; the three radiances tone mapped with one exposure, the truth's."""
    stamps = sorted(ldr.keys() & ours.keys() & truth.keys())
    chosen = [stamps[i] for i in np.linspace(len(stamps) / rows / 2, len(stamps) - 1, rows).astype(int)]
    events = _event_grids(packets, sorted(ldr), set(chosen), next(iter(ldr.values())).shape[:2])
    return grid_picture([_row(ldr[s], events[s], ours[s], truth[s]) for s in chosen], _TITLES)


def _row(ldr: np.ndarray, events: np.ndarray, ours: np.ndarray, truth: np.ndarray) -> list[np.ndarray]:
    linear = (ldr.astype(np.float32) / 255) ** np.float32(RESPONSE)
    return [display(linear, truth), event_image(events), display(ours, truth), display(truth, truth)]


def display(radiance: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Tone mapped, (H, W, 3) uint8, with the exposure that suits the reference."""
    tonemapper = ToneMapper("mulaw")
    for image in (reference, radiance):  # the first sets the exposure; no time passes before the second
        shown = tonemapper(upload(image, torch.device("cpu")), 0)
    return _LIFT[shown.pixels]


def _event_grids(packets: Iterable[Packet], stamps: list[int], chosen: set[int], size: tuple[int, int]) -> Images:
    """Events since the previous frame."""
    parts, clock, decoder = [], Clock(), None
    for packet in packets:
        decoder = decoder or make_decoder(packet.encoding, packet.width, packet.height)
        parts.append(clock.to_ros(packet, decoder.decode(packet)))
    events = Events.concatenate(parts)
    pairs = zip([stamps[0] - 1, *stamps], stamps, strict=False)
    return {t1: voxel_grid(events, t0, t1, 1, *size) for t0, t1 in pairs if t1 in chosen}


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
