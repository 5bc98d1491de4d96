"""The graphed step of a training against the plain one."""

import pytest
import torch

from rehdr_ros.network import Rehdr, RehdrConfig
from rehdr_ros.training.graphed import GraphedLoss, can_compile
from rehdr_ros.training.sequence import collate
from rehdr_ros.training.unrolled import Unrolled


def some_network(form):
    torch.manual_seed(0)
    network = Rehdr(RehdrConfig(base_channels=8, scales=2, form=form)).train()
    for parameter in network.body.prediction.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return network


@pytest.mark.long
@pytest.mark.skipif(not hasattr(torch, "compile"), reason="needs torch.compile")
def test_a_compiled_step_has_the_loss_and_the_gradients_of_the_plain_one(sequences):
    network, batch = some_network("compact"), collate(sequences[:2])
    plain, compiled = (Unrolled(network, 0.3, 0.2, compiled=x)(batch) for x in (False, True))
    parameters = list(network.parameters())
    torch.testing.assert_close(compiled, plain)
    for a, b in zip(*(torch.autograd.grad(x, parameters) for x in (compiled, plain)), strict=True):
        assert (a - b).norm() <= 1e-3 * b.norm() + 1e-6


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("form", ["compact", "full"])
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
def test_loss_and_gradients_are_those_of_the_plain_step(sequences, form, half, compiled):
    """Of one batch after another, the weights changed in between."""
    if compiled and not can_compile():
        pytest.skip("needs Triton")
    network = some_network(form).cuda()
    loss = Unrolled(network, 0.3, 0.2)
    graphed = GraphedLoss(Unrolled(network, 0.3, 0.2, compiled=compiled), half)
    for k in range(3):
        batch = collate(sequences[k : k + 2]).map(torch.Tensor.cuda)
        found = graphed(batch).item()
        gradients = [p.grad.clone() for p in network.parameters()]
        with torch.autocast("cuda", torch.bfloat16, enabled=half):
            expected = loss(batch)
        expected_gradients = torch.autograd.grad(expected, list(network.parameters()))
        tolerance = 5e-2 if half else 1e-3
        assert found == pytest.approx(expected.item(), rel=tolerance)
        for a, b in zip(gradients, expected_gradients, strict=True):
            assert (a - b).norm() <= tolerance * b.norm() + 1e-6
        with torch.no_grad():
            for parameter, gradient in zip(network.parameters(), gradients, strict=True):
                parameter -= 1e-2 * gradient
