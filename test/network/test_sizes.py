import pytest
import torch

from rehdr_ros.network import Rehdr, RehdrConfig


@pytest.mark.parametrize("form", ["full", "compact"])
@pytest.mark.parametrize("radiance", ["ldr_white", "relative"])
@pytest.mark.parametrize("width, height", [(1, 1), (3, 17), (9, 8), (346, 260)])
def test_any_size_comes_out_as_it_went_in(make_network, stream, run, width, height, radiance, form):
    ldr, voxel = stream(height=height, width=width)
    hdr, _ = run(make_network(scales=3, radiance=radiance, form=form), ldr, voxel)
    assert hdr.shape == ldr.shape and hdr.isfinite().all()


@torch.inference_mode()
def test_full_hd():
    network = Rehdr(RehdrConfig(base_channels=4, scales=3, residual_blocks=1)).eval()
    hdr, state = network(torch.full((1, 3, 1080, 1920), 0.5), torch.zeros(1, 5, 1080, 1920))
    assert hdr.shape == (1, 3, 1080, 1920) and (hdr == 0.5).all()
    assert state["hidden_2"].shape == (1, 32, 135, 240)


def test_padding_does_not_change_what_is_there(make_network, stream, run):
    """Far from the padded border, a frame that needs padding gives what it gives as part of a larger one."""
    network = make_network(scales=1, radiance="relative", norm="batch")
    for encoder in network.body.image_encoders:  # without what looks at the whole image
        encoder.fusion.attention.squeeze.weight.zero_()
        encoder.fusion.image_projection.weight.zero_()
        encoder.fusion.event_projection.weight.zero_()
    ldr, voxel = stream(height=63, width=63)
    whole, _ = run(network, ldr, voxel)
    part, _ = run(network, ldr[..., :62, :62], voxel[..., :62, :62])
    torch.testing.assert_close(whole[..., :32, :32], part[..., :32, :32], rtol=0, atol=1e-5)
