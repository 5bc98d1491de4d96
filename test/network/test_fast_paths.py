"""Every faster form of the network against the network itself, with carried state."""

import os
import subprocess
import sys

import pytest
import torch

from rehdr_ros.network import Stream, head_start, load_checkpoint
from rehdr_ros.network.contract import USUAL_STREAM
from rehdr_ros.network.engines.cpu import CpuEngine, for_inference
from rehdr_ros.network.engines.cuda import CudaEngine
from rehdr_ros.network.engines.fold import fold_norms
from rehdr_ros.network.engines.openvino import OpenVinoEngine, is_installed
from rehdr_ros.network.engines.tensor_cores import for_tensor_cores
from rehdr_ros.network.head_start import edges
from rehdr_ros.network.head_start.reference import initial_state
from rehdr_ros.network.integrator import CLIPPED

PUBLISHED = {"radiance": "relative", "fusion": "published"}
CONFIGURATIONS = {
    "full": {},
    "compact": {"form": "compact"},
    "authors'": {**PUBLISHED, "norm": "batch"},
    "authors', GRU": {**PUBLISHED, "recurrent": "convgru", "upsampling": "bilinear"},
    "instance norm": {"norm": "instance"},
}
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
needs_openvino = pytest.mark.skipif(not is_installed(), reason="OpenVINO is not installed")


def relative(a, b):
    return ((a - b).norm() / b.norm()).item()


@pytest.fixture(params=CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def network(request, make_network):
    return make_network(**request.param)


def assert_same(fast, network, ldr, voxel, tolerance=1e-5):
    state = fast_state = None
    with torch.inference_mode():
        for i, (frame, grid) in enumerate(zip(ldr, voxel, strict=True)):
            timed = Stream(seconds=0.02 * (i + 1))
            expected, state = network.step(frame, grid, state, timed)
            estimate, fast_state = fast.step(frame, grid, fast_state, timed)
            for a, b in zip(estimate, expected, strict=True):
                assert (a is None) == (b is None)
                assert a is None or close(a, b, tolerance)
    assert list(fast_state) == list(state)
    assert all(close(fast_state[name], state[name], tolerance) for name in state)


def close(a, b, tolerance):
    near = relative(a, b) < tolerance or not (a.any() or b.any())
    return a.shape == b.shape and a.dtype == b.dtype and near


def test_kernels_for_the_head_start(network, stream):
    assert_same(CpuEngine(network), network, *stream(frames=5, height=50, width=70))


def test_kernels_whatever_the_layout_of_the_frame(make_network, stream):
    network = make_network(form="compact")
    ldr, voxel = stream(frames=3, height=24, width=40)
    ldr = [frame.to(memory_format=torch.channels_last) for frame in ldr]
    assert not ldr[0].is_contiguous()
    assert_same(CpuEngine(network), network, ldr, voxel)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 64), (33, 9)])
@pytest.mark.parametrize("form", ["full", "compact"])
def test_kernels_at_any_size(make_network, stream, size, form):
    network = make_network(form=form)
    assert_same(CpuEngine(network), network, *stream(3, *size))


@pytest.mark.parametrize("size", [(2, 2), (2, 3), (5, 64), (33, 9), (48, 80)])
def test_kernels_make_each_plane_as_pytorch_does(stream, size):
    """Fractional counts, as voxel grids have them; few events, so that exposed pixels tell of the fit."""
    ldr, voxel = stream(5, *size)
    ldr[2] = 0.97 * ldr[1]
    voxel *= torch.rand(voxel.shape, generator=torch.Generator().manual_seed(0)) * (voxel > 0)
    state = kernels = initial_state(ldr[0])
    for frame, grid, seconds in zip(ldr, voxel, (0.05, 0.01, 0.3, 0.0, 20.0), strict=True):
        timed = Stream(CLIPPED, torch.tensor([seconds]))
        expected, state, evidence = head_start.prepare(frame, grid, state, timed, compiled=False)
        prepared, kernels, found = head_start.prepare(frame, grid, kernels, timed, compiled=True)
        for part, other in ((expected, prepared), (state, kernels), (evidence.fit, found.fit)):
            assert all(close(b, a, 1e-5) for a, b in zip(part, other, strict=True))
        planes = zip(expected.image.unbind(1), prepared.image.unbind(1), strict=True)
        assert all(close(b, a, 1e-5) for a, b in planes)
        assert all(close(b, a, 1e-5) for a, b in zip(evidence[1:], found[1:], strict=True))


