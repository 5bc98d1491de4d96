"""A training's time: what has passed, and what the parts that must still come will take."""

import math
import time

_COLD = ("batch", "step")  # parts whose first one takes longer
_REMEMBERED = 8  # durations of a part


class Deadline:
    """minutes: 0 for no limit. started: from when they count, as of time.monotonic(); None: from now."""

    def __init__(self, minutes: float, started: float | None = None):
        self._started = time.monotonic() if started is None else started
        self._limit = 60 * minutes or math.inf
        self._durations: dict[str, list[float]] = {}

    def elapsed(self) -> float:
        """Seconds."""
        return time.monotonic() - self._started

    def note(self, part: str, since: float) -> float:
        """That the part has taken from `since`, as of elapsed(), until now, which is returned."""
        now = self.elapsed()
        self._durations.setdefault(part, []).append(now - since)
        return now

    def share(self, *parts: str) -> float:
        """Share that has passed of the time until which these parts must begin; 1 and more: they must now."""
        if math.isinf(self._limit):
            return 0.0
        latest = self._limit - sum(map(self._expected, parts))
        return self.elapsed() / latest if latest > 0 else 1.0

    def _expected(self, part: str) -> float:
        """The longest of the last ones. The first, which compiles and warms up, counts half, until others."""
        first, *others = self._durations.get(part, [0.0])
        return max(others[-_REMEMBERED:], default=first / 2 if part in _COLD else first)
