import numpy as np
import pytest
import torch

from rehdr_ros.network.integrator import CLIPPED
from rehdr_ros.training.augmentation import augmented, exposed_anew
from rehdr_ros.training.sequence import Sequence


@pytest.fixture
def sequence():
    """Three frames of 4 x 4 px whose values tell field, frame, channel and pixel."""
    image = torch.arange(3 * 3 * 16.0).reshape(3, 3, 4, 4)
    grid = torch.arange(3 * 2 * 16.0).reshape(3, 2, 4, 4) - 40
    return Sequence(image, grid, image + 1000, torch.tensor([1.0, 0.5, 2.0]), torch.tensor([0.0, 0.1, 0.2]))


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
        assert torch.equal(result.gain, sequence.gain) and torch.equal(result.seconds, sequence.seconds)


def test_a_quarter_turn_exchanges_height_and_width(sequence):
    shapes = {tuple(s.ldr.shape) for s in outcomes(sequence.map(lambda x: x[..., :3] if x.ndim == 4 else x))}
    assert shapes == {(3, 3, 4, 3), (3, 3, 3, 4)}


def test_the_same_random_numbers_give_the_same(sequence):
    a, b = (augmented(sequence, np.random.default_rng(7)) for _ in range(2))
    assert torch.equal(a.voxel, b.voxel)


@pytest.fixture
def batch():
    """Forty sequences of two frames of a ramp from black to four whites, which an 8-bit camera saw."""
    truth = torch.linspace(0, 4, 256).view(1, 1, 1, 16, 16).repeat(40, 2, 3, 1, 1)
    ldr = display(truth.clamp_max(1)).div(255) ** 2.2
    return Sequence(ldr, torch.ones(40, 2, 5, 16, 16), truth, torch.ones(40, 2), torch.full((40, 2), 0.1))


def display(linear):
    return (linear ** (1 / 2.2) * 255).round()


def test_another_exposure_is_in_the_frames_and_in_the_truth(batch):
    result = exposed_anew(batch, np.random.default_rng(0))
    gain = (result.truth / batch.truth)[..., 1:].flatten(1)
    torch.testing.assert_close(gain, gain[:, :1].expand_as(gain))  # one a sequence
    gain = gain[:, 0]
    assert 0.49 < gain.min() < 0.7 and 1.4 < gain.max() < 2.02
    assert len(gain.unique()) == 40 and gain.log().mean().abs() < 0.2
    for name in ("voxel", "gain", "seconds"):
        assert torch.equal(getattr(result, name), getattr(batch, name))


def test_a_frame_exposed_anew_is_what_a_camera_would_have_shown(batch):
    """Of the truth, to the noise of two quantisations; what was clipped and is no longer comes from it."""
    result = exposed_anew(batch, np.random.default_rng(0))
    levels = display(result.ldr)
    torch.testing.assert_close(levels, result.ldr ** (1 / 2.2) * 255, rtol=0, atol=1e-2)  # 8 bit
    assert (levels - display(result.truth.clamp_max(1))).abs().max() <= 1
    reappeared = (batch.ldr >= CLIPPED) & (result.ldr < CLIPPED)
    assert torch.equal(levels[reappeared], display(result.truth[reappeared]))
    newly = (batch.ldr < CLIPPED) & (result.ldr >= CLIPPED)
    assert reappeared.any() and newly.any() and result.ldr.max() == 1


def test_the_same_random_numbers_give_the_same_exposures(batch):
    a, b, c = (exposed_anew(batch, np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert torch.equal(a.ldr, b.ldr) and not torch.equal(a.ldr, c.ldr)
