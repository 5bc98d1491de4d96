"""trigger: external triggers alone, 64-bit words {edge 63, id 62-48, dt in ns 31-0} at time_base + dt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rehdr_ros.events.codecs import stream
from rehdr_ros.events.packet import Decoded, Events, Packet


class Decoder(stream.Decoder):
    """Packets of this encoding hold no events: what they hold is in `triggers`."""

    word, word_bytes = np.dtype("<u8"), 8
    stamped_at_time_base = True

    def _decode(self, words: np.ndarray, ends: np.ndarray, packets: Sequence[Packet]) -> Decoded:
        base = np.repeat(stream.time_bases(packets), np.diff(ends, prepend=0))
        t = base + (words & np.uint64(0xFFFFFFFF)).astype(np.int64)
        number = (words >> np.uint64(48) & np.uint64(0x7FFF)).astype(np.int64)
        self._trigger_rows = np.stack((t, number, (words >> np.uint64(63)).astype(np.int64)), 1)
        return Decoded(Events.empty(), np.zeros_like(ends))
