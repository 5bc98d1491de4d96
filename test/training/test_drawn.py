"""Sequences that are simulated once and drawn many times: what is kept of them, and what is drawn."""

import re
from dataclasses import fields, replace

import pytest
import torch

from rehdr_ros import safetensors_file
from rehdr_ros.errors import InputError
from rehdr_ros.simulation.batch import Batch, BatchSimulator, Variety
from rehdr_ros.training import kept
from rehdr_ros.training.batches import SimulatedBatches, stream
from rehdr_ros.training.config import TrainConfig
from rehdr_ros.training.drawn import DrawnBatches, KeptSequences
from rehdr_ros.training.sequence import Sequence

NAMES = [field.name for field in fields(Sequence)]
ALL = (slice(None),) * 3


def same(a, b):
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in NAMES)


@pytest.fixture(scope="module")
def batch() -> Batch:
    """Grey and coloured sequences of 8, 10 and 12 bit, in the dark and far above white."""
    simulator = BatchSimulator(
        16, 3, 2, torch.device("cpu"), Variety(mono=0.5, strange=0, clipped=(0.1, 0.6))
    )
    return SimulatedBatches(simulator, 12).simulated(0)


@pytest.fixture
def make(tmp_path):
    """A function that makes batches of two in tmp_path, and notes in `made` which were simulated."""

    def make(folder="kept", **changes) -> DrawnBatches:
        small = {
            "batch": 2,
            "size": 12,
            "frames": 2,
            "sequences": 6,
            "simulated": folder and tmp_path / folder,
        }
        config = TrainConfig(**{**small, **changes})
        sequences = KeptSequences(config, 2, torch.device("cpu"))
        made.append([])
        return DrawnBatches(sequences, config)

    made, original = [], SimulatedBatches.simulated
    make.made = made

    def noting(self, number):
        made[-1].append(number)
        return original(self, number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SimulatedBatches, "simulated", noting)
        yield make


def test_frames_stay_exact_and_truth_and_grids_within_their_steps(batch, tmp_path):
    assert set(batch.levels.tolist()) == {255, 1023, 4095}
    for n, sequence in enumerate(kept.keep(batch)):
        kept.write(tmp_path / "a", sequence, "recipe")
        for whole in (sequence.cut(*ALL), kept.read(tmp_path / "a", "recipe").cut(*ALL)):
            assert all(getattr(whole, name).dtype == torch.float32 for name in NAMES)
            assert torch.equal(whole.ldr, batch.ldr[n])
            assert torch.equal(whole.gain, batch.gain[n]) and torch.equal(whole.seconds, batch.seconds[n])
            octaves = (whole.truth.log2() - batch.truth[n].clamp(2**-15.99, 2**15.99).log2()).abs()
            assert octaves.max() < 1.1 * 2**-12
            assert ((whole.voxel - batch.voxel[n]).abs() <= batch.voxel[n].abs() * 2**-11).all()
    assert {len(sequence.ldr[0]) for sequence in kept.keep(batch)} == {1, 3}


def test_a_sequence_without_events_is_kept(batch, tmp_path):
    none = replace(kept.keep(batch)[0], voxel=torch.zeros_like(kept.keep(batch)[0].voxel))
    kept.write(tmp_path / "a", none, "recipe")
    assert same(kept.read(tmp_path / "a", "recipe").cut(*ALL), none.cut(*ALL))


def test_a_part_is_that_of_the_whole_and_begins_as_after_a_reset(batch):
    sequence = kept.keep(batch)[0]
    whole, part = sequence.cut(*ALL), sequence.cut(slice(1, 3), slice(4, 12), slice(2, 10))
    for name in ("ldr", "truth"):
        assert torch.equal(getattr(part, name), getattr(whole, name)[1:3, :, 4:12, 2:10])
    assert not part.voxel[0].any() and torch.equal(part.voxel[1], whole.voxel[2, :, 4:12, 2:10])
    assert torch.equal(part.seconds, whole.seconds[1:3])


@pytest.mark.parametrize("damage", ["cut", "other", "bins"])
def test_a_damaged_file_is_named(batch, tmp_path, damage):
    path = tmp_path / "000000.safetensors"
    kept.write(path, kept.keep(batch)[0], "recipe")
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    elif damage == "bins":
        tensors, notes = safetensors_file.read(path)
        safetensors_file.write(path, tensors, {**notes, "bins": "9"})
    with pytest.raises(InputError, match="000000.safetensors"):
        kept.read(path, "another" if damage == "other" else "recipe")


@pytest.mark.parametrize("folder", ["kept", None])
@pytest.mark.parametrize("reuse", [1, 2])
def test_each_is_simulated_once_and_new_ones_come_as_often_as_told(make, folder, reuse):
    batches = make(folder, reuse=reuse)
    for number in range(3 * reuse):
        assert batches[number].ldr.shape == (2, 2, 3, 12, 12)
        assert batches[number].voxel.shape == (2, 2, 2, 12, 12)
        assert make.made[-1] == list(range(1 + -(-number // reuse)))[:3]
    drawn = [batches[number] for number in range(12)]
    assert make.made[-1] == [0, 1, 2]
    assert not any(same(a, b) for k, a in enumerate(drawn) for b in drawn[:k]), "each drawn anew"
    for each in drawn:
        exposed = (each.truth < 0.8) & (each.truth > 0.02)
        assert (each.ldr - each.truth)[exposed].abs().mean() < 0.05


def test_a_batch_is_a_function_of_its_number_whatever_the_folder_has(make):
    first = make()
    drawn = [first[number] for number in range(6)]
    for folder in ("kept", "elsewhere", None):
        again = make(folder)
        assert same(again[5], drawn[5]) and same(again[1], drawn[1])
    assert make.made[1] == [] and sorted(make.made[2]) == sorted(make.made[3]) == [0, 1, 2]
    assert not same(make("another", seed=1)[5], drawn[5])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("folder", ["kept", None])
def test_new_and_kept_sequences_go_together_on_a_gpu(tmp_path, folder):
    small = {"batch": 2, "size": 12, "frames": 2, "sequences": 6}
    config = TrainConfig(**small, simulated=folder and str(tmp_path / folder))
    batches = DrawnBatches(KeptSequences(config, 2, torch.device("cuda")), config)
    for number in range(4):
        assert batches[number].ldr.shape == (2, 2, 3, 12, 12)


def test_a_folder_of_another_configuration_is_refused(make):
    make()[0]
    for changes in ({"seed": 1}, {"size": 14}, {"variety": replace(Variety(), fps=(9, 10))}):
        with pytest.raises(InputError, match="another configuration"):
            make(**changes)[0]


def test_what_a_worker_refuses_is_told_in_a_line(make):
    make()[0]
    with pytest.raises(InputError) as refused:
        next(stream(make(seed=1), range(3), workers=1))
    expected = r"\S+/kept/000000\.safetensors: simulated by another configuration; [^:]*"
    assert re.fullmatch(expected, str(refused.value))


def test_workers_fill_the_folder_beside_the_training(make, tmp_path):
    expected = make("alone")
    got = list(stream(make(), range(5), workers=2))
    assert all(same(batch, expected[number]) for number, batch in enumerate(got))
    names = sorted(path.name for path in (tmp_path / "kept").iterdir())
    assert names == [f"{number:06}.safetensors" for number in range(6)]


def test_sequences_that_cannot_be(tmp_path):
    with pytest.raises(InputError, match="as many as a batch"):
        TrainConfig(sequences=3, batch=4)
    with pytest.raises(InputError, match="simulated"):
        TrainConfig(sequences=8, batch=4, workers=1)
