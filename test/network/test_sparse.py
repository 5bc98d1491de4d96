"""Convolutions where they are needed alone, against those of whole frames, with carried state."""

import numpy as np
import pytest
import torch

from rehdr_ros.events import voxel_grid
from rehdr_ros.network import Stream, load_checkpoint
from rehdr_ros.network.engines.cpu import CpuEngine
from rehdr_ros.network.engines.openvino import OpenVinoEngine, is_installed
from rehdr_ros.network.engines.sparse import SparseFeatures
from rehdr_ros.network.engines.windows import cover, sizes
from rehdr_ros.reconstruction.response import Response
from rehdr_ros.simulation import SimulationConfig, simulate

CPU = torch.device("cpu")
CLIPPED_FROM = Response()(250 / 255)
WIDTH, HEIGHT = 250, 190
ENGINES = [
    pytest.param(CpuEngine, "rehdr_t", id="PyTorch"),
    pytest.param(
        OpenVinoEngine,
        "rehdr_s",
        id="OpenVINO",
        marks=pytest.mark.skipif(not is_installed(), reason="OpenVINO is not installed"),
    ),
]


@pytest.fixture(scope="module")
def frames():
    """A pan past lamps, in the middle of which they are dimmed: LDR, voxel grid, seconds."""
    config = SimulationConfig(
        width=WIDTH, height=HEIGHT, seconds=1.5, seed=1, clipped=0.02, speed=150.0, renders=100.0, jitter=0.5
    )
    made, before = [], -1
    for i, sample in enumerate(simulate(config)):
        grid = torch.from_numpy(voxel_grid(sample.events, before, sample.stamp_ns, 5, HEIGHT, WIDTH))[None]
        ldr = Response().linearise(sample.ldr, CPU).pixels
        made.append((ldr.clamp_max(0.9) if 12 <= i < 16 else ldr, grid, (sample.stamp_ns - before) * 1e-9))
        before = sample.stamp_ns
    return made


@pytest.mark.parametrize(("engine", "weights"), ENGINES)
def test_clipped_pixels_get_the_radiance_of_whole_frames(frames, engine, weights):
    network = load_checkpoint(weights)
    state = fast_state = None
    fast, shares, differences = engine(network), [], []
    with torch.inference_mode():
        for ldr, voxel, seconds in frames:
            stream = Stream(CLIPPED_FROM, seconds)
            expected, state = network.step(ldr, voxel, state, stream)
            estimate, fast_state = fast.step(ldr, voxel, fast_state, stream)
            clipped = (ldr > CLIPPED_FROM).any(1)[0]
            for ours, theirs in zip(estimate, expected, strict=True):
                exposed = ours[..., ~clipped], theirs[..., ~clipped]
                torch.testing.assert_close(*exposed, rtol=1e-6, atol=1e-6)
            shares.append(clipped.float().mean().item())
            if shares[-1]:
                ours, theirs = (x.radiance[..., clipped] for x in (estimate, expected))
                differences.append(((ours - theirs).norm() / theirs.norm()).item())
    assert min(shares) == 0 and 0.001 < np.median(shares) < 0.1
    assert 0 < max(differences) < 1e-2, differences  # the windows are there, and are wide enough


def test_a_frame_without_clipped_pixels_costs_no_convolution(frames):
    def features(inputs, cells):
        raise AssertionError("run")

    network = load_checkpoint("rehdr_t")
    ldr, voxel, seconds = frames[12]
    assert not (ldr > CLIPPED_FROM).any()
    stream = Stream(CLIPPED_FROM, seconds)
    with torch.inference_mode():
        _, state = network.step(*frames[0][:2], None, stream)
        expected, dense = network.step(ldr, voxel, state, stream)
        sparse = SparseFeatures(network, features)
        estimate, skipped = network.step(ldr, voxel, state, stream, sparse, compiled=True)
    assert torch.equal(estimate.radiance, ldr) and torch.equal(expected.radiance, ldr)
    torch.testing.assert_close(skipped, dense)
    assert not any(torch.equal(skipped[name], state[name]) for name in network.cells)


@pytest.mark.parametrize("size", [(24, 32), (33, 44), (60, 80), (3, 50), (90, 160)])
def test_windows_hold_what_is_needed_and_what_lies_around(size):
    rng, used = np.random.default_rng(0), 0
    for blobs in (1, 1, 1, 1, 2, 2, 3, 4, 6, 40):
        needed = np.zeros(size, bool)
        for y, x in zip(*(rng.integers(0, n, blobs) for n in size), strict=True):
            needed[y : y + 3, x : x + 3] = True
        windows = cover(needed, halo=4)
        if windows is None:
            continue
        used, left = used + 1, needed.copy()
        for window, wanted in windows:
            around = wanted.grown(4, *size)
            assert window.top <= around.top and around.bottom <= window.bottom <= size[0]
            assert window.left <= around.left and around.right <= window.right <= size[1]
            assert (window.bottom - window.top, window.right - window.left) in sizes(*size, halo=4)
            left[wanted.top : wanted.bottom, wanted.left : wanted.right] = False
        assert not left.any()
    assert used
    assert cover(np.zeros(size, bool), 4) == []
    assert cover(np.ones(size, bool), 4) is None
