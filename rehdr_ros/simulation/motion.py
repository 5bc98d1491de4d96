"""How cameras move: smooth, bounded, random."""

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


class LookingAround:
    """The orientation of a camera that looks around. rate: of its turning, about, rad/s."""

    def __init__(self, rng: np.random.Generator, rate: float):
        self._start, self._turn = rng.uniform(0, 2 * np.pi), rate * rng.choice((-0.6, 0.6))
        self._yaw = Wander(rng, 0.5, 4 * 0.5 / rate)
        self._pitch = Wander(rng, 0.6, 4 * 0.6 / rate)
        self._roll = Wander(rng, 0.2, 4.0)

    def __call__(self, seconds: np.ndarray | float) -> np.ndarray:
        """Camera to world, (..., 3, 3)."""
        yaw = self._start + self._turn * seconds + self._yaw(seconds)
        return rotation(yaw, self._pitch(seconds), self._roll(seconds))


class Sliding:
    """The view of a camera that slides, turns and zooms over a flat texture.

    scale: texture px a view px; speed: about px/s in the view; bounds: (x, y), how far its centre goes from
    the texture's, in texture px; view, texture: (x, y) of their centres, px.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        scale: float,
        speed: float,
        bounds: tuple[float, float],
        view: tuple[float, float],
        texture: tuple[float, float],
    ):
        self._scale, self._view, self._texture = scale, view, texture
        # A sinusoid's mean speed is 4 amplitudes a period.
        self._x, self._y = (Wander(rng, bound, 4 * bound / (scale * speed)) for bound in bounds)
        self._angle, self._zoom = Wander(rng, 0.15, 4.0), Wander(rng, 0.12, 5.0)

    def __call__(self, seconds: np.ndarray | float) -> np.ndarray:
        """View pixels (x, y, 1) -> texture pixels, (..., 3, 3)."""
        angle, scale = self._angle(seconds), self._scale * np.exp(self._zoom(seconds))
        c, s, (x, y) = scale * np.cos(angle), scale * np.sin(angle), self._view
        to_x = self._texture[0] + self._x(seconds) - c * x + s * y
        to_y = self._texture[1] + self._y(seconds) - s * x - c * y
        zero, one = np.zeros_like(c), np.ones_like(c)
        return _matrices([[c, -s, to_x], [s, c, to_y], [zero, zero, one]])


def rotation(yaw: np.ndarray | float, pitch: np.ndarray | float, roll: np.ndarray | float) -> np.ndarray:
    """About y, then x, then z, each in rad; camera to world, (..., 3, 3)."""
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    zero, one = np.zeros_like(cy), np.ones_like(cy)
    about_y = _matrices([[cy, zero, sy], [zero, one, zero], [-sy, zero, cy]])
    about_x = _matrices([[one, zero, zero], [zero, cp, -sp], [zero, sp, cp]])
    about_z = _matrices([[cr, -sr, zero], [sr, cr, zero], [zero, zero, one]])
    return about_y @ about_x @ about_z


def _matrices(rows: list[list[np.ndarray]]) -> np.ndarray:
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))
