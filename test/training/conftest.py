import pytest

from rehdr_ros.network import RehdrConfig
from rehdr_ros.training.dataset import SimulatedSequences
from rehdr_ros.training.loop import TrainConfig


@pytest.fixture(scope="session")
def sequences():
    """Eight simulated training sequences of 4 frames of 32 x 32 px."""
    data = SimulatedSequences(8, size=32, frames=4, bins=5)
    return [data[i] for i in range(len(data))]


@pytest.fixture
def make_config():
    """A function that makes a training small enough for a test."""

    def make(**changes) -> TrainConfig:
        network = RehdrConfig(base_channels=4, scales=2, residual_blocks=1)
        small = {"network": network, "steps": 4, "batch": 2, "frames": 2, "size": 32, "workers": 0, "save_every": 2}
        return TrainConfig(**{**small, "device": "cpu", "precision": "float32", **changes})

    return make
