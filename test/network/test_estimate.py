"""What a network says of its radiance: how sure it is, what each pixel rests on, how far it may be off."""

import math

import pytest
import torch

from rehdr_ros.network import Rehdr, RehdrConfig, Stream
from rehdr_ros.network.event_fit import EventFit
from rehdr_ros.network.head_start import Evidence
from rehdr_ros.network.head_start.composition import MEASURED_SIGMA, OUTPUTS, compose
from rehdr_ros.network.head_start.guesses import guessed
from rehdr_ros.network.head_start.reference import DRIFT, EXPOSED, clip_mask, initial_state
from rehdr_ros.network.integrator import CLIPPED
from rehdr_ros.products import CAUSES

STREAM = Stream(CLIPPED, torch.full((1,), 0.05))
FORMS = pytest.mark.parametrize("form", ["full", "compact"])
MEASURED, CARRIED, FILLED, LOST = range(4)


@torch.inference_mode()
def estimates(network, ldr, voxel):
    """Of every frame, and the states after them."""
    state, found = None, []
    for frame, grid in zip(ldr, voxel, strict=True):
        estimate, state = network.step(frame, grid, state)
        found.append((estimate, state))
    return found


@FORMS
def test_every_pixel_has_an_uncertainty_and_a_cause(make_network, stream, form):
    ldr, voxel = stream(frames=4, height=21, width=30, batch=2)
    for frame, (estimate, _) in zip(ldr, estimates(make_network(form=form), ldr, voxel), strict=True):
        assert estimate.radiance.shape == frame.shape
        assert estimate.sigma.shape == estimate.cause.shape == (2, 1, 21, 30)
        assert all(x.dtype == torch.float32 and x.isfinite().all() for x in estimate)
        assert (estimate.sigma > 0).all() and estimate.sigma.max() <= 4.01
        assert set(estimate.cause.unique().tolist()) <= set(map(float, range(len(CAUSES))))
        measured = (frame <= CLIPPED).all(1, keepdim=True)
        assert 0.1 < measured.float().mean() < 0.9
        assert torch.equal(estimate.cause == MEASURED, measured)
        where = measured.expand_as(frame)
        assert torch.equal(estimate.radiance[where], frame[where])


def test_relative_networks_say_neither(make_network, stream):
    for estimate, _ in estimates(make_network(radiance="relative"), *stream()):
        assert estimate.sigma is None and estimate.cause is None


@FORMS
def test_the_radiance_is_that_of_forward(make_network, stream, run, form):
    network, (ldr, voxel) = make_network(form=form), stream(frames=3)
    radiance, state = run(network, ldr, voxel)
    found = estimates(network, ldr, voxel)
    assert torch.equal(torch.stack([estimate.radiance for estimate, _ in found]), radiance)
    assert all(torch.equal(found[-1][1][name], state[name]) for name in state)


@FORMS
@torch.inference_mode()
def test_an_untrained_network_returns_the_shrunk_head_start(stream, form):
    """By another statement: from what is likely to its excess, by its noise; blended in where it clips."""
    network = Rehdr(RehdrConfig(base_channels=4, form=form)).eval()
    ldr, voxel = stream(frames=4, height=24, width=32)
    shares, state = [], network.initial_state(1, 24, 32)
    for frame, grid in zip(ldr, voxel, strict=True):
        _, _, (_, evidence) = network.prepare(frame, grid, state, STREAM)
        estimate, state = network.step(frame, grid, state)
        believed = (2 * evidence.fit.explained - 0.8).clamp(0, 1)
        share = (believed * 10 / (10 + state["variance"])).clamp(0.02, 0.98)
        shown = frame.clamp_min(2.0**-10).log()
        excess = share * (state["log_radiance"] - shown) + (1 - share) * evidence.likely
        target = (shown + excess).exp()
        expected = frame + clip_mask(frame, CLIPPED) * (target - frame).clamp_min(0)
        torch.testing.assert_close(estimate.radiance, expected, rtol=1e-4, atol=1e-5)
        shares.append(share.flatten())
    shares = torch.cat(shares)
    assert shares.max() - shares.min() > 0.1, "the less is known, the less is taken"


