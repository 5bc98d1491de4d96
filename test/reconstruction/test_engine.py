import time

import pytest
import torch

from rehdr_ros.network import Stream, load_checkpoint
from rehdr_ros.network.engines.choice import Engine, choose
from rehdr_ros.network.engines.cpu import CpuEngine, for_inference
from rehdr_ros.network.engines.openvino import is_installed

CPU = torch.device("cpu")
STREAM = Stream(0.957, 0.03)


@pytest.fixture
def frames():
    """Twenty-five frames and grids of 46x33 px."""
    generator = torch.Generator().manual_seed(0)
    ldr = (1.3 * torch.rand(25, 1, 3, 33, 46, generator=generator)).clamp_max(1)
    return list(zip(ldr, torch.randint(-2, 3, (25, 1, 5, 33, 46), generator=generator).float(), strict=True))


@pytest.fixture
def network():
    return load_checkpoint("rehdr_t")


def through(engine, frames, wait=True):
    """What ran each frame, and the radiance of each."""
    ran, radiance, state = [], [], None
    with torch.inference_mode():
        for ldr, voxel in frames:
            engine.expect(*ldr.shape[-2:], wait)
            output, state = engine.step(ldr, voxel, state, STREAM)
            ran.append(engine.about)
            radiance.append(output.radiance.clone())
    return ran, torch.cat(radiance)


def make(choice="auto"):
    return choose(load_checkpoint("rehdr_t"), CPU, "float32", choice)


def with_candidate(plain, name, candidate):
    return Engine(load_checkpoint("rehdr_t"), CPU, plain, [(name, candidate)])


def test_pytorch_alone_where_that_is_asked_for(frames, network):
    ran, radiance = through(make("pytorch"), frames)
    assert set(ran) == {"PyTorch"}
    state = None
    with torch.inference_mode():
        for (ldr, voxel), ours in zip(frames, radiance, strict=True):
            expected, state = network(ldr, voxel, state, STREAM)
            torch.testing.assert_close(ours[None], expected, rtol=1e-4, atol=1e-5)


def test_a_long_stream_becomes_faster_without_a_change_in_what_it_shows(frames, network):
    plain = Slow(CpuEngine(network))
    engine = with_candidate(plain, "Kernels", lambda: CpuEngine(network))
    ran, radiance = through(engine, frames)
    assert set(ran[:20]) == {"PyTorch"}
    assert all(about.startswith("Kernels, ") and "times as fast" in about for about in ran[20:])
    assert plain.calls < 30
    torch.testing.assert_close(radiance, through(make("pytorch"), frames)[1], rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not is_installed(), reason="OpenVINO is not installed")
def test_openvino_is_compiled_for_each_size_and_gives_the_same(frames):
    engine = make()
    engine.compile(33, 46)
    assert "OpenVINO float32" in engine.about
    radiance = through(engine, frames)[1]
    torch.testing.assert_close(radiance, through(make("pytorch"), frames)[1], rtol=1e-4, atol=1e-5)
    smaller = [(ldr[..., :20, :30], voxel[..., :20, :30]) for ldr, voxel in frames]
    radiance = through(engine, smaller)[1]
    torch.testing.assert_close(radiance, through(make("pytorch"), smaller)[1], rtol=1e-4, atol=1e-5)


def test_what_cannot_run_is_left_and_said(frames, network):
    def missing():
        raise RuntimeError("no compiler\nhere")

    engine = with_candidate(network, "Magic", missing)
    ran, radiance = through(engine, frames)
    assert ran[-1] == "PyTorch (Magic: no compiler here)"
    assert torch.isfinite(radiance).all()


def test_what_gives_something_else_is_left_and_said(frames, network):
    other = for_inference(network)
    for parameter in other.body.prediction.parameters():
        parameter.data.mul_(1.5)
    engine = with_candidate(Slow(CpuEngine(network)), "Wrong", lambda: CpuEngine(other))
    ran, radiance = through(engine, frames)
    assert ran[-1].startswith("PyTorch (Wrong: ") and "relative difference" in ran[-1]
    torch.testing.assert_close(radiance, through(make("pytorch"), frames)[1])


def test_the_stream_goes_on_while_it_compiles(frames, network):
    started = []

    def slowly():
        started.append(time.monotonic())
        time.sleep(0.5)
        return CpuEngine(network)

    engine = with_candidate(Slow(CpuEngine(network)), "Kernels", slowly)
    ran, _ = through(engine, frames[:22], wait=False)
    assert ran[-1] == "PyTorch" and started
    deadline = time.monotonic() + 60
    while "Kernels" not in ran[-1]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
        ran, _ = through(engine, frames[:1], wait=False)


class Slow:
    """What runs a network, a moment longer."""

    def __init__(self, runner):
        self._runner, self.calls = runner, 0

    def step(self, *args):
        self.calls += 1
        time.sleep(0.02)
        return self._runner.step(*args)