@pytest.mark.parametrize("size", [(33, 9), (48, 80)])
def test_kernels_where_events_explain_the_frames(stream, size):
    """Whose guesses are corrected, and ghosts levelled."""
    ldr, voxel = stream(5, *size)
    voxel *= torch.rand(voxel.shape, generator=torch.Generator().manual_seed(0)) < 0.1  # edges far apart
    state, sums = initial_state(ldr[0]), torch.tensor([[1e5, 1e5, 0, 0.25e5, -0.25e5, 1e5, 1e3, 1e5]])
    seconds, levelled = torch.tensor([0.02]), 0
    for frame, grid in zip(ldr, voxel, strict=True):
        state = state._replace(fit=sums)
        _, kernels, _ = head_start.prepare(frame, grid, state, Stream(CLIPPED, seconds), compiled=True)
        _, state, _ = head_start.prepare(frame, grid, state, Stream(CLIPPED, seconds), compiled=False)
        assert all(close(b, a, 1e-5) for a, b in zip(state, kernels, strict=True))
        clipped = (frame >= CLIPPED).any(1, keepdim=True)
        grey = state.log_radiance.mean(1, keepdim=True)
        change = edges.levelled(grey, state.variance, state.quiet, clipped, seconds.view(1, 1, 1, 1), 5)
        levelled += (change.abs() > 0.01).sum()
    assert levelled > 0


@pytest.mark.parametrize("form", ["full", "compact"])
def test_kernels_where_nothing_and_everything_is_clipped(make_network, stream, form):
    network = make_network(form=form)
    ldr, voxel = stream(frames=5, height=24, width=24)
    ldr[1:3] = 0.3
    ldr[3] = 1.0
    assert_same(CpuEngine(network), network, ldr, voxel)


def test_kernels_leave_what_they_are_given_as_it_is(make_network, stream):
    network = CpuEngine(make_network())
    ldr, voxel = stream()
    with torch.inference_mode():
        _, state = network.step(ldr[0], voxel[0])
        inputs = [*state.values(), ldr[1], voxel[1]]
        before = [x.clone() for x in inputs]
        estimate, _ = network.step(ldr[1], voxel[1], state)
        estimate.radiance.add_(1)
    assert all(map(torch.equal, inputs, before))


