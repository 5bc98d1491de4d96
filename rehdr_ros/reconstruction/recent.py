"""What arrived lately, by stamp."""

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """The last values put, at most `capacity`; for one thread that puts and another that takes."""

    def __init__(self, capacity: int = 200):
        self._capacity, self._values = capacity, {}
        self._lock = threading.Lock()

    def put(self, stamp_ns: int, value: T) -> T | None:
        """Returns the value that has to go for it, if any."""
        with self._lock:
            self._values.pop(stamp_ns, None)  # or it would keep its old place
            self._values[stamp_ns] = value
            full = len(self._values) > self._capacity
            return self._values.pop(next(iter(self._values))) if full else None

    def forget(self, after_ns: int, until_ns: int) -> int:
        """Drop the values with stamps in this range; returns how many these were."""
        with self._lock:
            gone = [stamp_ns for stamp_ns in self._values if after_ns < stamp_ns <= until_ns]
            for stamp_ns in gone:
                del self._values[stamp_ns]
        return len(gone)

    def take(self, stamp_ns: int) -> T | None:
        """The value with exactly this stamp, once; None where there is none."""
        with self._lock:
            return self._values.pop(stamp_ns, None)
