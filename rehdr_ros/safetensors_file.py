"""Tensors with notes in a file laid out as safetensors: in a few lines, since apt has no such library.

https://huggingface.co/docs/safetensors: the header's length (8 bytes, little-endian), the header (JSON: by
name, dtype, shape, the data's first and last octet; notes under `__metadata__`), all data without gaps.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import torch
from torch import Tensor

from rehdr_ros.errors import InputError

_NOTES = "__metadata__"
_LARGEST_HEADER = 100_000_000  # bytes, as of the library
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


def read(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors, by name, on the CPU, and the notes. Nothing of the file is run.

    Raises InputError, without the file's name, for a file of another kind or a damaged one, and OSError.
    """
    content = memoryview(Path(path).read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    if not 8 < start <= min(len(content), 8 + _LARGEST_HEADER):
        raise InputError("no safetensors file, or a part of one")
    data = content[start:]
    try:
        header = json.loads(bytes(content[8:start]))
        notes = dict(header.pop(_NOTES, {}))
        entries = sorted((*a["data_offsets"], name, a["dtype"], a["shape"]) for name, a in header.items())
        tensors, end = {}, 0
        for first, last, name, dtype, shape in entries:
            if first != end:
                raise InputError(f"tensor {name!r} is not where the one before ends")
            tensors[name] = _tensor(data[first:last], _DTYPES[dtype], shape)
            end = last
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise InputError(f"a safetensors header that is damaged ({type(error).__name__}: {error})") from error
    if end != len(data):
        raise InputError(f"tensors of {end} bytes in {len(data)} bytes of data")
    return tensors, notes


def write(path: str | Path, tensors: dict[str, Tensor], notes: dict[str, str]) -> None:
    """What `read` reads, and the library. Raises OSError, naming the file."""
    # The largest elements first, so that every tensor is aligned.
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header, end, data = {_NOTES: notes}, 0, []
    for name in names:
        tensor = tensors[name]
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        flat = flat if flat.numel() else flat.new_empty(0)  # NumPy's have strides of 0, which no view takes
        data.append(flat.view(torch.uint8).numpy())
        offsets = [end, end := end + data[-1].nbytes]
        header[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": offsets}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    try:
        with open(path, "wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            file.writelines(data)
    except OSError as error:  # a full disk names no file
        raise OSError(error.errno, error.strerror, str(path)) from error


def _tensor(data: memoryview, dtype: torch.dtype, shape: list[int]) -> Tensor:
    if not all(type(n) is int and n >= 0 for n in shape):
        raise InputError(f"a tensor of shape {shape}")
    size = math.prod(shape) * torch.empty((), dtype=dtype).element_size()
    if len(data) != size:
        raise InputError(f"a tensor of {size} bytes in {len(data)} bytes of data")
    if not size:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(bytearray(data), dtype=dtype).reshape(shape)
