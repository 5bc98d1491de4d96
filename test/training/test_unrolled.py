from dataclasses import replace

import pytest
import torch

from rehdr_ros.network import Rehdr, RehdrConfig, Stream
from rehdr_ros.network.head_start.tones import MOST
from rehdr_ros.network.integrator import CLIPPED
from rehdr_ros.reconstruction.voxel_input import normalised
from rehdr_ros.training.losses import (
    PEAK,
    PerceptualLoss,
    clipped_error,
    clipped_sums,
    everywhere_loss,
    temporal_loss,
    uncertainty_loss,
)
from rehdr_ros.training.sequence import Sequence, collate
from rehdr_ros.training.unrolled import Unrolled, radiances, unroll

SMALL = {"base_channels": 4, "scales": 2, "residual_blocks": 1}


@pytest.fixture
def make_network():
    """A function that makes a small network that isn't trained, its prediction not zero."""

    def make(**config) -> Rehdr:
        torch.manual_seed(0)
        network = Rehdr(RehdrConfig(**SMALL, **config)).eval().requires_grad_(False)
        for parameter in network.body.prediction.parameters():
            torch.nn.init.normal_(parameter, std=0.05)
        return network

    return make


@pytest.fixture
def still():
    """A still scene, of 3 whites at exposure 1: well exposed at 0.1 first, then at 1, 0.5 and 1."""
    exposure = torch.tensor([0.1, 1.0, 0.5, 1.0])
    truth = 3 * exposure.view(1, 4, 1, 1, 1).expand(1, 4, 3, 8, 8)
    gain = torch.tensor([[1, 10, 0.5, 2]])
    return Sequence(truth.clamp_max(1), torch.zeros(1, 4, 5, 8, 8), truth, gain, torch.full((1, 4), 0.05))


def excess_taken(network, still):
    """Share of log radiance above the LDR in each frame's estimate, (T,); 0 where nothing is above it."""
    above = radiances(network, still)[0, :, 0, 4, 4].log() - still.ldr[0, :, 0, 4, 4].log()
    return above / (still.truth / still.ldr)[0, :, 0, 4, 4].log().clamp_min(1e-6)


def test_a_gain_rescales_what_is_remembered(still):
    """What was seen well exposed is known for good, whatever clips after it: its share stays the same.

    The rest is what is likely where no pixel nearly clips.
    """
    untrained = Rehdr(RehdrConfig(**SMALL)).eval()
    excess = (still.truth / still.ldr)[0, 1:, 0, 4, 4].log()
    taken = excess_taken(untrained, still)[1:]
    torch.testing.assert_close(taken, 0.6 + 0.4 * MOST / excess, rtol=0.02, atol=0)
    assert torch.equal(radiances(untrained, still)[:, 0], still.ldr[:, 0])
    untold = radiances(untrained, replace(still, gain=torch.ones(1, 4)))
    assert (untold[:, 1] < 0.5 * still.truth[:, 1]).all()


def test_every_sequence_of_a_batch_has_a_gain_and_seconds_of_its_own(still):
    untrained = Rehdr(RehdrConfig(**SMALL)).eval()
    silent = replace(still, gain=torch.ones(1, 4), seconds=torch.full((1, 4), 0.5))
    pairs = zip(vars(still).values(), vars(silent).values(), strict=True)
    both = Sequence(*map(torch.cat, pairs))
    apart = [radiances(untrained, s) for s in (still, silent)]
    torch.testing.assert_close(radiances(untrained, both), torch.cat(apart))


def test_the_more_time_the_less_is_known(still):
    untrained = Rehdr(RehdrConfig(**SMALL)).eval()
    slow = replace(still, seconds=torch.full((1, 4), 2.0))
    fast, slow = ([e.sigma[:, 0].mean().item() for e in unroll(untrained, s)] for s in (still, slow))
    assert fast[0] == slow[0], "a first frame has no interval"
    assert all(b > 1.5 * a for a, b in zip(fast[1:], slow[1:], strict=True))


