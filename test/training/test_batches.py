from dataclasses import fields

import pytest
import torch

from rehdr_ros.simulation.batch import BatchSimulator
from rehdr_ros.training.batches import RecordedBatches, SimulatedBatches, stream
from rehdr_ros.training.recorded import RecordedSequences
from rehdr_ros.training.sequence import Sequence

NAMES = [field.name for field in fields(Sequence)]


def simulated(**changes):
    simulator = BatchSimulator(size=16, frames=3, bins=2, device=torch.device("cpu"))
    return SimulatedBatches(simulator, batch=2, **changes)


@pytest.fixture
def recorded(simulated_bag):
    sequences = RecordedSequences(simulated_bag, count=6, size=32, frames=3, bins=2)
    return RecordedBatches(sequences, batch=2)


def same(a, b):
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in NAMES)


def test_a_simulated_batch_has_its_shapes():
    batch = simulated()[0]
    assert batch.ldr.shape == batch.truth.shape == (2, 3, 3, 16, 16)
    assert batch.voxel.shape == (2, 3, 2, 16, 16) and batch.gain.shape == (2, 3)
    for name in NAMES:
        assert getattr(batch, name).dtype == torch.float32 and getattr(batch, name).isfinite().all()
    assert not batch.voxel[:, 0].any()


def test_a_simulated_batch_is_a_function_of_its_number():
    data = simulated()
    first, second = data[3], data[1]
    again = simulated()
    assert same(again[1], second) and same(again[3], first)
    assert not same(first, second)


@pytest.mark.parametrize("change", [{"seed": 1}, {"validation": True}, {"seed": 1, "validation": True}])
def test_seeds_and_validation_have_batches_of_their_own(change):
    usual = simulated()
    assert not same(simulated(**change)[0], usual[0])
    assert not same(simulated(validation=True)[0], simulated(validation=True, seed=1)[0])


def test_frames_grids_and_truth_of_a_batch_are_turned_alike():
    """Whatever the augmentation does, the frames show the truth at the same places."""
    data = simulated()
    for number in range(4):
        batch = data[number]
        exposed = (batch.truth < 0.8) & (batch.truth > 0.02)
        assert torch.corrcoef(torch.stack((batch.ldr[exposed], batch.truth[exposed])))[0, 1] > 0.9


class Counting(SimulatedBatches):
    """Batches that note which were simulated."""

    def __init__(self, reuse, **changes):
        super().__init__(BatchSimulator(8, 2, 1, torch.device("cpu")), 1, reuse=reuse, **changes)
        self.made = []

    def simulated(self, number):
        self.made.append(number)
        return super().simulated(number)


@pytest.mark.parametrize("reuse", [1, 4])
def test_each_simulated_batch_is_drawn_so_often_in_the_mean(reuse):
    data = Counting(reuse)
    drawn = [data[number] for number in range(20 * reuse)]
    assert data.made == list(range(20))
    of = [tuple(batch.seconds.flatten().tolist()) for batch in drawn]  # which tells the simulation
    times = [of.count(each) for each in dict.fromkeys(of)]
    assert max(times) == 1 if reuse == 1 else 3 < sum(times) / len(times) < 6
    assert not any(same(a, b) for k, a in enumerate(drawn) for b in drawn[:k]), "each drawn anew"


def test_batches_used_again_are_a_function_of_their_number():
    """Whatever was drawn before: a resumed training gets the batches that it would have got."""
    whole, resumed, other = Counting(3), Counting(3), Counting(3, seed=1)
    batches = [whole[number] for number in range(60)]
    assert all(same(resumed[number], batches[number]) for number in range(52, 60))
    assert min(resumed.made) >= 52 // 3 - 15 and len(resumed.made) == len(set(resumed.made))
    assert same(resumed[0], batches[0]) and not same(other[5], batches[5])


def test_batches_used_again_are_exposed_anew():
    def levels(batch):
        return batch.ldr ** (1 / 2.2) * 255

    once, again = Counting(1), Counting(2)
    off = [
        (levels(data[number]) - levels(data[number]).round()).abs().max()
        for data in (once, again)
        for number in range(8)
    ]
    assert max(off[:8]) > 0.1, "cameras of more than 8 bit"
    assert max(off[8:]) < 0.02


def test_recorded_batches_are_the_sequences_in_order(recorded, simulated_bag):
    sequences = RecordedSequences(simulated_bag, count=6, size=32, frames=3, bins=2)
    for number in (2, 0):
        batch = recorded[number]
        assert batch.ldr.shape == (2, 3, 3, 32, 32) and batch.voxel.shape == (2, 3, 2, 32, 32)
        for k in range(2):
            for name in NAMES:
                assert torch.equal(getattr(batch, name)[k], getattr(sequences[2 * number + k], name))
    with pytest.raises(IndexError):
        recorded[3]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_gives_the_batches_of_its_numbers_in_order(recorded, workers):
    for batches, numbers in ((recorded, range(0, 3)), (simulated(), range(5, 9))):
        got = list(stream(batches, numbers, workers))
        assert len(got) == len(numbers)
        assert all(same(batch, batches[number]) for batch, number in zip(got, numbers, strict=True))
        if workers:  # one kind is enough where processes must start
            break
