import pytest
import torch

from rehdr_ros.network import Rehdr, RehdrConfig
from rehdr_ros.network.step import Step, flatten, nest


@pytest.mark.parametrize(
    "config",
    [
        RehdrConfig(base_channels=4),
        RehdrConfig(base_channels=4, recurrent="convgru", scales=2),
        RehdrConfig(base_channels=4, radiance="relative", fusion="published"),
    ],
    ids=["ldr_white", "gru", "relative"],
)
def test_a_step_is_the_network_with_a_plain_state(config):
    torch.manual_seed(0)
    network = Rehdr(config).eval()
    step, ldr = Step(network), torch.rand(1, 3, 16, 24)
    state = network.initial_state(ldr)
    plain = flatten(state)
    assert len(plain) == len(step.names) == len(set(step.names))
    assert nest(plain, config) == state
    with torch.no_grad():
        for _ in range(3):
            voxel = torch.randn(1, 5, 16, 24).round()
            expected, state = network(ldr, voxel, state)
            radiance, *plain = step(ldr, voxel, *plain)
            assert torch.equal(radiance, expected)
    assert all(map(torch.equal, plain, flatten(state)))


def test_no_state_is_the_initial_state():
    torch.manual_seed(0)
    network = Rehdr(RehdrConfig(base_channels=4)).eval()
    ldr, voxel = torch.rand(2, 3, 17, 30), torch.randn(2, 5, 17, 30)
    with torch.no_grad():
        nothing, _ = network(ldr, voxel)
        initial, _ = network(ldr, voxel, network.initial_state(torch.zeros(2, 3, 24, 32)))
    assert torch.equal(nothing, initial)
