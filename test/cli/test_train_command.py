"""rehdr train: a configuration file, options for its keys, and what the trained network is good for."""

import json
from shutil import copytree

import pytest
import torch
import yaml

from rehdr_ros import safetensors_file
from rehdr_ros.network import load_checkpoint
from rehdr_ros.training.config import TrainConfig
from rehdr_ros.training.export import cached_folder

SMALL = {
    "network": {"base_channels": 4, "scales": 2, "residual_blocks": 1},
    "steps": 2,
    "batch": 1,
    "frames": 2,
    "size": 16,
    "save_every": 1,
    "precision": "float32",
}


@pytest.fixture
def train(rehdr, tmp_path):
    """A function that trains by a file with these keys in tmp_path / "run"."""

    def train(*options, **values):
        (tmp_path / "small.yaml").write_text(yaml.safe_dump({**SMALL, **values}))
        return rehdr("train", tmp_path / "small.yaml", "-o", tmp_path / "run", "--device", "cpu", *options)

    return train


def steps_in(folder) -> list[int]:
    return [json.loads(line)["step"] for line in (folder / "log.jsonl").read_text().splitlines()]


def assert_one_line(outcome, *words):
    assert outcome.code == 2
    (line,) = outcome.err.splitlines()
    assert all(str(word) in line for word in words), line


def test_a_training_on_recordings_can_be_evaluated_on_them(rehdr, train, simulated_bag, tmp_path):
    root = copytree(cached_folder(simulated_bag, 5), tmp_path / "walks")
    outcome = train("--recordings", root)
    assert outcome.code == 0, outcome.err
    weights = tmp_path / "run/weights.safetensors"
    assert f"weights in {weights}" in outcome.out
    assert load_checkpoint(weights).config == TrainConfig.from_dict(SMALL).network
    report = tmp_path / "report.json"
    assert rehdr("evaluate", "--recordings", root, "--weights", weights, "-o", report).code == 0
    mean = json.loads(report.read_text())["mean"]
    assert mean["weights"]["clipped_log2_rmse"] < mean["ldr"]["clipped_log2_rmse"]


@pytest.mark.skipif(
    torch.__version__ < "2", reason="PyTorch 1.13 reads no optimizer's state without running its code"
)
def test_more_steps_go_on_where_a_training_ended(train, tmp_path):
    assert train("--set", "steps=1").code == 0
    assert steps_in(tmp_path / "run") == [1]
    assert train().code == 0
    assert steps_in(tmp_path / "run") == [1, 2]


def test_keys_may_be_set_by_several_options(train, tmp_path):
    assert train("--set", "steps=1", "--set", "frames=3", "batch=2").code == 0
    recipe = json.loads(safetensors_file.read(tmp_path / "run/weights.safetensors")[1]["training"])
    assert (recipe["steps"], recipe["frames"], recipe["batch"]) == (1, 3, 2)


def test_a_start_is_fine_tuned(train, tiny_weights, tmp_path):
    assert train("--start", tiny_weights, "--set", "steps=1").code == 0
    tuned = load_checkpoint(tmp_path / "run/weights.safetensors")
    assert tuned.config == load_checkpoint(tiny_weights).config


@pytest.mark.parametrize("option", ["radiance", "recordings", "start"])
def test_options_stand_for_the_keys_of_the_file(train, tmp_path, option):
    outcome = train(f"--{option}", tmp_path / "of_the_option", **{option: str(tmp_path / "of_the_file")})
    assert_one_line(outcome, "of_the_option")
    assert_one_line(train(**{option: str(tmp_path / "of_the_file")}), "of_the_file")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("steps: [", "small.yaml"),
        ("just words", "small.yaml"),
        ("- steps", "small.yaml"),
        ("network: 3", "small.yaml"),
        ("2: 3", "small.yaml"),
        ("epochs: 3", "epochs"),
        ("steps: many", "steps"),
        ("network: {norm: layer}", "norm"),
        ("variety: {fps: fast}", "fps"),
        ("perceptual: 0.5", "vgg"),
        ("{perceptual: 0.5, vgg: /nowhere/vgg16.pth}", "/nowhere/vgg16.pth"),
        ("recordings: /nowhere/walks", "/nowhere/walks:"),
        ("device: toaster", "toaster"),
        (b"\xff\xfe\x00", "small.yaml"),
    ],
)
def test_a_file_that_cannot_be_is_refused_in_one_line(rehdr, tmp_path, text, word):
    path = tmp_path / "small.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert_one_line(rehdr("train", path, "-o", tmp_path / "run"), word)


@pytest.mark.parametrize("value", ["0", "-3", "many"])
def test_steps_are_a_positive_number(train, value):
    assert_one_line(train("--set", f"steps={value}"), "steps")


@pytest.mark.parametrize(("option", "word"), [("recordings=[a,b", "is no YAML"), ("size=1", "at least 8")])
def test_keys_that_can_not_be_are_refused_in_one_line(train, option, word):
    assert_one_line(train("--set", option), option.partition("=")[0], word)


def test_help_tells_of_several_gpus_and_of_resuming(rehdr):
    text = rehdr("train", "--help").out
    assert "\n  torchrun --standalone --nproc-per-node 2 --no-python rehdr train CONFIG -o OUTPUT\n" in text
    assert "goes on" in text and "None" not in text and "SUPPRESS" not in text
