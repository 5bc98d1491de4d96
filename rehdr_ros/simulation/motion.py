"""Smooth, bounded, random camera motion."""

import numpy as np


class Wander:
    """A smooth signal in [-amplitude, amplitude]: a sum of sinusoids of random frequency and phase.

    period: about how long one swing takes, in s.
    """

    def __init__(self, rng: np.random.Generator, amplitude: float, period: float, terms: int = 3):
        weights = rng.uniform(0.5, 1.0, terms)
        self._weights = amplitude * weights / weights.sum()
        self._frequencies = 2 * np.pi / (period * rng.uniform(0.6, 1.8, terms))
        self._phases = rng.uniform(0, 2 * np.pi, terms)

    def __call__(self, seconds: np.ndarray | float) -> np.ndarray | float:
        """Of one time or of many."""
        return np.sin(np.multiply.outer(seconds, self._frequencies) + self._phases) @ self._weights
