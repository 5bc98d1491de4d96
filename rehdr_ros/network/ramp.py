"""A smooth switch."""

from torch import Tensor


def ramp(x: Tensor, start: float | Tensor, end: float) -> Tensor:
    """0 up to start, 1 from end on, linear between."""
    return ((x - start) / (end - start)).clamp(0, 1)
