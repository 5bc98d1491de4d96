import os
from pathlib import Path

# Before torch comes, here and in what tests start: threads that wait spin otherwise, on cores others need.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("unhurried", deadline=None)  # the first example may compile a kernel
settings.load_profile("unhurried")

if "PYTEST_XDIST_WORKER" in os.environ:  # the others have the other cores
    import torch

    torch.set_num_threads(1)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real recordings and expected values, which is not part of the repository."""
    path = ROOT / os.environ.get("REHDR_SHARED", "../shared")
    if not path.is_dir():
        pytest.skip(f"no real recordings at {path} (REHDR_SHARED names their folder)")
    return path


@pytest.fixture(scope="session")
def assert_same_events():
    """A function that fails unless two Events are equal in values, order and dtypes."""

    def check(actual, expected):
        for name in "txyp":
            a, b = getattr(actual, name), getattr(expected, name)
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b, err_msg=name)

    return check


@pytest.fixture(scope="session")
def planes_of():
    """A function that gives a decoded yuv420p10le frame of any release of PyAV as (3 H / 2, W) uint16."""

    def planes_of(frame) -> np.ndarray:
        padded = [
            np.frombuffer(plane, "<u2").reshape(plane.height, -1)[:, : plane.width] for plane in frame.planes
        ]
        return np.concatenate([plane.reshape(-1, frame.width) for plane in padded])

    return planes_of


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory) -> Path:
    """A small untrained checkpoint: its radiance is what the event integrator says."""
    import torch

    from rehdr_ros.network import Rehdr, RehdrConfig, save_checkpoint

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_checkpoint(Rehdr(RehdrConfig(base_channels=4)), path)
    return path


@pytest.fixture(scope="session")
def simulated_bag(tmp_path_factory) -> Path:
    """One second at 10 Hz, 64x48, with events and truth."""
    from rehdr_ros.simulation import SimulationConfig
    from rehdr_ros.simulation.bag import write_bag

    path = tmp_path_factory.mktemp("simulated") / "bag"
    for _ in write_bag(SimulationConfig(width=64, height=48, seconds=1.0, fps=10.0, seed=3), path):
        pass
    return path
