import numba
import numpy as np
import pytest

from rehdr_ros.events import Events, Packet, jit, make_decoder, voxel_grid, warm_up
from rehdr_ros.events.codecs import CODECS


@pytest.mark.parametrize("encoding", CODECS)
def test_nothing_is_compiled_after_the_warm_up(encoding):
    warm_up(encoding)
    kernels = [CODECS[encoding]._decode, voxel_grid.__globals__["_accumulate"]]
    compiled = [len(kernel.signatures) for kernel in kernels]
    assert all(compiled)
    data = bytes(range(256))
    for seq, kind in enumerate((data, bytearray(data), memoryview(b"-" + data)[1:], np.frombuffer(data, "u1"))):
        events = make_decoder(encoding, 64, 64).decode(Packet(0, 64, 64, seq, 0, encoding, kind))
        voxel_grid(events, 0, 10**9, 5, 64, 64)
    several = Events(np.arange(8), np.arange(8), np.arange(8), np.arange(8) % 2)
    for events in (several, several[::2], several[::-1]):
        voxel_grid(events, 0, 10, 5, 64, 64, out=np.zeros((5, 64, 64), np.float32))
    assert [len(kernel.signatures) for kernel in kernels] == compiled


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


def test_sealed_arrays_are_of_one_kind():
    array = np.arange(10, dtype=np.uint16)
    unaligned = np.frombuffer(memoryview(b"-" + array.tobytes())[1:], np.uint16)
    for given in (array, array[::2], array[::-1], unaligned):
        flags = jit.sealed(given).flags
        assert flags.c_contiguous and flags.aligned and not flags.writeable
        np.testing.assert_array_equal(jit.sealed(given), given)
    assert array.flags.writeable
    assert np.shares_memory(jit.sealed(array), array)
