import json

import numpy as np
import pytest

from rehdr_ros.cli.exports import onnx
from rehdr_ros.network import Rehdr, RehdrConfig, save_checkpoint
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


@pytest.mark.parametrize("name", ["../../evil", "a/b", "..", ".hidden"])
def test_a_name_that_is_a_path_is_refused(rehdr, bag, tmp_path, name):
    done = rehdr("export", bag[0], "-o", tmp_path / "one/two/root", "--name", name)
    assert done.code == 2 and f"'{name}' is no name of a sequence" in done.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", [["--bins", "0"], ["nowhere"], ["--size", "32x24"], ["--response", "2"]])
def test_wrong_input_is_told(rehdr, bag, tmp_path, wrong):
    source = [] if "nowhere" in wrong else [bag[0]]
    done = rehdr("export", *source, *wrong, "-o", tmp_path / "root")
    assert done.code == 2 and len(done.err.splitlines()) == 1


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    config = RehdrConfig(base_channels=4, scales=1, residual_blocks=1, fusion="published")
    save_checkpoint(Rehdr(config), path)
    return path


def test_weights_become_an_onnx_file(rehdr, weights, tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    path = tmp_path / "new" / "net.onnx"
    done = rehdr("export", weights, "-o", path, "--size", "25x12", "--response", "1.8")
    assert done.code == 0 and done.err == ""
    assert "25x12" in done.out and "over 5 frames onnxruntime differs from PyTorch by " in done.out
    metadata = {each.key: each.value for each in onnx.load(path).metadata_props}
    assert float(metadata["clipped_from"]) == pytest.approx((250 / 255) ** 1.8)
    assert json.loads(metadata["config"])["base_channels"] == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "net.onnx"], "need the --size"),
        (["-o", "net.onnx", "--size", "0x9"], "give WIDTHxHEIGHT"),
        (["-o", "net", "--size", "30x21"], "must end in .onnx"),
        (["-o", "net.onnx", "--size", "30x21", "--bins", "3"], "--bins goes with bags"),
        (["-o", "a.onnx", "--size", "9x9", "--response", "nothing"], "nor a readable file (not found)"),
    ],
)
def test_wrong_use_of_weights_is_told(rehdr, weights, arguments, words):
    done = rehdr("export", weights, *arguments)
    assert done.code == 2 and len(done.err.splitlines()) == 1 and words in done.err


def test_weights_that_are_not_there_are_told(rehdr, tmp_path):
    done = rehdr("export", "nowhere.safetensors", "-o", tmp_path / "net.onnx", "--size", "30x21")
    assert done.code == 2 and "nowhere.safetensors" in done.err and "shipped name" in done.err


@pytest.mark.parametrize("relative", [1e-3, float("nan")])
def test_a_file_that_computes_something_else_is_not_written(rehdr, weights, tmp_path, monkeypatch, relative):
    monkeypatch.setattr(onnx, "export_onnx", lambda network, path, *_: path.write_bytes(b"wrong"))
    monkeypatch.setattr(onnx, "difference", lambda *_: relative)
    monkeypatch.setattr(onnx, "find_spec", str)
    done = rehdr("export", weights, "-o", tmp_path / "net.onnx", "--size", "30x21")
    assert done.code == 1 and "onnxruntime differs from PyTorch" in done.err
    assert not (tmp_path / "net.onnx").exists()


def test_without_onnxruntime_nothing_is_checked(rehdr, weights, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx, "export_onnx", lambda network, path, *_: path.write_bytes(b"unchecked"))
    monkeypatch.setattr(onnx, "find_spec", lambda name: None)
    done = rehdr("export", weights, "-o", tmp_path / "net.onnx", "--size", "30x21")
    assert done.code == 0 and "not checked" in done.out and (tmp_path / "net.onnx").exists()
