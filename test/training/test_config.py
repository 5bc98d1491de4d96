from pathlib import Path

import pytest
import yaml

from rehdr_ros.errors import InputError
from rehdr_ros.network import RehdrConfig
from rehdr_ros.simulation.batch import Variety
from rehdr_ros.training.config import TrainConfig

SHIPPED = sorted((Path(__file__).resolve().parents[2] / "config").glob("[!r]*.yaml"))


def test_a_configuration_from_a_dictionary():
    network, variety = {"base_channels": 8, "norm": "group"}, {"fps": [10, 20], "bayer": 0}
    config = TrainConfig.from_dict({"steps": 7, "network": network, "variety": variety})
    assert (config.steps, config.network) == (7, RehdrConfig(base_channels=8, norm="group"))
    assert config.variety == Variety(fps=(10, 20), bayer=0)
    assert config.batch == TrainConfig().batch


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_shipped_configurations_load(path):
    config = TrainConfig.from_dict(yaml.safe_load(path.read_text()))
    assert config != TrainConfig()
    assert (config.radiance, config.start, config.recordings) == (None, None, ())


def test_there_are_shipped_configurations():
    assert {path.stem for path in SHIPPED} >= {"train_rehdr_t", "train_rehdr_s", "train_published"}


@pytest.mark.parametrize("given", ["walks", ["walks"], ("walks",)])
def test_one_place_of_recordings_or_several(given):
    assert TrainConfig.from_dict({"recordings": given}).recordings == ("walks",)


@pytest.mark.parametrize("values, name", [({"epochs": 3}, "epochs"), ({"network": {"depth": 3}}, "depth")])
def test_a_key_that_is_not_known_is_named(values, name):
    with pytest.raises(TypeError, match=name):
        TrainConfig.from_dict(values)


@pytest.mark.parametrize(
    "values, name",
    [
        ({"network": {"norm": "layer"}}, "norm"),
        ({"variety": {"fps": [20, 10]}}, "fps"),
        ({"precision": "bf16"}, "precision"),
        ({"steps": 0}, "steps"),
        ({"batch": "two"}, "batch"),
        ({"frames": 2.0}, "frames"),
        ({"size": -32}, "size"),
        ({"save_every": 0}, "save_every"),
        ({"learning_rate": -1e-3}, "learning_rate"),
        ({"learning_rate": "5e-4"}, "learning_rate"),
        ({"weight_decay": float("nan")}, "weight_decay"),
        ({"ema": 1.1}, "ema"),
        ({"temporal": None}, "temporal"),
        ({"perceptual": 0.5}, "perceptual needs vgg"),
        ({"uncertainty": 2}, "uncertainty"),
        ({"reuse": 0}, "reuse"),
        ({"minutes": -1}, "minutes"),
        ({"minutes": "long"}, "minutes"),
        ({"network": {"form": "tiny"}}, "form"),
        ({"workers": -1}, "workers"),
        ({"seed": -1}, "seed"),
        ({"seed": 0.5}, "seed"),
    ],
)
def test_a_value_that_cannot_be_is_named(values, name):
    with pytest.raises(InputError, match=name):
        TrainConfig.from_dict(values)
