from dataclasses import replace

import pytest
import torch

from rehdr_ros.network import Rehdr, RehdrConfig
from rehdr_ros.network.head_start.composition import OUTPUTS
from rehdr_ros.training.calibration import expansion, factor, scale_sigma, with_expansion
from rehdr_ros.training.sequence import Sequence, collate
from rehdr_ros.training.unrolled import unroll


@pytest.fixture(params=["compact", "full"])
def network(request):
    return Rehdr(RehdrConfig(form=request.param, base_channels=2)).eval()


def estimate(network):
    with torch.inference_mode():
        return network.step(torch.ones(1, 3, 16, 16), torch.zeros(1, 5, 16, 16))[0]


def test_sigma_is_scaled_and_the_radiance_stays(network):
    before = estimate(network)
    scale_sigma(network, 0.5)
    after = estimate(network)
    torch.testing.assert_close(after.sigma, 0.5 * before.sigma)
    assert torch.equal(after.radiance, before.radiance)


def test_the_factor_lets_68_per_cent_of_the_errors_lie_within(network):
    """Every error is one stop, so that sigma must become that."""
    ldr, frames = torch.ones(5, 3, 16, 16), torch.ones(5)
    sequence = Sequence(ldr, torch.zeros(5, 5, 16, 16), 2 * ldr, frames, 0.05 * frames)
    scale_sigma(network, factor(network, [sequence]))
    assert factor(network, [sequence]) == pytest.approx(1, rel=1e-3)


def bright_and_explained(above):
    """A stream whose events tell a rise in exposed pixels exactly, and what clips, `above` nat brighter."""
    ldr, voxel = torch.full((8, 3, 32, 32), 0.1), torch.zeros(8, 5, 32, 32)
    for k in range(1, 8):
        rise = 1.0 if k % 2 else -1.0
        ldr[k, :, :16] = 0.1 * torch.e ** (rise > 0)
        voxel[k, 2, :16] = 4 * rise
    ldr[:, :, 16:] = 1.0
    truth = ldr.clone()
    truth[:, :, 16:] = torch.e**above
    return Sequence(ldr, voxel, truth, torch.ones(8), torch.full((8,), 0.05))


def last_estimate(network, sequence):
    """nat above white, where nothing is known."""
    with torch.inference_mode():
        *_, last = unroll(network, collate([sequence]))
    return last.radiance[0, 0, 31, 31].log().item()


def guess(network, sequence, above):
    """Let the network estimate `above` nat above the frame where nothing is known."""
    bias = (
        network.body.prediction.bias
        if network.config.form == "compact"
        else network.body.prediction.conv.bias
    )
    bound = 0.1 + 0.7
    with torch.no_grad():
        missing = above - last_estimate(network, sequence)
        bias[: len(bias) // OUTPUTS] = torch.atanh(torch.tensor(missing / bound))


def test_the_expansion_is_what_the_estimate_lies_too_low_by_where_events_explain_the_frames(network):
    """An estimate of 0.75 nat is 0.25 above where expansions begin."""
    sequence = bright_and_explained(0.85)
    guess(network, sequence, 0.75)
    found = expansion(network, [sequence])
    assert found == pytest.approx(0.4, abs=0.051)
    errors = [abs(last_estimate(with_expansion(network, by), sequence) - 0.85) for by in (0.0, found)]
    assert errors[1] < 0.02 < 0.09 < errors[0]


def test_where_events_explain_little_nothing_is_expanded(network):
    sequence = bright_and_explained(2.0)
    guess(network, sequence, 0.75)
    sequence = replace(sequence, voxel=torch.zeros_like(sequence.voxel))
    assert expansion(network, [sequence]) == 0.0
    plain, expanded = (
        torch.stack([e.radiance for e in unroll(with_expansion(network, by), collate([sequence]))])
        for by in (0.0, 1.0)
    )
    assert torch.equal(plain, expanded)


def test_a_training_goes_without_the_expansion(network):
    sequence = bright_and_explained(2.0)
    guess(network, sequence, 0.75)
    network, batch = with_expansion(network, 1.0), collate([sequence])
    *_, evaluated = unroll(network, batch)
    *_, trained = unroll(network.train(), batch)
    *_, plain = unroll(with_expansion(network, 0.0), batch)
    assert torch.equal(trained.radiance, plain.radiance)
    assert (evaluated.radiance > plain.radiance * 1.1).any()
