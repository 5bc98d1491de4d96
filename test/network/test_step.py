import pytest
import torch

from rehdr_ros.network import Rehdr, RehdrConfig, Stream
from rehdr_ros.network.engines.onnx import Step

CONFIGURATIONS = {
    "ldr_white": RehdrConfig(base_channels=4),
    "compact": RehdrConfig(base_channels=4, form="compact"),
    "gru": RehdrConfig(base_channels=4, recurrent="convgru", scales=2),
    "relative": RehdrConfig(base_channels=4, radiance="relative", fusion="published"),
}


@pytest.mark.parametrize("config", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_a_step_is_the_network_with_a_plain_state(config):
    torch.manual_seed(0)
    network = Rehdr(config).eval()
    for parameter in network.body.prediction.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    state, ldr = network.initial_state(1, 16, 24), torch.rand(1, 3, 16, 24)
    step, plain = Step(network, state), state.values()
    assert step.timed == (config.radiance == "ldr_white")
    with torch.no_grad():
        for k in range(3):
            voxel, seconds = torch.randn(1, 5, 16, 24).round(), torch.tensor([0.02 + 0.05 * k])
            expected, state = network(ldr, voxel, state, Stream(seconds=seconds))
            radiance, *plain = step(ldr, voxel, *([seconds] if step.timed else []), *plain)
            assert torch.equal(radiance, expected)
    assert all(map(torch.equal, plain, state.values()))


@pytest.mark.parametrize("config", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_no_state_is_the_initial_state(config):
    torch.manual_seed(0)
    network = Rehdr(config).eval()
    ldr, voxel = torch.rand(2, 3, 17, 30), torch.randn(2, 5, 17, 30)
    with torch.no_grad():
        nothing, _ = network(ldr, voxel)
        initial, _ = network(ldr, voxel, network.initial_state(2, 17, 30))
    assert torch.equal(nothing, initial)
