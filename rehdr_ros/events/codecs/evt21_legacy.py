"""evt21_legacy: evt21 as the IMX636 sends it, the high 32 bits of each word first."""

from __future__ import annotations

import numpy as np

from rehdr_ros.events.codecs import evt21
from rehdr_ros.jit import sealed

RAW = evt21.RAW._replace(name="EVT21 legacy", kind=28, high=0)


class Decoder(evt21.Decoder):
    """As for evt21."""

    word, word_bytes = np.dtype("<u4"), 8

    def _words(self, data: bytes | memoryview, is_bigendian: bool) -> np.ndarray:
        halves = super()._words(data, is_bigendian).reshape(-1, 2)
        return sealed(np.ascontiguousarray(halves[:, ::-1]).view("<u8").ravel())
