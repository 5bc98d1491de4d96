import json
import math
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
import yaml

from rehdr_ros.errors import InputError
from rehdr_ros.network import Rehdr, RehdrConfig, load_checkpoint, save_checkpoint
from rehdr_ros.simulation.batch import BatchSimulator, Variety
from rehdr_ros.training import deadline, loop
from rehdr_ros.training.batches import SimulatedBatches
from rehdr_ros.training.config import TrainConfig
from rehdr_ros.training.export import cached_folder
from rehdr_ros.training.loop import Trainer
from rehdr_ros.training.sequence import collate
from rehdr_ros.training.unrolled import Unrolled

ROOT = Path(__file__).resolve().parents[2]
WIDER = RehdrConfig(base_channels=8, scales=2, residual_blocks=1)  # no layer's ReLUs are all shut
PUBLISHED = replace(WIDER, fusion="published", radiance="relative", voxel=None)
COMPACT = replace(WIDER, form="compact")


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def assert_equal_weights(actual, expected, **tolerance):
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(actual[name], value, **{"rtol": 0, "atol": 0, **tolerance}, msg=name)


def train_in_part(config, folder, steps):
    """What a training leaves that is killed after its save at that step."""
    trainer = Trainer(config, folder)
    batches = trainer.batches()
    for number in range(steps):
        trainer.train_step(batches[number])
    trainer.save()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """A training to the end, and its folder; as of make_config."""
    folder = tmp_path_factory.mktemp("training")
    network = RehdrConfig(base_channels=4, scales=2, residual_blocks=1)
    small = {"network": network, "steps": 4, "batch": 2, "frames": 2, "size": 32, "save_every": 2}
    trainer = Trainer(TrainConfig(**small, device="cpu", precision="float32"), folder)
    trainer.run()
    return trainer, folder


def test_the_loss_of_a_repeated_batch_falls(tmp_path, make_config, sequences):
    trainer = Trainer(make_config(learning_rate=3e-3, steps=20), tmp_path)
    batch = collate(sequences)
    losses = [trainer.train_step(batch) for _ in range(20)]
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("network", [COMPACT, WIDER, PUBLISHED], ids=["compact", "full", "published"])
def test_every_weight_is_trained(tmp_path, make_config, sequences, precision, network):
    """After two steps (the first moves the prediction off its zeros), through the whole recurrence."""
    config = make_config(network=network, learning_rate=0.1, weight_decay=0.0, precision=precision)
    trainer = Trainer(config, tmp_path)
    before = {name: p.detach().clone() for name, p in trainer.network.named_parameters()}
    for _ in range(2):
        trainer.train_step(collate(sequences[:2]))
    for name, parameter in trainer.network.named_parameters():
        assert parameter.isfinite().all()
        assert not torch.equal(parameter, before[name]), name


def test_the_perceptual_loss_takes_part(tmp_path, make_config, sequences, vgg):
    batch = collate(sequences[:1])
    losses = {
        weight: Trainer(make_config(perceptual=weight, vgg=str(vgg)), tmp_path).train_step(batch).item()
        for weight in (0.0, 0.1, 1.0)
    }
    assert losses[1.0] - losses[0.0] == pytest.approx(10 * (losses[0.1] - losses[0.0]), rel=1e-2)
    assert losses[1.0] > losses[0.0]


def test_a_training_leaves_weights_and_a_log(uninterrupted):
    trainer, folder = uninterrupted
    network = load_checkpoint(folder / "weights.safetensors")
    assert network.config == trainer.network.config
    assert_equal_weights(network.state_dict(), trainer.averaged().state_dict(), rtol=1e-3, atol=1e-6)
    log = log_of(folder)
    assert [entry["step"] for entry in log] == [2, 4]
    for name in ("loss", "ours_clipped_log2_rmse", "ours_without_events_mu_psnr", "ldr_mu_psnr"):
        assert all(entry[name] == entry[name] for entry in log)


