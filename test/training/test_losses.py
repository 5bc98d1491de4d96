import math
from pathlib import Path

import pytest
import torch

from rehdr_ros.errors import InputError
from rehdr_ros.training.losses import PEAK, PerceptualLoss, mu_law, radiance_loss, temporal_loss


@pytest.fixture
def truth():
    return torch.randn((2, 3, 8, 9), generator=torch.Generator().manual_seed(0)).exp()


@pytest.fixture
def clipped(truth):
    return (truth.amax(1, keepdim=True) > 1).float()


def test_the_mu_law_maps_zero_to_zero_and_one_to_one():
    torch.testing.assert_close(mu_law(torch.tensor([0.0, 1.0])), torch.tensor([0.0, 1.0]))


def test_the_radiance_loss_of_one_pixel_by_hand():
    """A pixel of 2 whites whose truth is 8: two stops, and a step of the mu-law."""
    predicted, truth = torch.full((1, 3, 1, 1), 2.0), torch.full((1, 3, 1, 1), 8.0)
    step = (math.log(1 + 5000 * 8 / 32) - math.log(1 + 5000 * 2 / 32)) / math.log(5001)
    exposed, clipped = torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1)
    assert radiance_loss(predicted, truth, exposed).item() == pytest.approx(10 * step, rel=1e-5)
    stops = math.log(4) + 0.5 * math.log(4) ** 2
    assert radiance_loss(predicted, truth, clipped).item() == pytest.approx(10 * step + stops, rel=1e-5)


def test_few_clipped_pixels_count_as_if_two_per_cent_were():
    truth, few = torch.ones(1, 3, 20, 20), torch.zeros(1, 1, 20, 20)
    few[..., 0, 0] = 1  # an eighth of 2 %
    plain = radiance_loss(2 * truth, truth, 0 * few)
    stop = math.log(2) + 0.5 * math.log(2) ** 2
    assert (radiance_loss(2 * truth, truth, few) - plain).item() == pytest.approx(stop / 8, rel=1e-4)


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


def test_flicker_is_the_error_of_the_change_where_both_frames_clip():
    truth = torch.ones(1, 3, 2, 2), torch.full((1, 3, 2, 2), 2.0)
    predicted = truth[0], torch.full((1, 3, 2, 2), 16.0)
    both = torch.tensor([[1.0, 0.0], [1.0, 0.0]]).view(1, 1, 2, 2)
    assert temporal_loss(predicted, truth, both).item() == pytest.approx(math.log(8), rel=1e-5)
    assert temporal_loss(predicted, truth, 0 * both) == 0


def test_a_constant_factor_does_not_flicker(truth, clipped):
    other = truth.flip(0)
    assert temporal_loss((3 * truth, 3 * other), (truth, other), clipped) < 1e-6
    assert temporal_loss((3 * truth, 4 * other), (truth, other), clipped) > 0.1


def test_the_perceptual_loss_is_nothing_for_equals_and_rises_with_the_difference(vgg):
    loss = PerceptualLoss(vgg)
    truth = 3 * torch.rand((2, 3, 16, 24), generator=torch.Generator().manual_seed(0))
    assert loss(truth, truth) == 0
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(1))
    losses = [loss(truth * (size * noise).exp(), truth).item() for size in (0.01, 0.1, 1.0)]
    assert 0 < losses[0] < losses[1] < losses[2]
    assert loss(2 * PEAK * torch.ones_like(truth), 3 * PEAK * torch.ones_like(truth)) == 0  # both beyond its range


def test_the_perceptual_loss_by_another_statement(vgg):
    """The features one layer after another, numbered as torchvision numbers them."""
    weights = torch.load(vgg, weights_only=True)
    a, b = (peak * torch.rand((1, 3, 16, 16), generator=torch.Generator().manual_seed(0)) for peak in (PEAK, 0.1))
    mean, std = (torch.tensor(x).view(1, 3, 1, 1) for x in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    features = [(mu_law(x / PEAK) - mean) / std for x in (a, b)]
    total = 0.0
    for number in range(23):
        for i, x in enumerate(features):
            if number in (4, 9, 16):
                features[i] = torch.max_pool2d(x, 2)
            elif f"features.{number}.weight" in weights:
                kind = (weights[f"features.{number}.{part}"] for part in ("weight", "bias"))
                features[i] = torch.conv2d(x, *kind, padding=1)
            else:
                features[i] = x.relu()
        if number in (3, 8, 15, 22):  # relu1_2, 2_2, 3_3, 4_3
            grams = [torch.einsum("ncij,ndij->ncd", x, x) / x[0].numel() for x in features]
            total += sum(((x - y) ** 2).mean().item() for x, y in (features, grams))
    assert PerceptualLoss(vgg)(a, b).item() == pytest.approx(total, rel=1e-5)


def test_the_perceptual_loss_trains_the_prediction_and_nothing_of_its_own(vgg):
    loss = PerceptualLoss(vgg)
    predicted = torch.rand((1, 3, 8, 8), generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss(predicted, torch.ones(1, 3, 8, 8)).backward()
    assert predicted.grad.isfinite().all() and predicted.grad.any()
    assert not any(p.requires_grad for p in loss.parameters())


class Bomb:
    """Unpickled, it makes a file."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


@pytest.mark.parametrize("content", ["text", "another network", "another shape", "a bomb", "nothing"])
def test_a_file_that_is_not_vgg16_is_refused_in_one_line(tmp_path, vgg, content):
    path, trace = tmp_path / "vgg.pth", tmp_path / "trace"
    if content == "text":
        path.write_text("weights")
    elif content != "nothing":
        whole = torch.load(vgg, weights_only=True)
        states = {
            "another network": {"conv.weight": torch.zeros(3)},
            "another shape": {**whole, "features.5.bias": torch.zeros(3)},
            "a bomb": {**whole, "bomb": Bomb(trace)},
        }
        torch.save(states[content], path)
    with pytest.raises(InputError, match=f"vgg {path}") as error:
        PerceptualLoss(path)
    assert "\n" not in str(error.value) and not trace.exists()
