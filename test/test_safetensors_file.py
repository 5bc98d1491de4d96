"""safetensors files, beside those of the library, and damaged ones."""

import errno
import json
from pathlib import Path

import pytest
import torch

from rehdr_ros import safetensors_file
from rehdr_ros.errors import InputError

NOTES = {"config": "{}", "made by": "hand, ümlaut"}
TENSORS = {
    "float32": torch.arange(6.0).reshape(2, 3),
    "float64": torch.arange(3, dtype=torch.float64),
    "float16": torch.tensor([[1.5], [-2.0]]).half(),
    "bfloat16": torch.tensor([0.5, 1e30]).bfloat16(),
    "int64": torch.tensor(-(2**40)),
    "int8": torch.tensor([-1, 0, 1], dtype=torch.int8),
    "bool": torch.tensor([True, False, True]),
    "empty": torch.empty(0, 3),
    "a view": torch.arange(12).reshape(3, 4).T,
}


def assert_same(actual, expected):
    assert actual.keys() == expected.keys()
    for name, tensor in expected.items():
        assert actual[name].dtype == tensor.dtype and torch.equal(actual[name], tensor), name


def test_what_is_written_is_read(tmp_path):
    safetensors_file.write(tmp_path / "a", TENSORS, NOTES)
    tensors, notes = safetensors_file.read(tmp_path / "a")
    assert notes == NOTES
    assert_same(tensors, TENSORS)
    tensors["float32"] += 1  # of memory of its own


def test_the_library_reads_what_is_written_and_its_files_are_read(tmp_path):
    library = pytest.importorskip("safetensors.torch")
    safetensors_file.write(tmp_path / "ours", TENSORS, NOTES)
    assert_same(library.load_file(tmp_path / "ours"), TENSORS)
    contiguous = {name: tensor.contiguous() for name, tensor in TENSORS.items()}
    library.save_file(contiguous, tmp_path / "theirs", NOTES)
    tensors, notes = safetensors_file.read(tmp_path / "theirs")
    assert notes == NOTES
    assert_same(tensors, TENSORS)


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    for path in (tmp_path / "nowhere" / "a", Path("/dev/full")):
        with pytest.raises(OSError) as error:
            safetensors_file.write(path, TENSORS, NOTES)
        assert error.value.filename == str(path) and error.value.errno in (errno.ENOENT, errno.ENOSPC)


def entry(**changes):
    return {"t": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}}


DAMAGE = {
    "beyond the end": entry(data_offsets=[0, 16], shape=[4]),
    "before the start": entry(data_offsets=[-8, 0]),
    "backwards": entry(data_offsets=[8, 0]),
    "a gap": entry(data_offsets=[4, 8], shape=[1]),
    "not all of the data": entry(data_offsets=[0, 4], shape=[1]),
    "another size": entry(shape=[3]),
    "negative sizes": entry(shape=[-1, -2]),
    "fractions": entry(shape=[2.0]),
    "unknown type": entry(dtype="F4"),
    "no offsets": {"t": {"dtype": "F32", "shape": [2]}},
    "one offset": entry(data_offsets=[0]),
    "offsets of text": entry(data_offsets=["0", "8"]),
    "overlapping": {**entry(), "u": entry()["t"]},
    "notes that are none": {**entry(), "__metadata__": 3},
    "a list": [entry()],
    "a number": 3,
}


@pytest.mark.parametrize("header", DAMAGE.values(), ids=DAMAGE)
def test_a_header_that_cannot_be_is_refused_in_one_line(tmp_path, header):
    text = json.dumps(header).encode()
    (tmp_path / "a").write_bytes(len(text).to_bytes(8, "little") + text + bytes(8))
    with pytest.raises(InputError) as error:
        safetensors_file.read(tmp_path / "a")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        bytes(8),
        b"\xff" * 8 + b"{}",
        (2**40).to_bytes(8, "little") + b"{}",
        b"\x04" + bytes(7) + b"\xff\xfe{}",
    ],
    ids=["empty", "no header", "a header without end", "a header beyond the file", "no text"],
)
def test_no_file_of_this_kind_is_refused(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(InputError):
        safetensors_file.read(tmp_path / "a")


def test_a_header_of_brackets_is_refused(tmp_path):
    text = b"[" * 200_000
    (tmp_path / "a").write_bytes(len(text).to_bytes(8, "little") + text)
    with pytest.raises(InputError):
        safetensors_file.read(tmp_path / "a")