@FORMS
@torch.inference_mode()
@pytest.mark.parametrize("size", [1.0, 30.0, 1e4])
def test_whatever_the_features_the_radiance_is_bounded(stream, form, size):
    """At least the frame, at most the head start, or what is likely and a guess's detail, and the unknown."""
    network = Rehdr(RehdrConfig(base_channels=4, form=form)).eval()
    ldr, voxel = stream(frames=4, height=24, width=32)
    generator, state = torch.Generator().manual_seed(0), network.initial_state(1, 24, 32)
    for frame, grid in zip(ldr, voxel, strict=True):
        _, new, known = network.prepare(frame, grid, state, STREAM)
        features = size * torch.randn((1, OUTPUTS, 24, 32), generator=generator)
        estimate = network.compose(features, frame, known, STREAM)
        log, variance = new["log_radiance"], new["variance"]
        excess = log - known[1].shown
        detail = guessed(variance) * (excess.mean(1, keepdim=True) - known[1].level)
        ground = excess - detail
        bound = 0.1 + 0.7 * variance.clamp_max(1).sqrt() + 0.6 * ground.clamp_min(0)
        radiance = estimate.radiance
        assert (radiance >= frame - 1e-6).all()
        above = torch.maximum(ground, known[1].likely) + detail.clamp_min(0) + bound
        most = torch.maximum((known[1].shown + above).exp(), frame)
        assert (radiance <= most * (1 + 1e-4)).all()
        assert (estimate.sigma >= 0.0099).all() and (estimate.sigma <= 4.0001).all()
        clipped = frame == 1
        if size > 100:  # the bound is reached, not just kept
            assert (radiance[clipped] > 0.99 * most[clipped]).float().mean() > 0.1
        state |= new


@torch.inference_mode()
def test_where_the_events_are_good_the_network_can_do_little():
    """A pixel that clips just now, by a little: whatever the features, a quarter more or less."""
    network = Rehdr(RehdrConfig(base_channels=4, form="compact")).eval()
    before, after = torch.full((1, 3, 16, 16), 0.9), torch.ones(1, 3, 16, 16)
    voxel = torch.zeros(2, 1, 5, 16, 16)
    voxel[1, 0, 2] = 1
    _, state = network(before, voxel[0])
    _, _, known = network.prepare(after, voxel[1], state, STREAM)
    logs = [
        network.compose(torch.full((1, OUTPUTS, 16, 16), sign * 1e4), after, known, STREAM).radiance.log()
        for sign in (-1, 1)
    ]
    variance, excess = EXPOSED + 0.02 + DRIFT * 0.05, 0.25 + math.log(0.9)
    assert (logs[0] == 0).all()
    expected = excess + 0.1 + 0.7 * variance**0.5 + 0.6 * excess
    torch.testing.assert_close(logs[1], torch.full_like(logs[1], expected), rtol=0, atol=2e-3)


@torch.inference_mode()
@pytest.mark.parametrize(
    ("explained", "excess", "variance", "share"),
    [(0.9, 2.0, 0.2, 0.5), (0.8, 2.0, 0.2, 0.25), (0.7, 2.0, 0.2, 0), (0.95, 0.5, 0.2, 0), (0.95, 2, 1.5, 0)],
)
def test_far_above_white_a_network_gets_half_the_say(explained, excess, variance, share):
    """Where events carry a pixel and explain the frames; it says: nothing is above white."""
    ldr = torch.ones(1, 3, 4, 4)
    known = initial_state(ldr)
    known = known._replace(log_radiance=known.log_radiance + excess, variance=0 * known.variance + variance)
    fit = EventFit(*(torch.full((1, 1, 1, 1), x) for x in (0.25, 0.25, 0.02, explained)))
    trust = torch.full((1, 1, 4, 4), 0.5)
    likely, level = torch.zeros(1, 1, 1, 1), torch.zeros_like(trust)
    evidence = Evidence(fit, torch.zeros_like(ldr), trust, trust, likely, level)
    features = torch.zeros(1, OUTPUTS, 4, 4)
    features[:, [1, 3]] = -1e4  # its shares of the head start: nothing
    made = compose(features, ldr, known, evidence, CLIPPED, 0.0).radiance.log()
    torch.testing.assert_close(made, torch.full_like(made, share * excess), rtol=0, atol=1e-4)