def test_folded_norms(network, stream):
    ldr, voxel = stream(frames=3)
    folded = fold_norms(for_inference(network))
    assert_same(folded, network, ldr, voxel)
    norms = [name for name, module in folded.named_modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert all(name.endswith("output_norm") or ".up" in name or "decoders" in name for name in norms)


def test_the_forms_for_tensor_cores(network, stream):
    fast = for_tensor_cores(fold_norms(for_inference(network)))
    assert_same(fast, network, *stream(frames=3, height=50, width=70))
    convolutions = [m for m in fast.modules() if isinstance(m, torch.nn.Conv2d) and m.kernel_size != (1, 1)]
    if network.config.form == "full":  # the other's depthwise convolutions have no use for tensor cores
        assert not any(m.in_channels % 8 or m.out_channels % 8 for m in convolutions)


@needs_openvino
def test_openvino(network, stream):
    assert_same(OpenVinoEngine(network), network, *stream(frames=5, height=50, width=70))


@needs_openvino
def test_openvino_takes_a_state_from_pytorch_and_gives_one_back(make_network, stream):
    network = make_network()
    fast = OpenVinoEngine(network)
    ldr, voxel = stream(frames=4)
    state = mixed = None
    with torch.inference_mode():
        for i, (frame, grid) in enumerate(zip(ldr, voxel, strict=True)):
            expected, state = network(frame, grid, state)
            estimate, mixed = (fast if i % 2 else network).step(frame, grid, mixed)
            assert relative(estimate.radiance, expected) < 1e-5


@needs_openvino
def test_openvino_tells_nobody_of_its_use_and_leaves_signals_as_they_are(tmp_path):
    """In its own process, with its own home: children end there, which Python is told on the signal stack."""
    program = (
        "import faulthandler, subprocess, torch\n"
        "faulthandler.enable()\n"
        "from rehdr_ros.network import Rehdr, RehdrConfig\n"
        "from rehdr_ros.network.engines.openvino import OpenVinoEngine\n"
        "import signal\n"
        "signal.signal(signal.SIGCHLD, lambda *_: None)\n"
        "for _ in range(2):\n"
        "    network = Rehdr(RehdrConfig(base_channels=4, scales=1)).eval().requires_grad_(False)\n"
        "    network = OpenVinoEngine(network)\n"
        "    network.step(torch.rand(1, 3, 16, 16), torch.zeros(1, 5, 16, 16))\n"
        "    del network\n"
        "    for _ in range(3):\n"
        "        subprocess.run(['true'], check=True)\n"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "CI": ""}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
    assert not list(tmp_path.iterdir())


@needs_openvino
def test_what_openvino_has_read_is_kept_for_the_same_weights(make_network, stream, tmp_path, monkeypatch):
    from rehdr_ros.network.engines import openvino_cache
    from rehdr_ros.network.engines.openvino_core import openvino

    monkeypatch.setattr(openvino_cache, "FOLDER", tmp_path / "cache")
    ldr, voxel = stream(frames=2)
    for seed in (0, 1):
        network = make_network(seed)
        assert_same(OpenVinoEngine(network), network, ldr, voxel)
        with monkeypatch.context() as context:
            context.delattr(openvino, "convert_model")  # it is not needed
            assert_same(OpenVinoEngine(network), network, ldr, voxel)
    assert len(list((tmp_path / "cache").iterdir())) == 2
    for file in (tmp_path / "cache").rglob("network.xml"):
        file.write_text("<damaged")
    assert_same(OpenVinoEngine(network), network, ldr, voxel)


@needs_openvino
def test_openvino_meets_another_size_and_keeps_what_it_returned(make_network, stream):
    network = make_network()
    fast = OpenVinoEngine(network)
    ldr, voxel = stream(frames=2)
    with torch.inference_mode():
        first, state = fast.step(ldr[0], voxel[0])
        before = [x.clone() for x in (*first, *state.values())]
        fast.step(ldr[1], voxel[1], state)
        assert_same(fast, network, *stream(frames=2, height=36, width=44))
    assert all(map(torch.equal, [*first, *state.values()], before))


@pytest.mark.skipif(torch.__version__ < "2", reason="before PyTorch 2 a CPU's bfloat16 is refused")
def test_bfloat16_stays_near_float32(stream):
    network = load_checkpoint("rehdr_t")
    low = CpuEngine(for_inference(network).bfloat16())
    state = low_state = None
    with torch.inference_mode():
        for frame, grid in zip(*stream(frames=6, height=48, width=64), strict=True):
            expected, state = network(frame, grid, state)
            estimate, low_state = low.step(frame, grid, low_state)
            assert estimate.radiance.dtype == torch.float32
            assert relative(estimate.radiance, expected) < 1e-2


@pytest.mark.skipif(torch.__version__ < "2", reason="torch.compile came with PyTorch 2")
@pytest.mark.parametrize(
    "config", [{}, {"form": "compact"}, {"radiance": "relative", "fusion": "published", "norm": "batch"}]
)
def test_the_step_can_be_recorded(make_network, stream, config):
    """What CUDA graphs replay: one graph without a break, by the compiler that needs no GPU."""
    network = make_network(**config)
    fast = CudaEngine(for_tensor_cores(for_inference(network)), compiled=True)
    step = torch.compile(fast.step_in_place, fullgraph=True, dynamic=False, backend="aot_eager")
    state, plain = None, network.initial_state(1, 20, 28)
    with torch.inference_mode():
        for frame, grid in zip(*stream(frames=3, height=20, width=28), strict=True):
            expected, state = network.step(frame, grid, state)
            # The new state is left where the old one was.
            estimate = step(frame, grid, torch.tensor(CLIPPED), torch.full((1,), USUAL_STREAM.seconds), plain)
            assert relative(estimate.radiance, expected.radiance) < 1e-4


@needs_cuda
@pytest.mark.parametrize("compiled", [True, False])
def test_cuda_graph(network, stream, compiled):
    fast = CudaEngine(for_tensor_cores(fold_norms(for_inference(network))).cuda(), compiled)
    network.cuda()
    ldr, voxel = (x.cuda() for x in stream(frames=5, height=50, width=70))
    with torch.inference_mode():
        state = fast_state = None
        for frame, grid in zip(ldr, voxel, strict=True):
            expected, state = network(frame, grid, state)
            estimate, fast_state = fast.step(frame, grid, fast_state)
            assert relative(estimate.radiance, expected) < 5e-3  # TF32
        again, _ = fast.step(ldr[0], voxel[0])
        assert relative(again.radiance, network(ldr[0], voxel[0])[0]) < 5e-3
