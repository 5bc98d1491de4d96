"""The picture that says more than the numbers: LDR | events | ours | truth at a few instants."""

from collections.abc import Iterable

import cv2
import numpy as np
import torch

from rehdr_ros.events import Clock, Events, Packet, make_decoder, voxel_grid
from rehdr_ros.reconstruction.tonemap import ToneMapper
from rehdr_ros.simulation.sensors import RESPONSE

_TITLES = ("LDR", "events", "ours", "truth")
_GAP, _TITLE_HEIGHT = 4, 24
Images = dict[int, np.ndarray]  # by stamp, ns


def comparison_picture(
    ldr: Images, ours: Images, truth: Images, packets: Iterable[Packet], rows: int = 4
) -> np.ndarray:
    """One row per instant, (H, W, 3) uint8; the three radiances tone mapped with one exposure, the truth's."""
    stamps = sorted(ldr.keys() & ours.keys() & truth.keys())
    chosen = [stamps[i] for i in np.linspace(len(stamps) / rows / 2, len(stamps) - 1, rows).astype(int)]
    events = _event_images(packets, sorted(ldr), set(chosen), next(iter(ldr.values())).shape[:2])
    return _grid([_row(ldr[s], events[s], ours[s], truth[s], s) for s in chosen])


def _row(ldr: np.ndarray, events: np.ndarray, ours: np.ndarray, truth: np.ndarray, stamp_ns: int) -> list[np.ndarray]:
    tonemapper = ToneMapper("mulaw")
    lift = np.rint(255 * (np.arange(256) / 255) ** 0.65).astype(np.uint8)  # mu-law alone leaves the dark end dim

    def display(radiance: np.ndarray) -> np.ndarray:
        tensor = torch.from_numpy(np.ascontiguousarray(radiance.transpose(2, 0, 1)))[None]
        return lift[tonemapper(tensor, stamp_ns).numpy()]

    # The first picture sets the exposure; no time passes before the others.
    shown_truth = display(truth)
    linear = (ldr.astype(np.float32) / 255) ** np.float32(RESPONSE)
    return [display(linear), events, display(ours), shown_truth]


def _event_images(packets: Iterable[Packet], stamps: list[int], chosen: set[int], size: tuple[int, int]) -> Images:
    """Events since the previous frame: ON red, OFF blue, on white."""
    parts, clock, decoder = [], Clock(), None
    for packet in packets:
        decoder = decoder or make_decoder(packet.encoding, packet.width, packet.height)
        parts.append(clock.to_ros(packet, decoder.decode(packet)))
    events = Events.concatenate(parts)
    images = {}
    for t0, t1 in zip([stamps[0] - 1, *stamps], stamps, strict=False):
        if t1 in chosen:
            strength = np.clip(voxel_grid(events, t0, t1, 1, *size)[0] / 4, -1, 1)
            image = np.full((*size, 3), 255, np.float32)
            image[..., 1:] -= 255 * np.maximum(strength, 0)[..., None]
            image[..., :2] -= 255 * np.maximum(-strength, 0)[..., None]
            images[t1] = np.clip(image, 0, 255).astype(np.uint8)
    return images


def _grid(rows: list[list[np.ndarray]]) -> np.ndarray:
    height, width = rows[0][0].shape[:2]
    columns = len(rows[0])
    shape = (_TITLE_HEIGHT + len(rows) * (height + _GAP), columns * (width + _GAP) - _GAP, 3)
    canvas = np.full(shape, 255, np.uint8)
    for j, title in enumerate(_TITLES):
        x = j * (width + _GAP)
        cv2.putText(canvas, title, (x + 4, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (0, 0, 0), 1, cv2.LINE_AA)
        for i, row in enumerate(rows):
            y = _TITLE_HEIGHT + i * (height + _GAP)
            canvas[y : y + height, x : x + width] = row[j]
    return canvas
