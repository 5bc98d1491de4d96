import numpy as np
import pytest
import torch

from rehdr_ros.network.integrator import RECENCY_DECAY, initial_state, integrate, luminance
from rehdr_ros.simulation import EventCameraConfig, SimulationConfig
from rehdr_ros.training.simulated import simulated_sequence

WHITE = (250 / 255) ** 2.2
PRIOR = 0.25


def grey(values):
    """One row of grey pixels as an LDR frame (1, 3, 1, W)."""
    return torch.tensor(values, dtype=torch.float32).expand(1, 3, 1, -1)


def sums(values):
    """Polarity sums, spread over 5 bins (1, 5, 1, W)."""
    shares = torch.tensor([0.1, 0.2, 0.4, 0.2, 0.1]).view(1, 5, 1, 1)
    return shares * torch.tensor(values, dtype=torch.float32).expand(1, 1, 1, -1)


def test_nothing_was_exposed_before_the_first_frame():
    state = initial_state(grey([0.5, 0.5]))
    assert not state.log_luminance.any() and not state.recency.any()
    _, threshold = integrate(grey([0.5, 0.5]), sums([3, -3]), state)
    assert threshold.item() == pytest.approx(PRIOR)


def test_it_is_what_the_statement_in_numpy_says():
    rng = np.random.default_rng(0)
    ldr = np.minimum(rng.lognormal(-0.7, 1.2, (8, 2, 3, 9, 11)), 1).astype(np.float32)
    voxel = rng.integers(-3, 4, (8, 2, 5, 9, 11)).astype(np.float32)
    log_luminance, recency = np.zeros((2, 9, 11)), np.zeros((2, 9, 11))
    state = initial_state(torch.from_numpy(ldr[0]))
    for frame, grid in zip(ldr, voxel, strict=True):
        state, threshold = integrate(torch.from_numpy(frame), torch.from_numpy(grid), state)
        seen = np.log(np.maximum(np.tensordot((0.2126, 0.7152, 0.0722), frame, (0, 1)), 2**-10))
        exposed = frame.max(1) < WHITE
        carried = np.maximum(log_luminance + threshold.numpy()[:, 0] * grid.sum(1), seen)
        log_luminance = np.where(exposed, seen, np.minimum(carried, 10))
        recency = np.where(exposed, 1, recency * RECENCY_DECAY)
        np.testing.assert_allclose(state.log_luminance[:, 0], log_luminance, atol=1e-4)
        np.testing.assert_allclose(state.recency[:, 0], recency, rtol=1e-5)
    assert 0.1 < exposed.mean() < 0.9


def test_an_exposed_pixel_is_read_whatever_the_events_say():
    state, _ = integrate(grey([0.25, 0.5]), sums([9, -9]), initial_state(grey([0, 0])))
    state, _ = integrate(grey([0.5, 0.25]), sums([-5, 5]), state)
    torch.testing.assert_close(state.log_luminance.flatten(), torch.tensor([0.5, 0.25]).log())


def test_a_clipped_pixel_is_carried_on_but_not_below_what_the_frame_shows():
    state, _ = integrate(grey([0.5, 0.5, 0.9]), sums([0, 0, 0]), initial_state(grey([0, 0, 0])))
    state, threshold = integrate(grey([1, 1, 1]), sums([8, -8, 4]), state)
    c = threshold.item()
    expected = [np.log(0.5) + 8 * c, 0.0, np.log(0.9) + 4 * c]
    np.testing.assert_allclose(state.log_luminance.flatten(), expected, atol=1e-5)
    state, threshold = integrate(grey([1, 1, 1]), sums([4, 4, -20]), state)
    expected = [expected[0] + 4 * c, 4 * c, 0.0]
    np.testing.assert_allclose(state.log_luminance.flatten(), expected, atol=1e-5)
    np.testing.assert_allclose(state.recency.flatten(), RECENCY_DECAY**2)