def test_the_state_is_carried_from_frame_to_frame(make_network, sequences):
    network, batch = make_network(), replace(collate(sequences[:2]), dead_time=torch.zeros(2))
    state = None
    for k, estimate in enumerate(unroll(network, batch)):
        frame = batch.ldr[:, k], batch.voxel[:, k]
        expected, state = network.step(*frame, state, Stream(seconds=batch.seconds[:, k]))
        assert all(map(torch.equal, estimate, expected))
    assert k == 3


def test_relative_networks_get_normalised_grids_and_mean_peaks(make_network, sequences):
    network, batch = make_network(radiance="relative"), collate(sequences[:2])
    assert network.config.voxel == "quantile"
    state = None
    for k, (radiance, *others) in enumerate(unroll(network, batch)):
        assert others == [None, None]
        voxel = torch.stack([normalised(batch.voxel[i, k]) for i in range(2)])  # each by its own quantile
        expected, state = network(batch.ldr[:, k], voxel, state)
        torch.testing.assert_close(radiance, PEAK * expected)
    assert batch.voxel.abs().max() > 1 == voxel.abs().max()


@pytest.mark.parametrize("temporal", [0.0, 0.3])
@pytest.mark.parametrize("uncertainty", [0.0, 0.2])
def test_the_loss_is_that_of_the_sequence_and_the_mean_of_its_frames(
    make_network, sequences, temporal, uncertainty
):
    network, batch = make_network(), collate(sequences[:2])
    frames, sigmas, _ = zip(*unroll(network, batch), strict=True)
    ldr, truth = batch.ldr.unbind(1), batch.truth.unbind(1)
    clipped = [(x.amax(1, keepdim=True) >= CLIPPED).float() for x in ldr]
    sums, expected = [], 0.0
    for sigma, radiance, *others, mask in zip(sigmas, frames, ldr, truth, clipped, strict=True):
        sums.append(clipped_sums(radiance, *others, mask))
        expected += 10 * everywhere_loss(radiance, others[1])
        expected += uncertainty * uncertainty_loss(sigma, radiance, others[1], mask)
    for k in range(1, 4):
        both = clipped[k - 1] * clipped[k]
        expected += temporal * temporal_loss((frames[k - 1], frames[k]), (truth[k - 1], truth[k]), both)
    expected = expected / 4 + clipped_error(sums, batch.ldr[0, 0, 0].numel())
    torch.testing.assert_close(Unrolled(network, temporal, uncertainty)(batch), expected)


def test_networks_without_an_uncertainty_have_no_loss_of_it(make_network, sequences):
    network, batch = make_network(radiance="relative"), collate(sequences[:1])
    assert torch.equal(Unrolled(network, 0.3, 1.0)(batch), Unrolled(network, 0.3, 0.0)(batch))


def test_the_perceptual_loss_has_its_weight_and_is_not_trained(make_network, sequences, vgg):
    network, batch, perceptual = make_network(), collate(sequences[:1]), PerceptualLoss(vgg)
    plain, with_it = Unrolled(network, 0.0, 0.2), Unrolled(network, 0.0, 0.2, 0.25, perceptual)
    frames = zip(unroll(network, batch), batch.truth.unbind(1), strict=True)
    distances = [perceptual(estimate.radiance, truth) for estimate, truth in frames]
    torch.testing.assert_close(with_it(batch), plain(batch) + 0.25 * sum(distances) / 4)
    assert len(list(with_it.parameters())) == len(list(network.parameters()))


def test_the_gradient_reaches_the_first_frame(make_network, sequences):
    """Through the recurrence: the last frame alone has a loss here."""
    network, batch = make_network(), collate(sequences[:1])
    voxel = batch.voxel.clone().requires_grad_()
    *_, last = unroll(network, replace(batch, voxel=voxel))
    last.radiance.sum().backward()
    assert all(voxel.grad[0, k].any() for k in range(4))
