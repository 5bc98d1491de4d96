import importlib.util
import shutil
import sys
from array import array
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.extending import is_jitted

from rehdr_ros import jit
from rehdr_ros.events import Events, Packet, make_decoder, voxel_grid, warm_up
from rehdr_ros.events.codecs import CODECS
from rehdr_ros.events.hot_pixels import HotPixels


def signatures():
    """Those of all kernels of the room."""
    modules = [module for name, module in sys.modules.items() if name.startswith("rehdr_ros.events")]
    kernels = {value for module in modules for value in vars(module).values() if is_jitted(value)}
    assert len(kernels) > len(CODECS)
    return {kernel: set(kernel.signatures) for kernel in kernels}


@pytest.mark.parametrize("encoding", CODECS)
def test_nothing_is_compiled_after_the_warm_up(encoding):
    warm_up(encoding)
    before = signatures()
    data = bytes(range(256)) * 2
    unaligned = memoryview(b"-" + data)[1:]
    owned = np.frombuffer(data, "u1").copy()
    kinds = data, bytearray(data), unaligned, memoryview(data), owned, array("B", data)
    decoder = make_decoder(encoding, 640, 480)
    for seq, kind in enumerate((*kinds, b"", data[:8])):
        for is_bigendian in (False, True):
            stamp = 2**62 + seq
            events = decoder.decode(Packet(stamp, 640, 480, seq, 2**63 + seq, encoding, kind, is_bigendian))
            voxel_grid(events, 0, 10**9, 5, 480, 640)
    several = Events(np.arange(8), np.arange(8), np.arange(8), np.arange(8) % 2)
    hot_pixels = HotPixels(64, 64)
    for t_ns, events in enumerate((several, several[::2], several[::-1])):
        voxel_grid(events, 0, 10, 5, 64, 64, out=np.zeros((5, 64, 64), np.float32))
        hot_pixels.update(events, t_ns)
    assert signatures() == before


@pytest.mark.parametrize("encoding", sorted({*CODECS} - {"evt21_legacy", "trigger"}))
def test_a_decoder_is_compiled_for_one_kind_of_words(encoding):
    unaligned = memoryview(bytes(9))[1:]
    for data in (bytes(8), bytearray(8), unaligned, np.zeros(8, np.uint8), array("B", bytes(8))):
        make_decoder(encoding, 64, 64).decode(Packet(0, 64, 64, 0, 2**64 - 1, encoding, data))
    assert len(CODECS[encoding].decode_words.signatures) == 1


def test_an_unknown_encoding_is_refused():
    with pytest.raises(ValueError, match="evt9"):
        warm_up("evt9")


def test_kernels_work_where_no_cache_can_be_written(monkeypatch):
    njit = numba.njit

    def without_cache(**options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return njit(**options)

    monkeypatch.setattr(numba, "njit", without_cache)
    assert jit.kernel(lambda x: x + 1)(1) == 2


def test_kernels_are_kept_where_the_user_says(monkeypatch, tmp_path):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    assert jit.kernel(lambda x: x + 1)(1) == 2
    assert any(tmp_path.rglob("*.nbi"))
    assert str(tmp_path) == numba.config.CACHE_DIR


def test_a_change_of_any_source_leaves_all_kept_kernels_behind(monkeypatch, tmp_path):
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    package = shutil.copytree(
        Path(jit.__file__).parent,
        tmp_path / "copy" / "rehdr_ros",
        ignore=shutil.ignore_patterns("__pycache__"),
    )

    def folder():
        spec = importlib.util.spec_from_file_location("copied_jit", package / "jit.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.kernel(lambda x: x + 1)(1)
        (folder,) = {index.parent.parent for index in package.rglob("*.nbi")} - seen
        return folder

    seen = set()
    for source in (None, package / "events" / "voxel_grid.py", package / "events" / "codecs" / "masks.py"):
        if source:
            source.write_text(source.read_text() + "\n")
        seen.add(folder())
    assert len(seen) == 3


def test_sealed_arrays_are_of_one_kind():
    values = np.arange(10, dtype=np.uint16)
    unaligned = np.frombuffer(memoryview(b"-" + values.tobytes())[1:], np.uint16)
    for given in (values, values[::2], values[::-1], unaligned):
        flags = jit.sealed(given).flags
        assert flags.c_contiguous and flags.aligned and not flags.writeable
        np.testing.assert_array_equal(jit.sealed(given), given)
    assert values.flags.writeable
    assert np.shares_memory(jit.sealed(values), values)
