import math

import pytest
import torch

from rehdr_ros.network import Rehdr, RehdrConfig
from rehdr_ros.network.head_start.reference import DRIFT, EXPOSED
from rehdr_ros.network.head_start.tones import MOST

SOFT = (245 / 255) ** 2.2  # from here on the output turns from the frame to the prediction


def test_what_is_well_exposed_comes_out_as_it_went_in(make_network, stream, run):
    ldr, voxel = stream(frames=4)
    hdr, _ = run(make_network(), ldr, voxel)
    exposed = ldr < SOFT
    assert 0.3 < exposed.float().mean() < 0.9
    assert torch.equal(hdr[exposed], ldr[exposed])
    assert (hdr[~exposed] > 1.01).float().mean() > 0.2


def test_the_output_is_never_darker_than_the_frame(make_network, stream, run):
    ldr, voxel = stream(frames=4)
    hdr, _ = run(make_network(), ldr, voxel - 2)
    assert (hdr >= ldr - 1e-6).all()


@pytest.mark.parametrize("radiance", ["ldr_white", "relative"])
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_empty_grids_and_flat_frames_give_no_nan(make_network, stream, run, radiance, level):
    ldr, voxel = stream(frames=3)
    hdr, _ = run(make_network(radiance=radiance), torch.full_like(ldr, level), torch.zeros_like(voxel))
    assert hdr.isfinite().all() and (hdr >= 0).all()


@pytest.mark.parametrize("form", ["full", "compact"])
def test_an_untrained_network_returns_what_the_events_say_as_far_as_they_are_trusted(run, form):
    """By hand, with what is assumed before the first event: a threshold of 0.25, R^2 0.7, 0.02 nat^2 each.

    R^2 0.7 is believed by 0.6; what is left is what is likely of pixels of which none nearly clip.
    """
    network = Rehdr(RehdrConfig(base_channels=4, form=form)).eval()
    before, after = torch.full((1, 3, 8, 8), 0.5), torch.ones(1, 3, 8, 8)
    voxel = torch.zeros(2, 1, 5, 8, 8)
    voxel[1, 0, 2] = 6
    hdr, _ = run(network, torch.stack((before, after)), voxel)
    excess, variance = 6 * 0.25 + math.log(0.5), EXPOSED + 6 * 0.02 + DRIFT * 0.05
    share = 0.6 * 10 / (10 + variance)
    expected = share * excess + (1 - share) * MOST
    torch.testing.assert_close(hdr[1].log(), torch.full((1, 3, 8, 8), expected), rtol=0, atol=1e-3)


@pytest.mark.parametrize("polarity", [1, -1])
@pytest.mark.parametrize("clipped", [True, False])
def test_one_hot_pixel_spoils_only_its_surroundings(make_network, stream, run, polarity, clipped):
    ldr, voxel = stream(frames=3, height=96, width=96)
    ldr[..., 48, 48] = 1.0 if clipped else 0.3
    hot = voxel.clone()
    hot[:, :, 2, 48, 48] = polarity * 1e6
    network = make_network()
    plain, _ = run(network, ldr, voxel)
    spoilt, state = run(network, ldr, hot)
    assert spoilt.isfinite().all() and state["log_radiance"].abs().max() <= 10
    change = (spoilt.log() - plain.log()).abs()
    change[..., 16:81, 16:81] = 0  # what the convolutions of three frames reach
    assert change.max() < 0.03  # what the averages over the whole image pass on


@torch.inference_mode()
@pytest.mark.parametrize("gain", [0.25, 4.0])
def test_a_known_change_of_exposure_keeps_the_absolute_radiance(gain):
    """A still scene, first well exposed, then clipped at both exposures: what is remembered must not move."""
    network = Rehdr(RehdrConfig(base_channels=4, scales=2)).eval()
    scene = torch.full((1, 3, 8, 8), 6.0)  # in units of the second frame's white
    voxel = torch.zeros(1, 5, 8, 8)

    def remembered(state):
        return state["log_radiance"].exp()

    _, state = network(scene / 10, voxel)
    state = network.rescale(state, 10.0)
    hdr, state = network(scene.clamp_max(1), voxel, state)
    torch.testing.assert_close(remembered(state), scene)
    assert (hdr > 3).all()
    hdr, state = network((scene * gain).clamp_max(1), voxel, network.rescale(state, gain))
    torch.testing.assert_close(remembered(state), gain * scene)
    assert (hdr > 3 * min(gain, 1)).all()


def test_relative_networks_know_no_exposure(make_network, stream, run):
    network = make_network(radiance="relative")
    _, state = run(network, *stream())
    assert network.rescale(state, 4.0) == state


@pytest.mark.skipif(torch.__version__ < "2", reason="before PyTorch 2 a CPU's bfloat16 is refused")
@pytest.mark.parametrize(
    "config", [{}, {"radiance": "relative", "fusion": "published"}, {"recurrent": "convgru"}]
)
def test_bfloat16_stays_close_to_float32(make_network, stream, run, config):
    ldr, voxel = stream(frames=10)
    full = make_network(**config)
    half = make_network(**config).to(torch.bfloat16)
    expected, _ = run(full, ldr, voxel)
    actual, state = run(half, ldr, voxel)
    assert actual.dtype == torch.float32 and state["hidden_0"].dtype == torch.bfloat16
    for a, b in zip(actual, expected, strict=True):  # in log: an error of the network is one of the exponent
        assert (a.clamp_min(1e-3).log() - b.clamp_min(1e-3).log()).abs().mean() < 0.03
