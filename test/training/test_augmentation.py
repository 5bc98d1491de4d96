import numpy as np
import pytest
import torch

from rehdr_ros.training.augmentation import augmented
from rehdr_ros.training.sequence import Sequence


@pytest.fixture
def sequence():
    """Three frames of 4 x 4 px whose values tell field, frame, channel and pixel."""
    image = torch.arange(3 * 3 * 16.0).reshape(3, 3, 4, 4)
    grid = torch.arange(3 * 2 * 16.0).reshape(3, 2, 4, 4) - 40
    return Sequence(image, grid, image + 1000, torch.tensor([1.0, 0.5, 2.0]))


def outcomes(sequence):
    rng = np.random.default_rng(0)
    return [augmented(sequence, rng) for _ in range(100)]


def test_all_eight_symmetries_come(sequence):
    images = {tuple(s.ldr[0, 0].flatten().tolist()) for s in outcomes(sequence)}
    corners = {(image[0], image[3], image[12], image[15]) for image in images}
    assert len(images) == len(corners) == 8


def test_one_symmetry_for_every_frame_grid_and_truth(sequence):
    for result in outcomes(sequence):
        where = result.ldr[0, 0].long().flatten()  # the pixel that each value came from
        for name in ("ldr", "voxel", "truth"):
            before, after = getattr(sequence, name), getattr(result, name)
            assert torch.equal(after.flatten(2), before.flatten(2)[..., where])
        assert torch.equal(result.gain, sequence.gain)


def test_a_quarter_turn_exchanges_height_and_width(sequence):
    shapes = {tuple(s.ldr.shape) for s in outcomes(sequence.map(lambda x: x[..., :3] if x.ndim == 4 else x))}
    assert shapes == {(3, 3, 4, 3), (3, 3, 3, 4)}


def test_the_same_random_numbers_give_the_same(sequence):
    a, b = (augmented(sequence, np.random.default_rng(7)) for _ in range(2))
    assert torch.equal(a.voxel, b.voxel)