def test_one_clipped_channel_makes_a_clipped_pixel():
    ldr = torch.tensor([1.0, 0.2, 0.2]).view(1, 3, 1, 1)
    state, threshold = integrate(ldr, sums([10]), initial_state(ldr))
    assert state.log_luminance.item() == pytest.approx(10 * threshold.item(), abs=1e-5)
    state, _ = integrate(ldr, sums([-100]), state)
    assert state.log_luminance.item() == pytest.approx(luminance(ldr).log().item(), abs=1e-5)


@pytest.mark.parametrize("contrast", [0.1, 0.2, 0.4])
def test_the_threshold_is_found_from_pixels_exposed_twice(contrast):
    """An ideal sensor, whose references move by whole thresholds."""
    rng = np.random.default_rng(1)
    level = rng.uniform(np.log(0.05), np.log(0.5), (40, 50))
    reference = level.copy()
    state = initial_state(torch.zeros(1, 3, 40, 50))
    estimates = []
    for _ in range(25):
        count = np.trunc((level - reference) / contrast)
        reference += count * contrast
        frame = torch.from_numpy(np.exp(level)).float().expand(1, 3, 40, 50)
        state, threshold = integrate(frame, torch.from_numpy(count).float().expand(1, 1, 40, 50), state)
        estimates.append(threshold.item())
        level = np.clip(level + rng.normal(0, 1.0, level.shape), np.log(0.03), np.log(0.85))
    assert estimates[0] == pytest.approx(PRIOR)
    assert estimates[-1] == pytest.approx(contrast, rel=0.15)


@pytest.mark.parametrize("contrast", [0.1, 0.25, 0.45])
def test_the_threshold_of_a_simulated_sensor_is_found(contrast):
    events = EventCameraConfig(contrast=contrast, mismatch=0.04)
    values = {"width": 64, "height": 64, "seconds": 0.75, "seed": 1, "speed": 200, "renders": 200}
    config = SimulationConfig(**values, events=events)
    sequence = simulated_sequence(config, bins=1)
    state = None
    for frame, grid in zip(sequence.ldr, sequence.voxel, strict=True):
        state, threshold = integrate(frame[None], grid[None], state or initial_state(frame[None]))
    assert threshold.item() == pytest.approx(contrast, rel=0.25)


def test_clipped_pixels_say_nothing_about_the_threshold():
    state, _ = integrate(grey([0.5] * 50), sums([0] * 50), initial_state(grey([0] * 50)))
    _, threshold = integrate(grey([1.0] * 50), sums([30] * 50), state)
    assert threshold.item() == pytest.approx(PRIOR)


def test_pixels_just_exposed_again_say_nothing_about_the_threshold():
    """Their level before is a guess: here one channel was clipped, at a luminance well within the range."""
    red = torch.tensor([1.0, 0.3, 0.3]).view(1, 3, 1, 1).expand(1, 3, 1, 50)
    state, _ = integrate(grey([0.4] * 50), sums([0] * 50), initial_state(red))
    state, _ = integrate(red, sums([0] * 50), state)
    _, threshold = integrate(grey([0.8] * 50), sums([30] * 50), state)
    assert threshold.item() == pytest.approx(PRIOR)


def test_a_hot_pixel_says_nothing_about_the_threshold():
    noise = torch.randint(-2, 3, (1, 1, 20, 20), generator=torch.Generator().manual_seed(0)).float()
    hot = noise.clone()
    hot[..., 10, 10] = 1e6
    thresholds = []
    for grid in (noise, hot):
        state = initial_state(torch.zeros(1, 3, 20, 20))
        level = torch.full((1, 3, 20, 20), 0.3)
        state, _ = integrate(level, torch.zeros_like(grid), state)
        _, threshold = integrate(level * (0.3 * noise).exp(), grid, state)
        thresholds.append(threshold.item())
    assert thresholds[0] == pytest.approx(0.3, rel=0.05)
    assert thresholds[1] == pytest.approx(thresholds[0], rel=0.01)