@pytest.mark.parametrize("variance", [2, 0.2])
@pytest.mark.parametrize("level_share, detail_share", [(0, 1), (1, 0), (0, 0)])
def test_a_guess_s_detail_has_a_share_of_its_own(level_share, detail_share, variance):
    """What carried pixels have above their surroundings goes with the rest."""
    ldr, detail = torch.ones(1, 3, 4, 4), torch.zeros(1, 1, 4, 4)
    detail[..., 1] = 0.3
    known = initial_state(ldr)
    known = known._replace(log_radiance=0.5 + detail.expand_as(ldr), variance=0 * known.variance + variance)
    fit = EventFit(*(torch.full((1, 1, 1, 1), x) for x in (0.25, 0.25, 0.02, 0.6)))
    trust, likely = torch.full_like(detail, 0.5), torch.full((1, 1, 1, 1), 0.4)
    evidence = Evidence(fit, torch.zeros_like(ldr), trust, trust, likely, torch.full_like(detail, 0.5))
    features = torch.zeros(1, OUTPUTS, 4, 4)
    features[:, 1], features[:, 3] = (2e4 * share - 1e4 for share in (level_share, detail_share))
    made = compose(features, ldr, known, evidence, CLIPPED, None).radiance.log()
    expected = (0.5 if level_share else 0.4) + (detail_share if variance > 1 else level_share) * detail
    torch.testing.assert_close(made, expected.expand_as(ldr), rtol=0, atol=1e-4)


@torch.inference_mode()
def test_causes_by_where_a_pixel_s_light_is_known_from():
    """A lamp whose rim events carried; its inside was never exposed; far off a wall that never was either."""
    network = Rehdr(RehdrConfig(base_channels=4, form="compact")).eval()
    ldr = torch.ones(1, 3, 64, 320)
    ldr[..., :8] = 0.5
    voxel = torch.zeros(1, 5, 64, 320)
    _, state = network(ldr, voxel)
    ldr[..., 4:] = 1.0  # what was exposed at 4..7 brightens
    voxel[:, 2, :, 4:8] = 4
    cause = network.step(ldr, voxel, state)[0].cause[0, 0, 32]
    assert cause[:4].tolist() == [MEASURED] * 4
    assert cause[4:8].tolist() == [CARRIED] * 4
    assert cause[8:40].tolist() == [FILLED] * 32
    assert cause[300:].tolist() == [LOST] * 20
    assert (cause[4:].diff() >= 0).all()


@torch.inference_mode()
def test_the_uncertainty_of_an_untrained_network_goes_with_what_is_known():
    """Most where nothing is known; of measured pixels their noise, which weighs more in the dark."""
    network = Rehdr(RehdrConfig(base_channels=4, form="compact")).eval()
    ldr = torch.full((1, 3, 64, 64), 0.5)
    ldr[..., 1:4] = 0.01
    ldr[..., 8:] = 1.0
    voxel = torch.zeros(1, 5, 64, 64)
    _, state = network(ldr, voxel)
    ldr[..., 4:8] = 1.0
    estimate, state = network.step(ldr, voxel, state)
    sigma = estimate.sigma[0, 0, 32]
    least, over = MEASURED_SIGMA
    assert sigma[0].item() == pytest.approx(least + over / (0.5 + 2**-10), rel=1e-4)
    assert sigma[2].item() == pytest.approx(least + over / (0.01 + 2**-10), rel=1e-4)
    variance = state["variance"][0, 0, 32]
    torch.testing.assert_close(sigma[4:], 0.05 + 0.5 * variance[4:].clamp_max(1).sqrt())
    assert sigma[4] < sigma[10] and (variance[8:] > 1).all() and (variance[8:].diff() >= 0).all()


def test_the_uncertainty_is_the_network_s_own(make_network, stream):
    """Another output for it gives another sigma and the same radiance."""
    network, (ldr, voxel) = make_network(form="compact"), stream()
    before = estimates(network, ldr, voxel)
    bias = network.body.prediction.bias.view(OUTPUTS, 4)  # four pixels a channel, to be shuffled
    bias[2] += 0.5
    after = estimates(network, ldr, voxel)
    for frame, (a, _), (b, _) in zip(ldr, before, after, strict=True):
        assert torch.equal(a.radiance, b.radiance)
        clipped = (frame > CLIPPED).any(1, keepdim=True)
        ratio = b.sigma / a.sigma
        assert (ratio[~clipped] == 1).all()
        inside = clipped & (a.sigma > 0.0101) & (b.sigma < 3.99)
        torch.testing.assert_close(ratio[inside], torch.full_like(ratio[inside], math.exp(0.5)))
        assert inside.any()
