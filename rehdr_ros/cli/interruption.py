"""Ctrl-C as a wish to stop at the next good moment."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


class Interruption:
    """While it is entered, the first SIGINT or SIGTERM only sets `requested`; a second interrupts at once."""

    def __init__(self, *signals: int) -> None:
        """signals: others than these two."""
        self._signals = signals or (signal.SIGINT, signal.SIGTERM)
        self.requested = False

    def __enter__(self) -> Interruption:
        self._before = {s: signal.signal(s, self._handle) for s in self._signals}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        # Not by print, which the signal may have interrupted.
        os.write(sys.stderr.fileno(), b"\nstopping after this frame; once more stops at once\n")
