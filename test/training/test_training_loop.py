import json

import pytest
import torch

from rehdr_ros.network import Rehdr, RehdrConfig, load_checkpoint, save_checkpoint
from rehdr_ros.training.dataset import collate
from rehdr_ros.training.loop import TrainConfig, Trainer, validate


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    network = {"base_channels": 4, "scales": 2, "residual_blocks": 1}
    values = {"network": network, "steps": 4, "batch": 2, "frames": 2, "size": 32, "workers": 0, "save_every": 2}
    config = TrainConfig.from_dict({**values, "device": "cpu", "precision": "float32"})
    trainer = Trainer(config, folder)
    trainer.run()
    return trainer, folder


def test_the_loss_of_a_repeated_batch_falls(tmp_path, make_config, sequences):
    trainer = Trainer(make_config(learning_rate=0.3), tmp_path)  # a hundredth of it in the first step of the warm-up
    batch = collate(sequences[:4])
    losses = [trainer._train_step(batch) for _ in range(8)]
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_every_weight_is_trained(tmp_path, make_config, sequences, precision):
    """After two steps (the first moves the prediction off its zeros), through the whole recurrence."""
    trainer = Trainer(make_config(learning_rate=0.1, precision=precision), tmp_path)
    before = {name: p.detach().clone() for name, p in trainer.network.named_parameters()}
    for _ in range(2):
        trainer._train_step(collate(sequences[:2]))
    for name, parameter in trainer.network.named_parameters():
        assert parameter.isfinite().all()
        assert not torch.equal(parameter, before[name]), name


def test_a_training_leaves_weights_and_a_log(uninterrupted):
    trainer, folder = uninterrupted
    network = load_checkpoint(folder / "weights.safetensors")
    assert network.config == trainer.network.config
    averaged = trainer.averaged().state_dict()
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, averaged[name], rtol=1e-3, atol=1e-6)
    log = log_of(folder)
    assert [entry["step"] for entry in log] == [2, 4]
    for name in ("loss", "ours_clipped_log2_rmse", "ours_without_events_mu_psnr", "ldr_mu_psnr"):
        assert all(entry[name] == entry[name] for entry in log)


def test_a_resumed_training_equals_the_uninterrupted_one(tmp_path, make_config, uninterrupted):
    whole, folder = uninterrupted
    Trainer(make_config(steps=2), tmp_path).run()
    resumed = Trainer(make_config(steps=4), tmp_path)
    resumed.run()
    for network in ("network", "averaged"):
        expected, actual = (
            (t.network if network == "network" else t.averaged()).state_dict() for t in (whole, resumed)
        )
        for name, value in expected.items():
            assert torch.equal(actual[name], value), name
    for a, b in zip(log_of(tmp_path), log_of(folder), strict=True):
        assert {**a, "seconds": 0} == {**b, "seconds": 0}


def test_a_finished_training_stays_as_it_is(make_config, uninterrupted):
    _, folder = uninterrupted
    before = (folder / "weights.safetensors").read_bytes()
    Trainer(make_config(), folder).run()
    assert (folder / "weights.safetensors").read_bytes() == before
    assert len(log_of(folder)) == 2


def test_fine_tuning_starts_from_a_checkpoint(tmp_path, make_config):
    torch.manual_seed(9)
    network = Rehdr(RehdrConfig(base_channels=3, scales=1, bins=2))
    save_checkpoint(network, tmp_path / "start.safetensors")
    trainer = Trainer(make_config(start=str(tmp_path / "start.safetensors")), tmp_path / "run")
    assert trainer.network.config == network.config and trainer.network.training
    for name, value in trainer.network.state_dict().items():
        assert torch.equal(value, network.state_dict()[name])
    assert all(p.requires_grad for p in trainer.network.parameters())


def test_the_same_seed_gives_the_same_start(tmp_path, make_config):
    a, b, c = (Trainer(make_config(seed=seed), tmp_path / str(k)).network for k, seed in enumerate((1, 1, 2)))
    assert torch.equal(a.image_head.conv.weight, b.image_head.conv.weight)
    assert not torch.equal(a.image_head.conv.weight, c.image_head.conv.weight)


def test_validation_measures_the_network_with_and_without_events(sequences):
    """An untrained network is the integrator: with events it beats the bare frames, without it doesn't gain."""
    scores = validate(Rehdr(RehdrConfig(base_channels=4, scales=1)).eval(), sequences)
    assert set(scores) == {
        f"{name}_{measure}"
        for name in ("ours", "ours_without_events", "ldr", "constant_fill")
        for measure in ("clipped_log2_rmse", "mu_psnr")
    }
    assert scores["ours_clipped_log2_rmse"] < scores["ours_without_events_clipped_log2_rmse"]
    assert scores["ours_clipped_log2_rmse"] < scores["ldr_clipped_log2_rmse"]


def test_a_configuration_from_a_dictionary():
    config = TrainConfig.from_dict({"steps": 7, "network": {"base_channels": 8, "norm": "group"}})
    assert (config.steps, config.network) == (7, RehdrConfig(base_channels=8, norm="group"))
    assert config.batch == TrainConfig().batch


@pytest.mark.parametrize(
    "values, name",
    [
        ({"epochs": 3}, "epochs"),
        ({"network": {"depth": 3}}, "depth"),
        ({"network": {"norm": "layer"}}, "norm"),
        ({"precision": "bf16"}, "precision"),
        ({"steps": 0}, "steps"),
        ({"batch": "two"}, "batch"),
        ({"learning_rate": -1e-3}, "learning_rate"),
        ({"learning_rate": "5e-4"}, "learning_rate"),
        ({"workers": -1}, "workers"),
    ],
)
def test_a_wrong_key_or_value_is_named(values, name):
    with pytest.raises((TypeError, ValueError), match=name):
        TrainConfig.from_dict(values)
