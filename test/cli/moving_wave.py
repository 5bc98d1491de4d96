"""A long recording that is made quickly."""

from pathlib import Path

import numpy as np

from rehdr_ros.events import Events, make_encoder
from rehdr_ros.recordings import BagWriter

_PERIOD_NS = 100_000_000
_EVENTS = 400  # a frame
_WIDTH, _HEIGHT = 64, 48


def write_moving_wave(path: Path, frames: int, seed: int = 0, speed: int = 3) -> Path:
    """A bag of a moving wave, 64x48 at 10 frames/s, and events all over it. speed: px a frame."""
    rng, encoder = np.random.default_rng(seed), make_encoder("evt3", _WIDTH, _HEIGHT)
    y, x = np.mgrid[:_HEIGHT, :_WIDTH]
    with BagWriter(path) as bag:
        for k in range(frames):
            stamp = 10**12 + k * _PERIOD_NS
            t = np.sort(rng.integers(stamp - _PERIOD_NS + 1000, stamp, _EVENTS)) // 1000 * 1000
            columns = (rng.integers(0, limit, _EVENTS) for limit in (_WIDTH, _HEIGHT, 2))
            packet = encoder.encode(Events(t, *columns), int(t[0]))
            bag.write_packet("/event_camera/events", packet, "event_camera")
            grey = (140 + 140 * np.sin((x + y + speed * k) / 9)).clip(0, 255).astype(np.uint8)
            bag.write_image("/camera/image_raw", stamp, "camera", np.repeat(grey[..., None], 3, 2), "rgb8")
    return path
