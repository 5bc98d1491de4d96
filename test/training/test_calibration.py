import pytest
import torch

from rehdr_ros.network import Rehdr, RehdrConfig
from rehdr_ros.training.calibration import factor, scale_sigma
from rehdr_ros.training.sequence import Sequence


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
