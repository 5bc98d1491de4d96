import pytest
import torch

from rehdr_ros.training.losses import mu_law, radiance_loss


@pytest.fixture
def truth():
    return torch.randn((2, 3, 8, 9), generator=torch.Generator().manual_seed(0)).exp()


@pytest.fixture
def clipped(truth):
    return (truth.amax(1, keepdim=True) > 1).float()


def test_the_mu_law_maps_zero_to_zero_and_one_to_one():
    torch.testing.assert_close(mu_law(torch.tensor([0.0, 1.0])), torch.tensor([0.0, 1.0]))


def test_the_truth_has_no_loss(truth, clipped):
    assert radiance_loss(truth, truth, clipped) == 0


@pytest.mark.parametrize("predicted", [0.0, 1e-12, 1.0, 1e5, "truth"])
@pytest.mark.parametrize("share", ["none", "some", "all"])
def test_gradients_are_finite(truth, clipped, predicted, share):
    x = truth.clone() if predicted == "truth" else torch.full_like(truth, predicted)
    mask = {"none": 0 * clipped, "some": clipped, "all": 0 * clipped + 1}[share]
    truth[0, :, 0, 0] = 0
    loss = radiance_loss(x.requires_grad_(), truth, mask)
    loss.backward()
    assert loss.isfinite() and x.grad.isfinite().all()


def test_the_loss_pulls_towards_the_truth(truth, clipped):
    for gain in (0.5, 2.0):
        x = (gain * truth).requires_grad_()
        radiance_loss(x, truth, clipped).backward()
        assert (x.grad.sign() == (1 if gain > 1 else -1)).all()


def test_clipped_pixels_weigh_by_their_stops_not_by_their_radiance(truth):
    dim, bright = 4 * torch.ones(1, 3, 4, 4), 16 * torch.ones(1, 3, 4, 4)
    mask = torch.ones(1, 1, 4, 4)
    assert radiance_loss(dim / 2, dim, mask) == pytest.approx(radiance_loss(bright / 2, bright, mask).item(), rel=0.05)
    assert radiance_loss(dim / 4, dim, mask) > 2 * radiance_loss(dim / 2, dim, mask)


def test_every_sequence_weighs_the_same(truth):
    """Twice as many clipped pixels, each with the same error, are no more clipped loss."""
    truth = torch.ones(1, 3, 10, 10)
    few, many = torch.zeros(2, 1, 1, 10, 10)
    few[..., :2, :], many[..., :4, :] = 1, 1
    plain = radiance_loss(2 * truth, truth, 0 * few)
    torch.testing.assert_close(radiance_loss(2 * truth, truth, few), radiance_loss(2 * truth, truth, many))
    assert radiance_loss(2 * truth, truth, few) > 1.2 * plain
