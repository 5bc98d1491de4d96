"""Signs that are painted into training scenes."""

import numpy as np
import torch

from rehdr_ros.luminance import BT709
from rehdr_ros.simulation.batch_scene import TEXTURE
from rehdr_ros.training.signs import with_signs


def painted(seed: int, radiance: torch.Tensor) -> np.ndarray:
    return with_signs(radiance, np.random.default_rng(seed)).numpy()


def test_signs_are_far_brighter_than_a_scene_and_have_edges_in_them():
    scene = torch.full((*TEXTURE, 3), 0.2)
    lit = painted(1, scene)
    assert scene.eq(0.2).all()  # a copy
    assert lit.dtype == np.float32 and lit.min() > 0 and np.isfinite(lit).all()
    log = np.log2(lit @ BT709 / 0.2)
    above = log > 1
    assert 0.02 < above.mean() < 0.8 and log.max() > 3
    steps = np.abs(np.diff(log, axis=1))
    assert (steps[above[:, 1:]] > 1).mean() > 0.02


def test_the_same_generator_paints_the_same():
    scene = torch.rand(*TEXTURE, 3, generator=torch.Generator().manual_seed(0))
    assert (painted(3, scene) == painted(3, scene)).all()
    assert (painted(3, scene) != painted(4, scene)).any()