def test_a_resumed_training_equals_the_uninterrupted_one(tmp_path, make_config, uninterrupted):
    whole, folder = uninterrupted
    train_in_part(make_config(), tmp_path, 2)
    resumed = Trainer(make_config(), tmp_path)
    resumed.run()
    assert_equal_weights(resumed.network.state_dict(), whole.network.state_dict())
    assert_equal_weights(resumed.averaged().state_dict(), whole.averaged().state_dict())
    (entry,), (_, expected) = log_of(tmp_path), log_of(folder)
    assert {**entry, "seconds": 0} == {**expected, "seconds": 0}


def test_a_finished_training_stays_as_it_is(make_config, uninterrupted):
    _, folder = uninterrupted
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    Trainer(make_config(), folder).run()
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_weights_that_could_not_be_written_come_with_the_next_run(tmp_path, make_config, uninterrupted):
    weights = tmp_path / "weights.safetensors"
    weights.mkdir()
    trainer = Trainer(make_config(save_every=4), tmp_path)
    with pytest.raises(OSError, match="weights.safetensors"):
        trainer.run()
    weights.rmdir()
    Trainer(make_config(save_every=4), tmp_path).run()
    whole, _ = uninterrupted
    expected = whole.averaged().state_dict()
    assert_equal_weights(load_checkpoint(weights).state_dict(), expected, rtol=1e-3, atol=1e-6)


def test_a_finished_training_whose_state_was_copied_gives_its_weights(tmp_path, make_config, uninterrupted):
    _, folder = uninterrupted
    (tmp_path / "state.pt").write_bytes((folder / "state.pt").read_bytes())
    Trainer(make_config(), tmp_path).run()
    weights = [load_checkpoint(each / "weights.safetensors").state_dict() for each in (tmp_path, folder)]
    assert_equal_weights(*weights)


def test_a_resumed_training_gets_the_batches_that_are_used_again(tmp_path, make_config):
    config = make_config(reuse=2, steps=6, save_every=6)
    whole = Trainer(config, tmp_path / "whole")
    whole.run()
    train_in_part(config, tmp_path / "cut", 4)
    resumed = Trainer(config, tmp_path / "cut")
    resumed.run()
    assert_equal_weights(resumed.network.state_dict(), whole.network.state_dict())


