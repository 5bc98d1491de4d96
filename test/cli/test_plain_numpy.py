"""The references of the benchmark do the same work as what they are compared with."""

import numpy as np
import pytest

from rehdr_ros.cli.benchmarks import plain_numpy
from rehdr_ros.events import Events, make_decoder, make_encoder, voxel_grid
from rehdr_ros.recordings import BagRecording


@pytest.mark.parametrize("encoding", ["evt3", "evt2"])
@pytest.mark.parametrize("dense", [True, False])
def test_encoded_events(assert_same_events, encoding, dense):
    rng = np.random.default_rng(0)
    x = np.tile(np.arange(600), 20) if dense else rng.integers(0, 640, 12_000)
    t = np.repeat(np.arange(20) * 5000, 600) * 1000
    p = np.ones(12_000) if dense else rng.integers(0, 2, 12_000)
    events = Events(t, x, np.repeat(np.arange(20), 600), p)
    reference = getattr(plain_numpy, f"decode_{encoding}")
    assert_same_events(reference(make_encoder(encoding, 640, 480).encode(events)), events)


@pytest.mark.parametrize("name", ["libcaer_640x480_rollover", "libcaer_cmp_346x260"])
def test_recorded_events(assert_same_events, shared, name):
    for k, packet in enumerate(BagRecording(shared / "data/bags" / name).packets()):
        if k % 10 == 0:
            events = make_decoder(packet.encoding, packet.width, packet.height).decode(packet)
            reference = getattr(plain_numpy, f"decode_{packet.encoding}")
            if np.diff(events.t).min() > -1e12:  # without a wrap
                assert_same_events(reference(packet), events)


def test_voxel_grid():
    rng = np.random.default_rng(0)
    events = Events(np.sort(rng.integers(1, 1000, 5000)), *(rng.integers(0, n, 5000) for n in (64, 48, 2)))
    expected = voxel_grid(events, 0, 999, 5, 48, 64)
    np.testing.assert_allclose(plain_numpy.voxel_grid(events, 0, 999, 5, 48, 64), expected, atol=1e-5)
