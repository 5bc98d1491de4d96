from itertools import pairwise

import pytest
import torch

from rehdr_ros.network import RehdrConfig
from rehdr_ros.simulation import SimulationConfig
from rehdr_ros.simulation.procedural import procedural_canvas
from rehdr_ros.training.config import TrainConfig
from rehdr_ros.training.simulated import simulated_sequence


@pytest.fixture(scope="session")
def sequences():
    """Four simulated sequences of 4 frames of 32 x 32 px."""
    config = {"width": 32, "height": 32, "seconds": 0.4, "fps": 10.0, "speed": 100.0, "clipped": 0.3}
    return [
        simulated_sequence(SimulationConfig(**config, seed=seed), procedural_canvas(seed, 96, 128))
        for seed in range(4)
    ]


@pytest.fixture(scope="session")
def vgg(tmp_path_factory):
    """A file such as torchvision's VGG16 weights are, with random values in its first ten convolutions."""
    generator = torch.Generator().manual_seed(0)
    widths = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512)
    state = {}
    for number, (inputs, outputs) in zip((0, 2, 5, 7, 10, 12, 14, 17, 19, 21), pairwise(widths), strict=True):
        weight = torch.randn((outputs, inputs, 3, 3), generator=generator) * (4 / (9 * inputs)) ** 0.5
        state |= {f"features.{number}.weight": weight, f"features.{number}.bias": 0.01 * torch.ones(outputs)}
    state["classifier.0.weight"] = torch.zeros(4, 4)  # there is more in it
    path = tmp_path_factory.mktemp("vgg") / "vgg16.pth"
    torch.save(state, path)
    return path


@pytest.fixture
def make_config():
    """A function that makes a training small enough for a test."""

    def make(**changes) -> TrainConfig:
        network = RehdrConfig(base_channels=4, scales=2, residual_blocks=1)
        small = {"network": network, "steps": 4, "batch": 2, "frames": 2, "size": 32, "save_every": 2}
        return TrainConfig(**{**small, "device": "cpu", "precision": "float32", **changes})

    return make
