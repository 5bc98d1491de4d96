import pytest
import torch

from rehdr_ros.network.fusion import ModalityFusion, PublishedFusion


@pytest.fixture
def joint():
    return torch.randn((2, 8, 1, 1), generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_the_modality_fusion_weighs_the_two_against_each_other(joint):
    torch.manual_seed(0)
    image, events = ModalityFusion(8).weights(joint)
    torch.testing.assert_close(image + events, torch.ones_like(image))
    assert ((image - events).abs() > 0.01).float().mean() > 0.5


@torch.no_grad()
@pytest.mark.parametrize("chosen", [0, 1])
def test_the_modality_fusion_can_choose_one(joint, chosen):
    fusion = ModalityFusion(8).eval()
    fusion.image_projection.bias.fill_(100.0 if chosen == 0 else -100.0)
    image, events, other = torch.randn((3, 2, 8, 6, 6), generator=torch.Generator().manual_seed(1))
    ldr = torch.rand((2, 3, 6, 6))
    weights = fusion.weights(joint)
    assert (weights[chosen] > 0.999).all() and (weights[1 - chosen] < 0.001).all()
    # Beyond its say in the weights, what isn't chosen doesn't get through.
    fusion.joint.weight.zero_()
    expected = fusion(image, events, ldr)
    ignored = fusion(image, other, ldr) if chosen == 0 else fusion(other, events, ldr)
    used = fusion(other, events, ldr) if chosen == 0 else fusion(image, other, ldr)
    torch.testing.assert_close(ignored, expected)
    assert not torch.allclose(used, expected, atol=1e-2)


@torch.no_grad()
@pytest.mark.parametrize("seed", range(3))
def test_the_published_fusion_cannot_choose(joint, seed):
    torch.manual_seed(seed)
    image, events = PublishedFusion(8).weights(joint)
    assert torch.equal(image, events)
    # The softmax runs over both copies: each weight is half of what it would be alone.
    torch.testing.assert_close(image.sum(1), torch.full_like(image.sum(1), 0.5))
