"""The state of a training in one file or in pieces."""

import pytest
import torch

from rehdr_ros.errors import InputError
from rehdr_ros.training import checkpoint_files

CPU = torch.device("cpu")


def state(seed, size=5000):
    return {
        "step": seed,
        "network": {"weight": torch.randn(size, generator=torch.Generator().manual_seed(seed))},
    }


def same(a, b):
    return a["step"] == b["step"] and torch.equal(a["network"]["weight"], b["network"]["weight"])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.pt"


def names(path):
    return sorted(each.name for each in path.parent.iterdir())


@pytest.mark.parametrize("most", [0, 3000, 1 << 20])
def test_what_was_written_last_is_read(path, most):
    assert checkpoint_files.read(path, CPU) is None
    for seed in (1, 2):
        checkpoint_files.write(path, state(seed), most)
        assert same(checkpoint_files.read(path, CPU), state(seed))
    files = names(path)
    assert files == ["state.pt"] if most == 0 else len(files) == (9 if most == 3000 else 2)
    assert max(each.stat().st_size for each in path.parent.iterdir()) <= (most or 1 << 20)


def test_one_form_takes_the_place_of_the_other(path):
    for seed, most in enumerate((0, 3000, 0, 3000)):
        checkpoint_files.write(path, state(seed), most)
        assert same(checkpoint_files.read(path, CPU), state(seed))
        assert ("state.pt" in names(path)) == (most == 0) == (len(names(path)) == 1)


def test_a_save_that_was_cut_leaves_the_one_before(path, monkeypatch):
    checkpoint_files.write(path, state(1), 3000)
    with monkeypatch.context() as patch:
        patch.setattr(
            checkpoint_files.json, "dumps", lambda _: 1 / 0
        )  # all pieces are there, the index isn't
        with pytest.raises(ZeroDivisionError):
            checkpoint_files.write(path, state(2), 3000)
    assert same(checkpoint_files.read(path, CPU), state(1))
    checkpoint_files.write(path, state(3), 3000)
    assert len(names(path)) == 9, "what was left of it is gone"


def test_pieces_that_are_missing_or_damaged_are_named(path):
    checkpoint_files.write(path, state(1), 3000)
    piece = sorted(path.parent.glob("state.pt.*.003"))[0]
    content = bytearray(piece.read_bytes())
    content[100] ^= 1
    piece.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        checkpoint_files.read(path, CPU)
    piece.unlink()
    with pytest.raises(InputError, match=piece.name):
        checkpoint_files.read(path, CPU)
    (path.parent / "state.pt.json").write_text("{")
    with pytest.raises(InputError, match="state.pt.json"):
        checkpoint_files.read(path, CPU)
