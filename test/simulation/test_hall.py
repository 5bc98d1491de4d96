"""The scene of the demo."""

import numpy as np
import pytest

from rehdr_ros.simulation import SimulationConfig, simulate
from rehdr_ros.simulation.april_tags import HAS_TAGS, tag_finder
from rehdr_ros.simulation.hall import TAGS, TAGS_IN_THE_YARD, HallScene, hall_canvas

if not HAS_TAGS:
    pytest.skip("this OpenCV knows no AprilTags; 4.7 does", allow_module_level=True)


def tags(image: np.ndarray) -> set[int]:
    """AprilTags found in (H, W, 3), 1.0 = white."""
    shown = np.rint(255 * np.clip(image, 0, 1) ** (1 / 2.2)).astype(np.uint8)
    return {number for number, _ in tag_finder()(shown)}


def test_each_exposure_shows_the_tags_of_one_side():
    canvas = hall_canvas(260, 346)
    assert canvas.dtype == np.float32 and np.isfinite(canvas).all() and canvas.min() > 0
    assert tags(canvas) == set(TAGS) - set(TAGS_IN_THE_YARD)
    assert set(TAGS_IN_THE_YARD) <= tags(canvas / 8)


def test_the_wall_is_seen_everywhere_before_the_yard():
    scene = HallScene(130, 173, 40.0, np.random.default_rng(3))
    bright = np.stack([scene.render(t).max(-1) > 1 for t in np.arange(0, 6, 0.25)])
    assert bright[0].mean() < 0.25 < 0.4 < bright.mean((1, 2)).max()
    known = ~np.logical_and.accumulate(bright)  # once exposed
    assert (bright & known).sum() > 0.75 * bright.sum()


def test_the_camera_turns_at_its_speed():
    scene = HallScene(130, 173, 40.0, np.random.default_rng(3))
    edges = []  # the gate's left one, from where it comes into view to where it leaves
    for t in np.arange(1.0, 4.0, 0.1):
        row = scene.render(t)[60].max(-1) > 1
        edges.append(np.argmax(row))
    assert 40 < np.mean(np.abs(np.diff(edges))) / 0.1 < 90


def test_white_is_the_radiance_that_saturates():
    config = SimulationConfig(scene="hall", width=64, height=48, seconds=0.2, fps=10, renders=50, white=2.0)
    truth = next(iter(simulate(config))).truth
    brighter = next(iter(simulate(SimulationConfig(**{**vars(config), "white": 1.0})))).truth
    np.testing.assert_allclose(brighter, 2 * truth, rtol=1e-6)