def test_a_network_that_draws_numbers_is_resumed_to_the_same_weights(tmp_path, make_config, monkeypatch):
    step = Rehdr.step

    def dropping(self, ldr, *others, **more):
        return step(self, F.dropout(ldr, 0.5, self.training), *others, **more)

    monkeypatch.setattr(Rehdr, "step", dropping)
    whole = Trainer(make_config(), tmp_path / "whole")
    whole.run()
    train_in_part(make_config(), tmp_path / "cut", 2)
    resumed = Trainer(make_config(), tmp_path / "cut")
    resumed.run()
    assert_equal_weights(resumed.network.state_dict(), whole.network.state_dict())


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"learning_rate": 1e-3},
        {"size": 40},
        {"network": WIDER},
        {"variety": Variety(twins=0.25)},
        {"start": "rehdr_t"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_another_training_does_not_go_on(tmp_path, make_config, changes):
    train_in_part(make_config(), tmp_path, 1)
    before = (tmp_path / "state.pt").read_bytes()
    with pytest.raises(InputError, match=f"state.pt is of a training with another .*{next(iter(changes))}"):
        Trainer(make_config(**changes), tmp_path)
    assert (tmp_path / "state.pt").read_bytes() == before


def test_longer_and_elsewhere_a_training_goes_on(tmp_path, make_config):
    """Its checkpoint to start from lies elsewhere, too."""
    network = Rehdr(RehdrConfig(base_channels=3, scales=1))
    save_checkpoint(network, tmp_path / "here.safetensors")
    shutil.copy(tmp_path / "here.safetensors", tmp_path / "there.safetensors")
    train_in_part(make_config(start=str(tmp_path / "here.safetensors")), tmp_path / "run", 1)
    others = {"steps": 9, "save_every": 3, "minutes": 5, "start": str(tmp_path / "there.safetensors")}
    assert Trainer(make_config(**others), tmp_path / "run").step == 1
    with pytest.raises(InputError, match="another start"):
        Trainer(make_config(network=network.config), tmp_path / "run")


def test_a_state_of_a_release_with_fewer_settings_goes_on(tmp_path, make_config):
    train_in_part(make_config(), tmp_path, 1)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    del state["recipe"]["margin"]
    torch.save(state, tmp_path / "state.pt")
    assert Trainer(make_config(), tmp_path).step == 1


@pytest.mark.parametrize("damage", ["half", "start", "other", "empty"])
def test_a_state_that_can_not_be_read_is_told(tmp_path, make_config, damage):
    train_in_part(make_config(), tmp_path, 1)
    path = tmp_path / "state.pt"
    content = path.read_bytes()
    if damage == "other":
        torch.save({"processes": 1, "step": 1}, path)
    else:
        path.write_bytes(content[: {"half": len(content) // 2, "start": 5000, "empty": 0}[damage]])
    with pytest.raises(InputError, match="state.pt is no state of this training"):
        Trainer(make_config(), tmp_path)


def learning_rates(trainer):
    """Those of the steps that it takes from now on, as they are taken."""
    rates, step = [], trainer.optimizer.step

    def noting():
        rates.append(trainer.optimizer.param_groups[0]["lr"])
        return step()

    trainer.optimizer.step = noting
    return rates


def test_the_learning_rate_warms_up_and_falls_to_a_hundredth(tmp_path, make_config):
    config = make_config(steps=40, batch=1, reuse=8, size=8, learning_rate=0.01, save_every=40)
    trainer = Trainer(config, tmp_path)
    rates = learning_rates(trainer)
    trainer.run()
    assert rates[:4] == pytest.approx([0.0025, 0.005, 0.0075, 0.01])
    assert rates[4] == pytest.approx(0.01) and rates[22] == pytest.approx(0.505e-2)
    assert all(a > b for a, b in zip(rates[4:], rates[5:], strict=False))
    assert 1e-4 < rates[-1] < 2e-4


@dataclass
class Clock:
    """Where a training's time goes, in s: no other passes."""

    now: float = 0.0
    start: float = 0.0
    first_batch: float = 0.0
    batch: float = 1.0
    first_step: float = 0.0
    step: float = 2.0
    save: float = 5.0
    validation: float = 20.0

    def spend(self, name):
        first = getattr(self, f"first_{name}", 0.0)
        self.now += getattr(self, name) + first
        if first:
            setattr(self, f"first_{name}", 0.0)


@pytest.fixture
def timed(tmp_path, make_config, monkeypatch):
    """A function that trains two minutes by a clock; gives the trainer, its learning rates and the time."""

    def timed(clock, **changes):
        monkeypatch.setattr(deadline, "time", SimpleNamespace(monotonic=lambda: clock.now))
        small = {"batch": 1, "reuse": 8, "size": 8, "steps": 1000, "save_every": 1000, "learning_rate": 0.01}
        trainer = Trainer(make_config(minutes=2, **{**small, **changes}), tmp_path)
        for owner, method, name in (
            (Trainer, "train_step", "step"),
            (Trainer, "save", "save"),
            (SimulatedBatches, "__getitem__", "batch"),
        ):
            original = getattr(owner, method)

            def spending(*args, original=original, name=name):
                clock.spend(name)
                return original(*args)

            monkeypatch.setattr(owner, method, spending)

        def validated(network, batches):
            for _ in batches:
                clock.now += clock.validation
            return {"measures": 1.0}

        monkeypatch.setattr(loop, "validate", validated)
        trainer.step = 100  # the warm-up is over
        clock.now += clock.start
        rates = learning_rates(trainer)
        trainer.run()
        state = torch.load(tmp_path / "state.pt", weights_only=True)
        assert state["step"] == trainer.step == 100 + len(rates)
        assert load_checkpoint(tmp_path / "weights.safetensors").config == trainer.network.config
        return rates

    return timed


def test_a_training_of_minutes_ends_in_time_with_its_schedule_and_a_save(tmp_path, timed):
    """A step with its batch takes 3 s, the saves before and after them 5: 110 s are left."""
    clock = Clock()
    rates = timed(clock)
    assert len(rates) == 36 and clock.now <= 120
    (entry,) = log_of(tmp_path)
    assert entry["step"] == 136
    assert rates[0] == pytest.approx(0.01, rel=0.01) and rates[17] == pytest.approx(0.505e-2, rel=0.05)
    assert all(a > b for a, b in zip(rates, rates[1:], strict=False)) and 1e-4 < rates[-1] < 3e-4


@pytest.mark.parametrize(
    ("times", "steps"),
    [
        ({"start": 130.0}, 0),  # what comes before the first step takes longer
        ({"first_batch": 130.0}, 0),
        ({"first_batch": 50.0}, 20),
        ({"first_step": 50.0}, 20),  # the compilation; not taken for the steps to come
        ({"save": 40.0}, 13),
        ({"save": 59.0}, 0),  # but for the save there would be time
        ({"step": 30.0}, 3),
    ],
    ids=str,
)
def test_a_training_of_minutes_ends_in_time_whatever_takes_it(timed, times, steps):
    clock = Clock(**times)
    assert abs(len(timed(clock)) - steps) <= 1
    assert clock.now <= max(120, sum(times.values()) + 2 * clock.save + clock.batch)


def test_measures_are_taken_where_the_time_is_enough(timed, tmp_path):
    """Of 30 s: the first in the first half of the time, others where they still end in time."""
    clock = Clock(batch=0.25, step=0.75, save=1.0, validation=10.0)
    timed(clock, save_every=20)
    assert clock.now <= 120
    assert ["measures" in entry for entry in log_of(tmp_path)] == [True, True, False]


def test_minutes_that_are_short_leave_what_was_there(tmp_path, make_config):
    Trainer(make_config(minutes=1e-9), tmp_path).run()
    assert torch.load(tmp_path / "state.pt", weights_only=True)["step"] == 0
    assert load_checkpoint(tmp_path / "weights.safetensors")


def test_minutes_that_are_enough_change_nothing(tmp_path, make_config, uninterrupted):
    whole, _ = uninterrupted
    trainer = Trainer(make_config(minutes=1e4), tmp_path)
    trainer.run()
    assert_equal_weights(trainer.network.state_dict(), whole.network.state_dict(), rtol=1e-3, atol=1e-5)


def test_a_step_that_is_not_finite_counts_as_none(tmp_path, make_config, sequences):
    trainer = Trainer(make_config(weight_decay=0.0), tmp_path)
    batch = collate(sequences[:2])
    trainer.train_step(replace(batch, truth=torch.full_like(batch.truth, math.inf)))
    assert all(p.isfinite().all() for p in trainer.network.parameters())
    losses = [trainer.train_step(batch).item() for _ in range(3)]
    assert all(map(math.isfinite, losses))


def test_fine_tuning_starts_from_a_checkpoint(tmp_path, make_config):
    torch.manual_seed(9)
    network = Rehdr(RehdrConfig(base_channels=3, scales=1, bins=2))
    save_checkpoint(network, tmp_path / "start.safetensors")
    config = make_config(start=str(tmp_path / "start.safetensors"), steps=1, save_every=1)
    trainer = Trainer(config, tmp_path / "run")
    assert trainer.network.config == network.config and trainer.network.training
    assert_equal_weights(trainer.network.state_dict(), network.state_dict())
    trainer.run()
    tuned = load_checkpoint(tmp_path / "run/weights.safetensors")
    assert tuned.config == network.config
    assert not torch.equal(tuned.body.prediction.conv.weight, network.body.prediction.conv.weight)


def test_fine_tuning_starts_from_a_checkpoint_of_the_authors(tmp_path, make_config, shared):
    start = shared / "golden/rehdr_base8.pth"
    trainer = Trainer(make_config(start=str(start), steps=2, batch=1), tmp_path)
    assert_equal_weights(trainer.network.state_dict(), load_checkpoint(start).state_dict())
    trainer.run()
    tuned = load_checkpoint(tmp_path / "weights.safetensors")
    assert tuned.config == load_checkpoint(start).config
    assert (tuned.config.radiance, tuned.config.fusion) == ("relative", "published")
    assert all(value.isfinite().all() for value in tuned.state_dict().values())
    heads = (network.body.image_head.conv.weight for network in (tuned, load_checkpoint(start)))
    assert not torch.equal(*heads)


def test_the_same_seed_gives_the_same_start(tmp_path, make_config):
    a, b, c = (Trainer(make_config(seed=seed), tmp_path / str(k)).network for k, seed in enumerate((1, 1, 2)))
    assert torch.equal(a.body.image_head.conv.weight, b.body.image_head.conv.weight)
    assert not torch.equal(a.body.image_head.conv.weight, c.body.image_head.conv.weight)


def test_recordings_are_trained_on_and_resumed(tmp_path, make_config, simulated_bag):
    root = cached_folder(simulated_bag, 5)
    config = make_config(recordings=[str(root)], steps=3, save_every=1)
    whole = Trainer(config, tmp_path / "whole")
    whole.run()
    train_in_part(config, tmp_path / "cut", 1)
    resumed = Trainer(config, tmp_path / "cut")
    resumed.run()
    assert_equal_weights(resumed.network.state_dict(), whole.network.state_dict())
    assert len(log_of(tmp_path / "whole")) == 3
    simulated = Trainer(make_config(steps=3), tmp_path / "simulated")
    simulated.run()
    heads = (trainer.network.body.image_head.conv.weight for trainer in (simulated, whole))
    assert not torch.equal(*heads)


def test_recordings_that_cannot_be_are_told(tmp_path, make_config, simulated_bag):
    small, short = ({"size": 64}, "smaller than a crop"), ({"frames": 11}, "no recording has 11 frames")
    for changes, words in (small, short):
        with pytest.raises(InputError, match=words):
            Trainer(make_config(recordings=[str(cached_folder(simulated_bag, 5))], **changes), tmp_path).run()


def test_two_processes_train_as_one_with_the_mean_of_their_gradients(tmp_path, make_config):
    """By torchrun, on this machine alone; against a loop by hand over both processes' batches."""
    small = {"steps": 3, "batch": 1, "size": 16, "save_every": 3, "learning_rate": 0.01}
    network = {"base_channels": 4, "scales": 2, "residual_blocks": 1}
    values = {**small, "network": network, "frames": 2, "device": "cpu", "precision": "float32"}
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(values))
    torchrun = [sys.executable, "-m", "torch.distributed.run"]
    torchrun += ["--standalone", "--nproc-per-node", "2", "--no-python"]
    train = [sys.executable, ROOT / "scripts" / "rehdr"]
    train += ["train", tmp_path / "train.yaml", "-o", tmp_path / "run"]
    result = subprocess.run(
        [*torchrun, *train],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("weights in") == 1
    assert [entry["step"] for entry in log_of(tmp_path / "run")] == [3]

    config = make_config(**small)
    torch.manual_seed(config.seed)
    expected = Rehdr(config.network).train()
    optimizer = torch.optim.AdamW(expected.parameters(), betas=(0.9, 0.99), weight_decay=config.weight_decay)
    batches = SimulatedBatches(BatchSimulator(16, 2, 5, torch.device("cpu")), 1, config.seed)
    for step in range(3):
        optimizer.param_groups[0]["lr"] = config.learning_rate * (1, 1, 0.505)[step]
        loss = Unrolled(expected, config.temporal, config.uncertainty)
        losses = [loss(batches[2 * step + rank]) for rank in range(2)]
        optimizer.zero_grad()
        (sum(losses) / 2).backward()
        torch.nn.utils.clip_grad_norm_(expected.parameters(), 1.0)
        optimizer.step()
    trained = torch.load(tmp_path / "run/state.pt", weights_only=True)["network"]
    assert_equal_weights(trained, expected.state_dict(), atol=1e-5)
