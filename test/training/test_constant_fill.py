import numpy as np
import pytest
import torch

from rehdr_ros.luminance import BT709
from rehdr_ros.recordings import write_exr
from rehdr_ros.simulation.batch import BatchSimulator
from rehdr_ros.training.batches import SimulatedBatches
from rehdr_ros.training.constant_fill import best_constant


@pytest.fixture
def folder(tmp_path):
    """Windows on a wall, some far brighter than the others."""
    scene = np.random.default_rng(0).uniform(0.2, 1, (64, 128, 3))
    scene[::8] *= 2.0 ** np.random.default_rng(1).uniform(0, 6, (1, 128, 1))
    write_exr(tmp_path / "windows.exr", scene.astype(np.float32))
    return str(tmp_path)


@pytest.mark.parametrize("with_folder", [False, True])
def test_no_other_constant_is_better_over_the_training_scenes(folder, with_folder):
    radiance = folder if with_folder else None
    constant = best_constant(radiance, batches=2)
    data = SimulatedBatches(BatchSimulator(96, 4, 1, torch.device("cpu")), 4, radiance=radiance)
    levels = []
    for batch in (data[0], data[1]):
        ldr, truth = (x.permute(0, 1, 3, 4, 2).numpy() for x in (batch.ldr, batch.truth))
        clipped = np.rint(255 * ldr.max(-1) ** (1 / 2.2)) >= 250
        levels.append(np.log2(np.maximum(truth[clipped] @ BT709, 2.0**-10)))
    levels = np.concatenate(levels)
    assert len(levels) > 1000

    def error(c):
        return np.mean((levels.astype(np.float64) - c) ** 2)

    assert error(constant) < min(error(constant - 0.02), error(constant + 0.02))


def test_the_constant_is_of_the_scenes_it_is_asked_for(folder):
    assert best_constant(folder, batches=1) != best_constant(None, batches=1)
