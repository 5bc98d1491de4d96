import numpy as np
import pytest

from rehdr_ros.recordings import read_exr
from rehdr_ros.simulation import SimulationConfig
from rehdr_ros.simulation.bag import write_bag


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "bag"
    config = SimulationConfig(width=32, height=24, seconds=0.3, fps=10, seed=2, renders=20, speed=100)
    return path, list(write_bag(config, path, "evt3"))


def test_a_bag_becomes_the_files_of_a_training(rehdr, bag, tmp_path):
    path, samples = bag
    done = rehdr("export", path, "-o", tmp_path / "root", "--name", "tunnel", "--bins", "3")
    assert done.code == 0 and "3 frames" in done.out
    for k, sample in enumerate(samples):
        np.testing.assert_array_equal(read_exr(tmp_path / f"root/HDR/tunnel/{k:06d}.exr"), sample.truth)
    assert np.load(tmp_path / "root/event/tunnel/000002.npy").shape == (3, 24, 32)
    again = rehdr("export", path, "-o", tmp_path / "root", "--name", "tunnel")
    assert again.code == 2 and "tunnel exists" in again.err


@pytest.mark.parametrize("wrong", [["--bins", "0"], ["nowhere"]])
def test_wrong_input_is_told(rehdr, bag, tmp_path, wrong):
    source = [] if "nowhere" in wrong else [bag[0]]
    done = rehdr("export", *source, *wrong, "-o", tmp_path / "root")
    assert done.code == 2 and len(done.err.splitlines()) == 1
