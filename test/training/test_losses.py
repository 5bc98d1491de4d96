import math
from pathlib import Path

import pytest
import torch

from rehdr_ros.errors import InputError
from rehdr_ros.training.losses import (
    PEAK,
    PerceptualLoss,
    clipped_error,
    clipped_sums,
    everywhere_loss,
    local_structure,
    mu_law,
    temporal_loss,
    uncertainty_loss,
)


@pytest.fixture
def truth():
    return torch.randn((2, 3, 8, 9), generator=torch.Generator().manual_seed(0)).exp()


@pytest.fixture
def clipped(truth):
    return (truth.amax(1, keepdim=True) > 1).float()


def test_the_mu_law_maps_zero_to_zero_and_one_to_one():
    torch.testing.assert_close(mu_law(torch.tensor([0.0, 1.0])), torch.tensor([0.0, 1.0]))


def test_the_loss_everywhere_by_hand():
    """A pixel of 2 whites whose truth is 8: a step of the mu-law."""
    predicted, truth = torch.full((1, 3, 1, 1), 2.0), torch.full((1, 3, 1, 1), 8.0)
    step = (math.log(1 + 5000 * 8 / 32) - math.log(1 + 5000 * 2 / 32)) / math.log(5001)
    assert everywhere_loss(predicted, truth).item() == pytest.approx(step, rel=1e-5)
    predicted = torch.cat((predicted, truth))
    assert everywhere_loss(predicted, torch.cat((truth, truth))).item() == pytest.approx(step / 2, rel=1e-5)
    assert everywhere_loss(truth, truth) == 0


def error_of(*frames):
    """Of a sequence of (predicted, ldr, truth, clipped)."""
    return clipped_error([clipped_sums(*frame) for frame in frames], frames[0][0][0, 0].numel())


def halves(value, other, size=64):
    """(1, 3, size, size) of two values in stripes as wide as an eighth: local structure."""
    x = torch.full((1, 3, size, size), float(value))
    x[..., torch.arange(size) // (size // 8) % 2 == 1] = other
    return x


WHITE, ALL = torch.ones(1, 3, 64, 64), torch.ones(1, 1, 64, 64)


def test_the_clipped_error_is_the_sum_of_two_shares_of_what_the_frame_has():
    """Stripes of which half is right: half the LDR's error and half of its structure."""
    truth, predicted = halves(1, math.e), halves(1, math.e**0.5)
    assert error_of((predicted, WHITE, truth, ALL)).item() == pytest.approx(0.5 + 0.5, rel=2e-3)
    assert error_of((WHITE, WHITE, truth, ALL)).item() == pytest.approx(2)
    assert error_of((truth, WHITE, truth, ALL)).item() < 0.03


def test_harm_counts_double():
    truth, predicted = halves(1, math.e), halves(1, math.e**3)  # two nat too much where the LDR lacks one
    assert error_of((predicted, WHITE, truth, ALL)).item() == pytest.approx(2 * (2 + (2 - 1)), rel=2e-3)


def test_a_constant_lift_lowers_the_first_share_alone():
    truth = halves(2, 2 * math.e)
    # Half a nat off on either side, where the LDR is off by log 2 and by 1 + log 2.
    lift = 2 * math.e**0.5 * WHITE
    ldr = ((math.log(2) ** 2 + (1 + math.log(2)) ** 2) / 2) ** 0.5
    assert error_of((lift, WHITE, truth, ALL)).item() == pytest.approx(0.5 / ldr + 1, rel=2e-3)
    assert error_of((WHITE, WHITE, truth, ALL)).item() == pytest.approx(2)


def test_every_sequence_is_held_against_its_own_frames():
    """A mild scene and one of lamps: each prediction has half of its LDR's error, and counts the same."""
    losses = [error_of((halves(1, x**0.5), WHITE, halves(1, x), ALL)) for x in (2.0, 50.0)]
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=5e-3)
    two = [
        torch.cat(pair)
        for pair in zip(*((halves(1, x**0.5), WHITE, halves(1, x), ALL) for x in (2, 50)), strict=True)
    ]
    assert error_of(two).item() == pytest.approx(sum(losses).item() / 2)


def test_the_shares_are_of_the_whole_sequence():
    """A frame's error counts by its square among the sequence's, not as a share of its own frame's."""
    right, wrong = (halves(1, 2), WHITE, halves(1, 2), ALL), (WHITE, WHITE, halves(1, 8), ALL)
    share = (3**2 / (1 + 3**2)) ** 0.5  # of log 8 and log 2
    assert error_of(right, wrong).item() == pytest.approx(2 * share, rel=2e-3)


def test_nothing_but_clipped_pixels_counts_for_the_error_of(truth):
    half = torch.zeros(2, 1, 8, 9)
    half[..., :4] = 1
    other = torch.where(half > 0, 0.7 * truth, 100 * truth)
    losses = [error_of((x, torch.ones_like(truth), truth, half)) for x in (other, 0.7 * truth)]
    torch.testing.assert_close(*losses)


def test_errors_far_below_a_quantisation_step_are_as_good_as_none():
    """No share of next to nothing: a scene that is just white has nothing to win."""
    truth, predicted = 1.0001 * WHITE, 1.0002 * WHITE
    assert error_of((predicted, WHITE, truth, ALL)).item() == pytest.approx(2, abs=0.05)
    assert error_of((2 * WHITE, WHITE, truth, 0 * ALL)).item() == pytest.approx(2)


