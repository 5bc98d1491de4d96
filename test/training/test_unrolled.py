from dataclasses import replace

import pytest
import torch

from rehdr_ros.errors import InputError
from rehdr_ros.network import Rehdr, RehdrConfig
from rehdr_ros.network.integrator import CLIPPED
from rehdr_ros.reconstruction.voxel_input import normalised
from rehdr_ros.training.losses import PEAK, PerceptualLoss, radiance_loss, temporal_loss
from rehdr_ros.training.sequence import Sequence, collate
from rehdr_ros.training.unrolled import Unrolled, unroll

SMALL = {"base_channels": 4, "scales": 2, "residual_blocks": 1}


@pytest.fixture
def make_network():
    """A function that makes a small network that isn't trained, its prediction not zero."""

    def make(**config) -> Rehdr:
        torch.manual_seed(0)
        network = Rehdr(RehdrConfig(**SMALL, **config)).eval().requires_grad_(False)
        torch.nn.init.normal_(network.prediction.conv.weight, std=0.05)
        return network

    return make


@pytest.fixture
def still():
    """A still scene of 3 whites of the first frame, first well exposed at a tenth, at 1, at half and at once again."""
    exposure = torch.tensor([0.1, 1.0, 0.5, 1.0])
    truth = 3 * exposure.view(1, 4, 1, 1, 1).expand(1, 4, 3, 8, 8)
    gain = torch.tensor([[1, 10, 0.5, 2]])
    return Sequence(truth.clamp_max(1), torch.zeros(1, 4, 5, 8, 8), truth, gain)


def test_a_gain_rescales_what_is_remembered(still):
    """What was seen well exposed is known for good, whatever clips after it."""
    untrained = Rehdr(RehdrConfig(**SMALL)).eval()
    radiance = torch.stack(list(unroll(untrained, still)), 1)
    torch.testing.assert_close(radiance, still.truth)
    untold = torch.stack(list(unroll(untrained, replace(still, gain=torch.ones(1, 4)))), 1)
    assert (untold[:, 1] < 0.5 * still.truth[:, 1]).all()


def test_every_sequence_of_a_batch_has_a_gain_of_its_own(still):
    untrained = Rehdr(RehdrConfig(**SMALL)).eval()
    silent = replace(still, gain=torch.ones(1, 4))
    both = Sequence(*(torch.cat(pair) for pair in zip(vars(still).values(), vars(silent).values(), strict=True)))
    together = torch.stack(list(unroll(untrained, both)), 1)
    apart = [torch.stack(list(unroll(untrained, s)), 1) for s in (still, silent)]
    torch.testing.assert_close(together, torch.cat(apart))


def test_the_state_is_carried_from_frame_to_frame(make_network, sequences):
    network, batch = make_network(), collate(sequences[:2])
    state = None
    for k, radiance in enumerate(unroll(network, batch)):
        expected, state = network(batch.ldr[:, k], batch.voxel[:, k], state)
        assert torch.equal(radiance, expected)
    assert k == 3


def test_relative_networks_get_normalised_grids_and_mean_peaks(make_network, sequences):
    network, batch = make_network(radiance="relative"), collate(sequences[:2])
    assert network.config.voxel == "quantile"
    state = None
    for k, radiance in enumerate(unroll(network, batch)):
        voxel = torch.stack([normalised(batch.voxel[i, k]) for i in range(2)])  # each by its own quantile
        expected, state = network(batch.ldr[:, k], voxel, state)
        torch.testing.assert_close(radiance, PEAK * expected)
    assert batch.voxel.abs().max() > 1 == voxel.abs().max()


def test_networks_that_take_log_intensity_are_refused(make_network, sequences):
    network = make_network(radiance="relative", voxel="log_intensity")
    with pytest.raises(InputError, match="log_intensity"):
        next(unroll(network, collate(sequences[:1])))


@pytest.mark.parametrize("temporal", [0.0, 0.3])
def test_the_loss_is_the_mean_over_the_frames_with_the_flicker_between_them(make_network, sequences, temporal):
    network, batch = make_network(), collate(sequences[:2])
    frames = list(unroll(network, batch))
    clipped = [(ldr.amax(1, keepdim=True) >= CLIPPED).float() for ldr in batch.ldr.unbind(1)]
    truth = batch.truth.unbind(1)
    expected = sum(radiance_loss(*frame) for frame in zip(frames, truth, clipped, strict=True))
    for k in range(1, 4):
        both = clipped[k - 1] * clipped[k]
        expected += temporal * temporal_loss((frames[k - 1], frames[k]), (truth[k - 1], truth[k]), both)
    torch.testing.assert_close(Unrolled(network, temporal)(batch), expected / 4)


def test_the_perceptual_loss_has_its_weight_and_is_not_trained(make_network, sequences, vgg):
    network, batch, perceptual = make_network(), collate(sequences[:1]), PerceptualLoss(vgg)
    plain, with_it = Unrolled(network, 0.0), Unrolled(network, 0.0, 0.25, perceptual)
    distances = [perceptual(a, b) for a, b in zip(unroll(network, batch), batch.truth.unbind(1), strict=True)]
    torch.testing.assert_close(with_it(batch), plain(batch) + 0.25 * sum(distances) / 4)
    assert len(list(with_it.parameters())) == len(list(network.parameters()))


def test_the_gradient_reaches_the_first_frame(make_network, sequences):
    """Through the recurrence: the last frame alone has a loss here."""
    network, batch = make_network(), collate(sequences[:1])
    voxel = batch.voxel.clone().requires_grad_()
    *_, last = unroll(network, replace(batch, voxel=voxel))
    last.sum().backward()
    assert all(voxel.grad[0, k].any() for k in range(4))
