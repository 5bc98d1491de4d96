"""The state of a training as one file, or in pieces that are no larger than told, all of one save or none."""

import hashlib
import io
import json
from pathlib import Path

import torch

from rehdr_ros.errors import InputError, replacing


def write(path: Path, state: dict, most: int = 0) -> None:
    """Replace what `path` has. most: bytes of a file; 0: one file, `path`.

    Pieces are PATH.HASH.000 and so on. PATH.json, which comes last, names those that are valid; only then
    those of the save before go. Raises OSError.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    data = buffer.getbuffer()
    index, pieces = _index(path), set(_pieces(path))
    if most:
        digest = hashlib.sha256(data).hexdigest()
        new = [_piece(path, digest, k) for k in range(-(-len(data) // most))]
        for k, piece in enumerate(new):
            _write(piece, data[k * most : (k + 1) * most])
        _write(index, json.dumps({"sha256": digest, "pieces": len(new)}).encode())
        old = (pieces - set(new)) | {path}
    else:
        _write(path, data)
        old = {index, *pieces}
    for each in old:
        each.unlink(missing_ok=True)


def read(path: Path, device: torch.device) -> dict | None:
    """What was written last, or None. Raises InputError for pieces that are missing or damaged."""
    if not _index(path).exists():
        return torch.load(path, map_location=device, weights_only=True) if path.is_file() else None
    try:
        notes = json.loads(_index(path).read_text())
        digest, count = str(notes["sha256"]), int(notes["pieces"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{_index(path)} is damaged: {error}") from error
    pieces = [_piece(path, digest, k) for k in range(count)]
    missing = [piece.name for piece in pieces if not piece.exists()]
    if missing:
        raise InputError(f"{path.parent} lacks {', '.join(missing)}: copy all pieces of {path.name}")
    data = b"".join(piece.read_bytes() for piece in pieces)
    if hashlib.sha256(data).hexdigest() != digest:
        raise InputError(f"{pieces[0]} and the pieces after it are damaged: copy them again")
    return torch.load(io.BytesIO(data), map_location=device, weights_only=True)


def _write(path: Path, data: bytes | memoryview) -> None:
    with replacing(path) as part:
        part.write_bytes(data)


def _index(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _piece(path: Path, digest: str, number: int) -> Path:
    return path.with_name(f"{path.name}.{digest[:12]}.{number:03}")


def _pieces(path: Path) -> list[Path]:
    return list(path.parent.glob(f"{path.name}.{'[0-9a-f]' * 12}.[0-9]*"))