@pytest.mark.parametrize("predicted", [0.0, 1e-12, 1.0, 1e5, "truth"])
@pytest.mark.parametrize("share", ["none", "some", "all"])
def test_gradients_are_finite(truth, clipped, predicted, share):
    x = truth.clone() if predicted == "truth" else torch.full_like(truth, predicted)
    mask = {"none": 0 * clipped, "some": clipped, "all": 0 * clipped + 1}[share]
    truth[0, :, 0, 0] = 0
    x.requires_grad_()
    loss = error_of((x, truth.clamp_max(1), truth, mask)) + everywhere_loss(x, truth)
    loss.backward()
    assert loss.isfinite() and x.grad.isfinite().all()


def test_the_loss_pulls_towards_the_truth(truth):
    for gain in (0.5, 2.0):
        x = (gain * truth).requires_grad_()
        everywhere_loss(x, truth).backward()
        assert (x.grad.sign() == (1 if gain > 1 else -1)).all()
    bright = halves(2, 2 * math.e)
    for gain in (0.5, 2.0):
        x = (gain * bright).requires_grad_()
        error_of((x, WHITE, bright, ALL)).backward()
        assert (x.grad.sign() == (1 if gain > 1 else -1)).all()


def test_local_structure_is_what_no_level_changes():
    flat = torch.full((2, 1, 40, 40), 3.0)
    mask = (torch.rand(flat.shape, generator=torch.Generator().manual_seed(0)) < 0.3).float()
    assert (local_structure(flat, mask)[mask > 0]).abs().max() < 1e-5
    spot = torch.zeros(1, 1, 64, 64)
    spot[..., 32, 32] = 1
    assert local_structure(spot, ALL)[..., 32, 32] > 0.99
    far = local_structure(halves(0, 1, 256)[:, :1], torch.ones(1, 1, 256, 256))  # stripes of 32 px
    assert far[..., :, 40:56].abs().mean() < 0.4
    assert torch.equal(local_structure(flat[..., :3], mask[..., :3]), flat[..., :3]), "too small to have any"


def test_the_uncertainty_loss_by_hand():
    """An error of half a nat, sigma a quarter: log 2 too small; or one nat: log 2 too large."""
    truth, one = torch.ones(1, 3, 8, 8), torch.ones(1, 1, 8, 8)
    predicted = math.exp(0.5) * truth

    def loss(sigma):
        return uncertainty_loss(sigma * one, predicted, truth, one).item()

    assert loss(0.25) == pytest.approx(0.683 * math.log(2), abs=3e-3)
    assert loss(1.0) == pytest.approx(0.317 * math.log(2), abs=3e-3)
    assert loss(0.5) < 3e-3
    assert uncertainty_loss(0.1 * one, predicted, truth, 0 * one) == 0


def test_the_uncertainty_that_costs_least_is_the_quantile_of_the_errors():
    """68.3 % of them are within it, whatever their distribution: here of heavy tails."""
    generator = torch.Generator().manual_seed(0)
    truth, mask = torch.ones(1, 3, 100, 100), torch.ones(1, 1, 100, 100)
    mask[..., :30] = 0
    error = 0.2 * (2 * torch.randn((1, 1, 100, 100), generator=generator)).sinh()
    predicted = error.exp().clamp(2**-9, 1e4) * truth
    sigmas = torch.logspace(-3, 1, 400)
    losses = torch.stack([uncertainty_loss(sigma * mask + 1e-3, predicted, truth, mask) for sigma in sigmas])
    best = sigmas[losses.argmin()] + 1e-3
    within = (predicted[:, :1].log().abs()[mask > 0] < best).float().mean()
    assert within.item() == pytest.approx(0.683, abs=0.01)


def test_the_uncertainty_loss_trains_sigma_alone(truth, clipped):
    predicted, sigma = (1.5 * truth).requires_grad_(), torch.full_like(clipped, 0.1).requires_grad_()
    uncertainty_loss(sigma, predicted, truth, clipped).backward()
    assert predicted.grad is None
    assert (sigma.grad[clipped > 0] < 0).all() and not sigma.grad[clipped == 0].any()


def test_few_clipped_pixels_count_as_if_two_per_cent_were():
    truth, few = torch.ones(1, 3, 20, 20), torch.zeros(1, 1, 20, 20)
    few[..., 0, 0] = 1  # an eighth of 2 %
    losses = [temporal_loss((truth, 2 * truth), (truth, truth), x).item() for x in (few, 0 * few + 1)]
    assert losses == pytest.approx([math.log(2) / 8, math.log(2)], rel=1e-4)


def test_every_sequence_s_flicker_weighs_the_same():
    """Twice as many clipped pixels, each with the same error, are no more of it."""
    truth = torch.ones(1, 3, 10, 10)
    few, many = torch.zeros(2, 1, 1, 10, 10)
    few[..., :2, :], many[..., :4, :] = 1, 1
    losses = [temporal_loss((truth, 2 * truth), (truth, truth), x) for x in (few, many)]
    torch.testing.assert_close(*losses)


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
    ones = PEAK * torch.ones_like(truth)
    assert loss(2 * ones, 3 * ones) == 0  # both beyond its range


def test_the_perceptual_loss_by_another_statement(vgg):
    """The features one layer after another, numbered as torchvision numbers them."""
    weights = torch.load(vgg, weights_only=True)
    image = torch.rand((1, 3, 16, 16), generator=torch.Generator().manual_seed(0))
    a, b = PEAK * image, 0.1 * image
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
