import numpy as np
import pytest
import torch

from rehdr_ros.recordings import write_exr
from rehdr_ros.training.dataset import VALIDATION_SCENES, SimulatedSequences, collate, linearise
from rehdr_ros.training.metrics import log2_luminance

FIELDS = ("ldr", "voxel", "truth")


def same(a, b):
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in FIELDS)


def test_a_sequence_has_its_shapes(sequences):
    for sequence in sequences:
        assert (sequence.ldr.shape, sequence.ldr.dtype) == ((4, 3, 32, 32), torch.uint8)
        assert (sequence.voxel.shape, sequence.voxel.dtype) == ((4, 5, 32, 32), torch.float32)
        assert (sequence.truth.shape, sequence.truth.dtype) == ((4, 3, 32, 32), torch.float32)
        assert sequence.truth.isfinite().all() and (sequence.truth >= 0).all()


def test_a_sequence_is_a_function_of_its_index(sequences):
    again = SimulatedSequences(100, size=32, frames=4, bins=5)
    assert same(again[5], sequences[5]) and same(again[2], sequences[2])
    assert not any(same(sequences[0], other) for other in sequences[1:])


@pytest.mark.parametrize("change", [{"seed": 1}, {"validation": True}])
def test_seeds_and_validation_have_sequences_of_their_own(sequences, change):
    other = SimulatedSequences(8, size=32, frames=4, bins=5, **change)
    assert not same(other[0], sequences[0])


def test_the_first_grid_is_empty_as_after_a_reset(sequences):
    for sequence in sequences:
        assert not sequence.voxel[0].any()
    assert sum(bool(s.voxel[1:].any()) for s in sequences) >= 7


def test_frames_grids_and_truth_are_turned_alike(sequences):
    """In every sequence the frames show the truth, and the events its change, at the same places."""
    correlations = []
    for sequence in sequences:
        exposed = sequence.truth < 0.8
        assert (linearise(sequence.ldr) - sequence.truth)[exposed].abs().max() < 0.15
        log = log2_luminance(sequence.truth.permute(0, 2, 3, 1).numpy())
        change, sums = np.diff(log, axis=0), sequence.voxel[1:].sum(1).numpy()
        if np.abs(sums).sum() > 500:
            correlations.append(np.corrcoef(change.ravel(), sums.ravel())[0, 1])
    assert len(correlations) >= 5
    assert min(correlations) > 0.3


def test_sequences_stack_to_a_batch(sequences):
    batch = collate(sequences[:3])
    assert batch.ldr.shape == (3, 4, 3, 32, 32)
    for name in FIELDS:
        assert torch.equal(getattr(batch, name)[1], getattr(sequences[1], name))


@pytest.fixture
def folder(tmp_path):
    """One training scene, a flat one; the validation scenes can't be read."""
    write_exr(tmp_path / "flat.exr", np.full((70, 80, 3), 0.5, np.float32))
    for name in VALIDATION_SCENES:
        (tmp_path / f"{name}_1k.hdr").write_text("must not be read")
    (tmp_path / "SOURCES.txt").write_text("no scene")
    return tmp_path


@pytest.mark.parametrize("validation", [False, True])
def test_half_of_the_scenes_come_from_the_folder_but_never_the_validation_scenes(folder, validation):
    data = SimulatedSequences(24, size=16, frames=2, bins=1, radiance=folder, validation=validation)
    flat = sum(float(data[i].truth.std(dim=(0, 2, 3)).max()) < 1e-3 for i in range(24))
    assert 5 <= flat <= 19


def test_a_folder_of_validation_scenes_gives_none(folder):
    (folder / "flat.exr").unlink()
    data = SimulatedSequences(6, size=16, frames=2, bins=1, radiance=folder)
    assert all(float(data[i].truth.std()) > 0 for i in range(6))


def test_the_validation_scenes_exist(shared):
    names = [path.name for path in (shared / "data/hdri").iterdir()]
    for scene in VALIDATION_SCENES:
        assert any(name.startswith(scene) for name in names)
