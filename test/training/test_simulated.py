from dataclasses import replace

import numpy as np
import pytest
import torch

from rehdr_ros.events import Events, voxel_grid
from rehdr_ros.simulation import EventCameraConfig, SimulationConfig, simulate
from rehdr_ros.simulation.procedural import procedural_canvas
from rehdr_ros.training.metrics import log2_luminance
from rehdr_ros.training.simulated import linearise, simulated_sequence

HEIGHT, WIDTH = 24, 32
CONFIG = SimulationConfig(width=WIDTH, height=HEIGHT, seconds=0.5, fps=20, seed=3, renders=200, speed=100)
PACKET_NS = 4_000_000


@pytest.fixture(scope="module")
def canvas():
    return procedural_canvas(1, 120, 160)


@pytest.fixture(scope="module")
def sequence(canvas):
    return simulated_sequence(CONFIG, canvas)


def test_a_sequence_has_its_shapes(sequence):
    assert len(sequence) == 10
    assert sequence.ldr.shape == sequence.truth.shape == (10, 3, HEIGHT, WIDTH)
    assert sequence.voxel.shape == (10, 5, HEIGHT, WIDTH)
    for value in (sequence.ldr, sequence.truth, sequence.voxel, sequence.gain, sequence.seconds):
        assert value.dtype == torch.float32 and value.isfinite().all()
    assert torch.equal(sequence.gain, torch.ones(10))


def test_the_first_grid_is_empty_as_after_a_reset(sequence):
    assert not sequence.voxel[0].any()
    assert all(grid.any() for grid in sequence.voxel[1:])


def test_frames_and_grids_are_those_of_the_recording(sequence, canvas):
    samples = list(simulate(CONFIG, canvas))
    for k, sample in enumerate(samples):
        np.testing.assert_array_equal(sequence.truth[k].permute(1, 2, 0), sample.truth)
        np.testing.assert_allclose(sequence.ldr[k].permute(1, 2, 0), (sample.ldr / 255) ** 2.2, atol=1e-6)
        if k:
            seconds = 1e-9 * (sample.stamp_ns - samples[k - 1].stamp_ns)
            assert sequence.seconds[k].item() == pytest.approx(seconds)
            grid = voxel_grid(sample.events, samples[k - 1].stamp_ns, sample.stamp_ns, 5, HEIGHT, WIDTH)
            np.testing.assert_array_equal(sequence.voxel[k], grid)


def test_well_exposed_pixels_show_the_truth(sequence):
    exposed = (sequence.truth > 0.02) & (sequence.truth < 0.8)
    assert exposed.float().mean() > 0.15
    assert (sequence.ldr - sequence.truth)[exposed].abs().max() < 0.1
    assert (sequence.ldr[sequence.truth > 1.3] == 1).all()


def test_events_go_with_the_change_of_the_log_luminance(sequence):
    log = log2_luminance(sequence.truth.permute(0, 2, 3, 1).numpy())
    change, sums = np.diff(log, axis=0), sequence.voxel[1:].sum(1).numpy()
    assert np.corrcoef(change.ravel(), sums.ravel())[0, 1] > 0.8


def test_display_values_are_linearised_by_the_camera_s_response():
    linear = linearise(torch.tensor([0, 100, 255], dtype=torch.uint8))
    torch.testing.assert_close(linear, torch.tensor([0.0, (100 / 255) ** 2.2, 1.0]))


def grids_by_packet(samples, k):
    """What each packet adds to frame k's grid of one bin, (pixels, packets), and the packets' numbers."""
    events = samples[k].events
    number = events.t // PACKET_NS
    grids = []
    for n in np.unique(number):
        of_packet = Events(*(getattr(events, name)[number == n] for name in "txyp"))
        interval = samples[k - 1].stamp_ns, samples[k].stamp_ns
        grids.append(voxel_grid(of_packet, *interval, 1, HEIGHT, WIDTH).ravel())
    return np.stack(grids, 1), np.unique(number)


@pytest.mark.parametrize("lost", [0.0, 0.3])
def test_packets_of_4_ms_are_lost_whole_and_in_their_share(canvas, lost):
    """Each grid is the sum of some packets: how much of each is in it is solved for."""
    config = replace(CONFIG, seconds=2.0, jitter=0.5, events=EventCameraConfig(contrast=0.1, noise_rate=20.0))
    samples = list(simulate(config, canvas))
    sequence = simulated_sequence(config, canvas, bins=1, lost=lost)
    fates = {}
    for k in range(1, len(samples)):
        packets, numbers = grids_by_packet(samples, k)
        shares = np.linalg.lstsq(packets, sequence.voxel[k].numpy().ravel(), rcond=None)[0]
        np.testing.assert_allclose(shares, np.rint(shares), atol=1e-3)
        for number, share in zip(numbers.tolist(), np.rint(shares), strict=True):
            assert fates.setdefault(number, share) == share  # also if a frame's stamp cuts the packet in two
    assert set(fates.values()) <= {0.0, 1.0} and len(fates) > 450
    assert 1 - np.mean(list(fates.values())) == pytest.approx(lost, abs=0.07)
    full = simulated_sequence(config, canvas, bins=1)
    assert torch.equal(full.ldr, sequence.ldr) and torch.equal(full.truth, sequence.truth)
