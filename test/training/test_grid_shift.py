import numpy as np
import pytest
import torch

from rehdr_ros.events import Events, voxel_grid
from rehdr_ros.training.grid_shift import shifted_sums

TIMES = np.array([0.0, 0.04, 0.09, 0.12, 0.17, 0.2])


def grids_of(t, bins, shift=0.0):
    """(T, B, 1, 1) of ON events at times t, s, of frames at TIMES + shift."""
    at = np.rint((TIMES + shift) * 1e9).astype(np.int64)
    events = Events(np.rint(t * 1e9).astype(np.int64), np.zeros(len(t)), np.zeros(len(t)), np.ones(len(t)))
    rows = [voxel_grid(events, t0, t1, bins, 1, 1) for t0, t1 in zip(at, at[1:], strict=False)]
    return torch.from_numpy(np.stack([0 * rows[0], *rows]))


def sums(grids, latency):
    seconds = torch.from_numpy(np.diff(TIMES, prepend=0.0)).float()
    return shifted_sums(grids, seconds, latency)[:, 0, 0].numpy()


@pytest.mark.parametrize("latency", [-0.02, -0.003, 0.0, 0.007, 0.02])
@pytest.mark.parametrize("bins", [2, 5, 17])
def test_steady_events_are_shifted_exactly(bins, latency):
    steady = np.arange(-0.05, 0.25, 1e-5) + 5e-6
    expected = grids_of(steady, bins, latency).sum(1)[2:-1, 0, 0].numpy()
    np.testing.assert_allclose(sums(grids_of(steady, bins), latency), expected, rtol=0.01)


@pytest.mark.parametrize("latency", [-0.02, -0.003, 0.007, 0.02])
def test_bursts_are_shifted_about_right(latency):
    """The finer the bins, the closer."""
    random = np.random.default_rng(0)
    bursts = (random.uniform(0, 0.2, 12)[:, None] + random.normal(0, 0.002, 400)).ravel()
    expected = grids_of(bursts, 5, latency).sum(1)[2:-1, 0, 0].numpy()
    unshifted = np.abs(sums(grids_of(bursts, 5), 0.0) - expected).sum()
    errors = [np.abs(sums(grids_of(bursts, bins), latency) - expected).sum() for bins in (5, 65)]
    assert errors[1] < 0.05 * unshifted and errors[1] < errors[0]


def test_without_a_shift_they_are_the_sums_of_inner_frames():
    grids = torch.rand(6, 5, 2, 3)
    seconds = torch.full((6,), 0.04)
    torch.testing.assert_close(shifted_sums(grids, seconds, 0.0), grids.sum(1)[2:-1])
    torch.testing.assert_close(shifted_sums(grids, seconds, 9.0), grids.sum(1)[3:])
    torch.testing.assert_close(shifted_sums(grids, seconds, -9.0), grids.sum(1)[1:-2])
