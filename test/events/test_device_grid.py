import numpy as np
import pytest
import torch

from rehdr_ros.events import Events, Registration, voxel_grid
from rehdr_ros.events.device_grid import DeviceVoxelGrid

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")),
]
EPOCH = 1_700_000_000 * 10**9
ROTATED = Registration.from_homography((64, 48), (50, 40), [0.8, -0.2, 6, 0.2, 0.8, -3, 0, 0, 1])
REGISTRATIONS = {
    "none": None,
    "rotated": ROTATED,
    "finer": Registration.scaled((64, 48), (100, 90)),
    "masked": ROTATED.without(np.random.default_rng(1).random((48, 64)) < 0.1),
}


@pytest.fixture(scope="module")
def events():
    rng = np.random.default_rng(0)
    columns = rng.integers(0, 70, 20_000), rng.integers(0, 52, 20_000), rng.integers(0, 2, 20_000)
    return Events(EPOCH + rng.integers(-100, 40_100, 20_000) * 1000, *columns)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", REGISTRATIONS)
@pytest.mark.parametrize("bins", [1, 2, 5])
@pytest.mark.parametrize("exposures", [(0, 0), (3_000_000, 7_000_001), (0, 5)])
def test_it_is_the_grid_of_the_kernels(events, device, name, bins, exposures):
    registration = REGISTRATIONS[name]
    width, height = (64, 48) if registration is None else registration.frame_size
    interval = EPOCH, EPOCH + 40_000_000
    options = {"registration": registration, "exposures": exposures}
    expected = voxel_grid(events, *interval, bins, height, width, **options)
    build = DeviceVoxelGrid(torch.device(device))
    for _ in range(2):  # with tables that are there already, too
        grid = build(events, *interval, bins, height, width, registration, exposures)
        assert grid.device.type == device and grid.dtype == torch.float32
        np.testing.assert_allclose(grid.cpu().numpy(), expected, atol=2e-5)


@pytest.mark.parametrize("device", DEVICES)
def test_no_events_and_empty_intervals_are_zero(events, device):
    build = DeviceVoxelGrid(torch.device(device))
    for given, t0, t1 in ((Events.empty(), 0, 1), (events, EPOCH, EPOCH), (events, EPOCH + 5, EPOCH)):
        grid = build(given, t0, t1, 5, 48, 64)
        assert grid.shape == (5, 48, 64) and not grid.any()
