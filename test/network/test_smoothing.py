import numpy as np
import pytest
import torch

from rehdr_ros.network.event_fit import EventFit, initial_sums, read
from rehdr_ros.network.head_start import compose
from rehdr_ros.network.head_start.composition import OUTPUTS, Calibration
from rehdr_ros.network.head_start.reference import Evidence, initial_state
from rehdr_ros.network.head_start.smoothing import smoothed
from rehdr_ros.network.integrator import CLIPPED

SIZE, LEVEL, NOISE = 48, 2.0, 0.2  # px; nat above white; nat
GOOD, POOR = (EventFit(*torch.tensor([0.25, 0.25, 0.02, r]).view(4, 1, 1, 1, 1)) for r in (0.95, 0.6))
WHITE = torch.ones(1, 3, SIZE, SIZE)
NOISY = NOISE * torch.randn((1, 1, SIZE, SIZE), generator=torch.Generator().manual_seed(0))
VARIANCE = torch.full((1, 1, SIZE, SIZE), NOISE**2)


def errors(radiance, level):
    return (radiance.log() - level).mean(1)


def test_noise_of_each_pixel_s_own_is_less_and_the_level_stays():
    plain = (LEVEL + NOISY).exp() * WHITE
    smooth = smoothed(plain, WHITE, VARIANCE, GOOD, CLIPPED)
    assert errors(smooth, LEVEL).std() < 0.85 * errors(plain, LEVEL).std()
    assert abs(errors(smooth, LEVEL).mean()) < 0.02


def test_an_edge_of_several_deviations_stays():
    level = torch.where(torch.arange(SIZE) < SIZE // 2, LEVEL, LEVEL + 1.5)
    plain = (level + NOISY).exp() * WHITE
    at = slice(SIZE // 2 - 1, SIZE // 2 + 1)
    smooth = smoothed(plain, WHITE, VARIANCE, GOOD, CLIPPED)
    before, after = (errors(x, level)[..., at] for x in (plain, smooth))
    assert after.std() < 0.85 * before.std() and abs(after.mean(1)).max() < 0.08


def test_what_is_sure_or_measured_and_what_a_poor_sensor_says_stays():
    plain = (LEVEL + NOISY).exp() * WHITE
    assert torch.equal(smoothed(plain, WHITE, 0 * VARIANCE, GOOD, CLIPPED), plain)
    assert torch.equal(smoothed(plain, WHITE, VARIANCE, POOR, CLIPPED), plain)
    ldr = torch.tensor([1.0, 0.9, 1.0]).view(1, 3, 1, 1) * WHITE
    smooth = smoothed(plain, ldr, VARIANCE, GOOD, CLIPPED)
    assert torch.equal(smooth[:, 1], plain[:, 1]) and not torch.isclose(smooth[:, 0], plain[:, 0]).all()


def test_it_is_never_darker_than_the_frame():
    plain = (LEVEL * (NOISY > 0)).exp() * WHITE
    assert (smoothed(plain, WHITE, 100 * VARIANCE, GOOD, CLIPPED) >= 1).all()


@pytest.mark.parametrize("height, width", [(1, 1), (1, 7), (6, 5)])
def test_both_forms_are_equal(height, width):
    generator = np.random.default_rng(0)
    ldr = torch.from_numpy(generator.uniform(0.8, 1.1, (1, 3, height, width)).astype("float32")).clamp_max(1)
    state = initial_state(ldr)
    random = torch.from_numpy(generator.uniform(0.01, 1, (1, 4, height, width)).astype("float32"))
    state = state._replace(log_radiance=ldr.log() + 2 * random[:, :3], variance=random[:, 3:])
    trust = torch.ones(1, 1, height, width)
    likely, level = torch.full((1, 1, 1, 1), 0.1), torch.zeros_like(trust)
    evidence = Evidence(GOOD, ldr.log(), trust, trust, likely, level)
    features = torch.zeros(1, OUTPUTS, height, width)
    calibration = Calibration()
    plain, slow, fast = (
        compose(features, ldr, state, evidence, CLIPPED, *how).radiance
        for how in ((None, False), (calibration, False), (calibration, True))
    )
    torch.testing.assert_close(fast, slow, rtol=1e-5, atol=1e-6)
    assert height * width == 1 or not torch.isclose(plain, slow).all()


def test_before_an_event_has_been_seen_nothing_is_smoothed():
    plain = (LEVEL + NOISY).exp() * WHITE
    fit = read(initial_sums(WHITE))
    torch.testing.assert_close(smoothed(plain, WHITE, VARIANCE, fit, CLIPPED), plain)
