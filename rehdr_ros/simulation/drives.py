"""Drives: a camera with six degrees of freedom among panels at several depths."""

from collections.abc import Sequence

import numpy as np

from rehdr_ros.simulation.motion import Wander, rotation
from rehdr_ros.simulation.panels import Panel, PanelRenderer, Pose
from rehdr_ros.simulation.procedural import procedural_canvas

_FIELD_OF_VIEW = np.deg2rad(63)  # across the longer side
_DEPTH = 5.0  # m, at which the image moves as fast as is asked for
_AHEAD, _TURNING = 0.5, 1.5  # of the way sideways, in px
_FAR, _BOARDS = 11.0, 14  # m, of the wall; boards before it
_TEXELS = 80  # a metre
_SUN_EDGE, _SUN_STOPS = (-3.0, 0.0), (5.0, 9.0)  # m ahead of the drive's middle; above the shade


class Drive:
    """What a camera sees that drives by a wall with boards before it, as a Scene.

    seed: of what is there and of the motion. seconds: of the drive; speed: px/s, about, of which 2/3 are
    parallax. From the shade into the sun, among windows and lamps; or, if `even`, in the shade only, by
    surfaces that give light back and no more.
    """

    def __init__(self, seed: int, height: int, width: int, seconds: float, speed: float, even: bool = False):
        rng = np.random.default_rng([seed, 4])
        self.focal = focal_length(height, width)
        side = rng.choice((-1.0, 1.0))
        sideways = side * speed / (1 + _TURNING) / self.focal  # rad/s
        velocity = sideways * _DEPTH * np.array([1, 0, side * _AHEAD])
        self._path = Path(rng, seconds, velocity, _TURNING * sideways)
        panels = _boards(rng, emitters=not even)
        if not even:
            edge, stops = rng.uniform(*_SUN_EDGE), rng.uniform(*_SUN_STOPS)
            panels = [_in_the_sun(panel, side, edge, stops) for panel in panels]
        self._renderer = PanelRenderer(panels, height, width, self.focal)

    def pose(self, seconds: float) -> Pose:
        return self._path(seconds)

    def render(self, seconds: float) -> np.ndarray:
        return self._renderer.render(self.pose(seconds))


class Path:
    """Straight on, turning and shaking. velocity: (3,) m/s, through the origin after half of the seconds,
    where it looks ahead; turning: to the right, rad/s; shake: 1 as by hand, 0 none."""

    def __init__(
        self,
        rng: np.random.Generator,
        seconds: float,
        velocity: np.ndarray,
        turning: float = 0.0,
        shake: float = 1.0,
    ):
        self._seconds, self._velocity, self._turning = seconds, velocity, turning
        self._shift = [Wander(rng, shake * amplitude, 1.5) for amplitude in (0.1, 0.08, 0.1)]
        self._turn = [Wander(rng, shake * amplitude, 1.5) for amplitude in (0.06, 0.04, 0.03)]

    def __call__(self, seconds: float) -> Pose:
        shift = np.array([wander(seconds) for wander in self._shift])
        yaw, pitch, roll = (wander(seconds) for wander in self._turn)
        passed = seconds - self._seconds / 2
        return Pose(rotation(passed * self._turning + yaw, pitch, roll), passed * self._velocity + shift)


def focal_length(height: int, width: int) -> float:
    """px, of all drives; the principal point is the middle."""
    return 0.5 * max(height, width) / np.tan(_FIELD_OF_VIEW / 2)


def upright(centre: Sequence[float], width: float, height: float, turn: float, radiance: np.ndarray) -> Panel:
    """A panel that stands, its centre and size in m, turned about the vertical by so many rad."""
    across = width * np.array([np.cos(turn), 0, np.sin(turn)])
    down = np.array([0, height, 0])
    return Panel(np.array(centre) - (across + down) / 2, across, down, radiance)


def _boards(rng: np.random.Generator, emitters: bool) -> list[Panel]:
    """A wall, the ground and boards between them and the camera."""

    def canvas(height: float, width: float, texels: int = _TEXELS) -> np.ndarray:
        seed = np.random.SeedSequence(int(rng.integers(2**62)))
        return procedural_canvas(seed, int(texels * height), int(texels * width), emitters)

    # They are further away.
    panels = [upright((0, 0, _FAR), 36, 18, 0, canvas(18, 36, 25))]
    ground = np.array([-18, 2.2, 0.5]), np.array([36.0, 0, 0]), np.array([0, 0, _FAR - 0.5])
    panels.append(Panel(*ground, canvas(_FAR - 0.5, 36, 30)))
    for x in np.linspace(-8, 8, _BOARDS) + rng.uniform(-0.5, 0.5, _BOARDS):
        centre = x, rng.uniform(-1.6, 1.2), rng.uniform(4.0, 9.0)
        width, height = rng.uniform(0.8, 2.0, 2)
        panels.append(upright(centre, width, height, rng.uniform(-0.6, 0.6), canvas(height, width)))
    return panels


def _in_the_sun(panel: Panel, side: float, edge: float, stops: float) -> Panel:
    """So many stops brighter where side * x > edge, m."""
    inside = np.clip((side * panel.places()[..., :1] - edge) / 0.5 + 0.5, 0, 1)
    lit = panel.radiance * np.exp2(stops * inside).astype(np.float32)
    return Panel(panel.corner, panel.across, panel.down, lit)
