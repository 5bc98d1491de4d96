"""What pixels miss while they are blind is told by the stream, and given back where events explain it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rehdr_ros.events import Events
from rehdr_ros.network import load_checkpoint
from rehdr_ros.network.event_fit import EventFit
from rehdr_ros.reconstruction import HdrPipeline, PipelineConfig
from rehdr_ros.reconstruction.dead_time import DeadTime, corrected
from rehdr_ros.simulation import EventCameraConfig, SimulationConfig, simulate
from rehdr_ros.simulation.sensors import EventCamera
from rehdr_ros.training.metrics import score
from rehdr_ros.training.sequence import collate
from rehdr_ros.training.simulated import simulated_sequence
from rehdr_ros.training.unrolled import radiances
from rehdr_ros.training.validation import encoded, images

WIDTH, HEIGHT = 8, 6
US = 1000
FAST = SimulationConfig(
    width=64, height=64, seconds=1.0, fps=20, seed=9, speed=150, events=EventCameraConfig(refractory_us=500)
)


def bursts(gap_us, count=40, pixels=WIDTH * HEIGHT, start=1_000_000):
    """Every pixel fires `count` times."""
    t = start + np.arange(count).repeat(pixels) * gap_us * US
    pixel = np.tile(np.arange(pixels), count)
    return Events(t, pixel % WIDTH, pixel // WIDTH, np.ones(len(t)))


def fit(explained):
    return EventFit(*(torch.full((1, 1, 1, 1), x) for x in (0.25, 0.25, 0.02, explained)))


def seconds(value):
    return torch.tensor([float(value)])


def test_it_is_told_by_how_soon_pixels_fire_again():
    dead_time = DeadTime()
    assert dead_time.ns == 0
    dead_time.add(bursts(400), WIDTH, HEIGHT)
    assert dead_time.ns == pytest.approx(0.75 * 400 * US, rel=0.1)
    dead_time.forget()
    assert dead_time.ns == 0


def test_a_few_stray_events_do_not_shorten_it():
    t = np.array([10, 11]) * US
    dead_time = DeadTime()
    dead_time.add(bursts(400), WIDTH, HEIGHT)
    dead_time.add(Events(t, [3, 3], [3, 3], [1, 0]), WIDTH, HEIGHT)
    assert dead_time.ns == pytest.approx(0.75 * 400 * US, rel=0.1)


def test_events_outside_the_sensor_and_single_ones_tell_nothing():
    dead_time = DeadTime()
    dead_time.add(Events([1, 2, 3], [WIDTH, WIDTH, 0], [0, 0, HEIGHT], [1, 1, 1]), WIDTH, HEIGHT)
    dead_time.add(Events([1, 2], [0, 1], [0, 0], [1, 1]), WIDTH, HEIGHT)
    assert dead_time.ns == 0


def test_of_n_events_a_share_of_n_dead_times_is_missing():
    grid = torch.tensor([10.0, -5.0, 0.0]).view(1, 1, 1, 3)
    made = corrected(grid, seconds(0.1), seconds(0.002), fit(0.95))
    torch.testing.assert_close(made.flatten(), torch.tensor([10 / 0.8, -5 / 0.9, 0.0]))


@pytest.mark.parametrize(
    ("counts", "filled"), [([0, 8, 0, 0, 0], 1), ([0, 4, 4, 0, 0], 2), ([2, 2, 2, 2, 2], 5)]
)
def test_a_burst_misses_more_than_the_same_events_spread(counts, filled):
    grid = torch.tensor(counts, dtype=torch.float32).view(1, 5, 1, 1)
    made = corrected(grid, seconds(0.04), seconds(0.0005), fit(1.0))
    torch.testing.assert_close(made, grid / (1 - grid.sum() * 0.0005 / (0.01 * filled)))


def test_the_kernel_and_pytorch_agree():
    grid, times = 3 * torch.randn(2, 5, 7, 9), (torch.tensor([0.05, 0.02]), torch.tensor([2e-4, 1e-3]))
    plain = corrected(grid.clone().requires_grad_(), *times, fit(0.85)).detach()
    torch.testing.assert_close(corrected(grid, *times, fit(0.85)), plain)


def test_no_more_than_half_is_missing():
    grid = torch.full((1, 1, 1, 1), 300.0)
    assert corrected(grid, seconds(0.01), seconds(0.002), fit(1.0)).item() == pytest.approx(600)
    assert corrected(grid, seconds(0), seconds(0.002), fit(1.0)).isfinite().all()


@pytest.mark.parametrize("of", [None, fit(0.0), fit(0.7)])
def test_events_that_explain_little_stay_as_they_are(of):
    grid = torch.randn(1, 5, 3, 4)
    assert torch.equal(corrected(grid, seconds(0.05), seconds(0.001), of), grid)


@pytest.mark.parametrize("dead_us", [100, 300, 500])
def test_a_sensor_that_is_blind_after_its_events(dead_us):
    """Log radiance rises by 3 nat in 10 ms, evenly."""
    config = EventCameraConfig(0.25, mismatch=0, refractory_us=dead_us, noise_rate=0, leak_rate=0, dark=1e-6)
    sensor = EventCamera(1, 1, config, np.random.default_rng(0))
    sensor.step(0, np.ones((1, 1, 3), np.float32))
    count = len(sensor.step(10_000 * US, np.full((1, 1, 3), np.exp(3), np.float32)))
    grid = torch.full((1, 1, 1, 1), float(count))
    made = corrected(grid, seconds(0.01), seconds(dead_us * 1e-6), fit(1.0)).item()
    assert abs(0.25 * made - 3) < 0.5 * abs(0.25 * count - 3)


def test_sequences_come_nearer_to_the_truth():
    sequence = simulated_sequence(FAST)
    assert 3e-4 < sequence.dead_time.item() < 1e-3
    network, errors = load_checkpoint("rehdr_s"), []
    for blind in (torch.zeros(()), sequence.dead_time):
        batch = collate([replace(sequence, dead_time=blind)])
        with torch.inference_mode():
            made = images(radiances(network, batch))[0]
        truth = images(batch.truth)[0]
        errors.append(score(list(made), encoded(truth), list(truth))["clipped_log2_rmse"])
    assert errors[1] < 0.97 * errors[0]


def test_a_pipeline_gives_back_what_sequences_do():
    """But for the deblurring and the latency, which sequences don't have."""
    settings = {"policy": "all", "engine": "pytorch", "precision": "float32", "event_latency": 0.0}
    pipeline = HdrPipeline(PipelineConfig(weights="rehdr_s", deblur=False, **settings))
    made = []
    for sample in simulate(FAST):
        pipeline.add_events(sample.events)
        pipeline.add_frame(sample.stamp_ns, sample.ldr)
        pipeline.add_events(sample.tail)
    made = [frame.radiance for frame in pipeline.take(flush=True)]
    sequence = simulated_sequence(FAST)
    with torch.inference_mode():
        expected = images(radiances(load_checkpoint("rehdr_s"), collate([sequence])))[0]
    # The stream learns its dead time on the way, a sequence has that of its whole.
    log = np.abs(np.log(np.stack(made[10:]) + 1e-3) - np.log(np.stack(expected[10:]) + 1e-3))
    assert np.quantile(log, 0.99) < 0.1
    assert len(made) == len(expected)
