"""Another network with another state: written here, entered in the table of checkpoints, and run everywhere.

It takes nothing else: what runs networks knows them by contract.py alone.
"""

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rehdr_ros.cli import main
from rehdr_ros.network import Network, Stream, checkpoint, load_checkpoint, save_checkpoint
from rehdr_ros.network.contract import USUAL_STREAM, Estimate, PartedNetwork
from rehdr_ros.network.engines.choice import choose
from rehdr_ros.network.engines.cuda import CudaEngine
from rehdr_ros.network.engines.onnx import difference, export_onnx
from rehdr_ros.network.engines.openvino import is_installed
from rehdr_ros.network.integrator import CLIPPED, luminance
from rehdr_ros.reconstruction import HdrPipeline, PipelineConfig
from rehdr_ros.reconstruction.snapshot import Snapshot
from rehdr_ros.safetensors_file import read
from rehdr_ros.training.config import TrainConfig

CPU = torch.device("cpu")


@dataclass(frozen=True)
class TrailConfig:
    bins: int = 3
    channels: int = 4
    radiance: str = "ldr_white"
    voxel: str = "counts"


class Trail(PartedNetwork):
    """What was seen, at half resolution, the brightest level of each pixel, and how many frames there
    were."""

    configuration, multiple, cells = TrailConfig, 2, ("trail",)

    def __init__(self, config: TrailConfig):
        super().__init__()
        self.config = config
        self.encode = nn.Conv2d(3 + config.bins, config.channels, 2, 2)
        self.decode = nn.Conv2d(config.channels, 1, 1)

    def initial_state(self, batch, height, width):
        size, zeros = (height + height % 2, width + width % 2), self.decode.weight.new_zeros
        trail = zeros(batch, self.config.channels, size[0] // 2, size[1] // 2)
        return {"trail": trail, "brightest": zeros(batch, 1, *size), "frames": zeros(batch, 1)}

    def rescale(self, state, gain):
        return {**state, "brightest": state["brightest"] * gain}

    def prepare(self, ldr, voxel, state, stream, compiled=False):
        brightest = torch.maximum(state["brightest"], luminance(ldr))
        new = {"brightest": brightest, "frames": state["frames"] + 1}
        return (ldr, voxel, stream.seconds.view(-1, 1, 1, 1)), new, new

    def features(self, inputs, cells):
        ldr, voxel, seconds = inputs
        new = F.relu(self.encode(torch.cat((ldr, voxel), 1)))
        trail = cells["trail"] * (-seconds).exp() + new
        return F.interpolate(self.decode(trail), scale_factor=2.0), {"trail": trail}

    def compose(self, features, ldr, known, stream, compiled=False):
        clipped = ldr >= stream.clipped_from
        above = known["brightest"] + features.abs() / known["frames"].view(-1, 1, 1, 1)
        sigma = torch.where(clipped.any(1, keepdim=True), 1.0, 0.1)
        cause = 3 * clipped.any(1, keepdim=True).float()
        return Estimate(torch.where(clipped, ldr + above, ldr), sigma, cause)


@dataclass(frozen=True)
class WholeConfig(TrailConfig):
    pass


class Whole(Network):
    """The same, with nothing but the step."""

    configuration = WholeConfig

    def __init__(self, config: WholeConfig):
        super().__init__()
        self.config, self.inner = config, Trail(config)

    def initial_state(self, batch, height, width):
        return self.inner.initial_state(batch, height, width)

    def rescale(self, state, gain):
        return self.inner.rescale(state, gain)

    def step(self, ldr, voxel, state=None, stream=USUAL_STREAM):
        return self.inner.step(ldr, voxel, state, stream)


class Plain(Network):
    """Convolutions right on what comes in, and no uncertainty."""

    configuration = TrailConfig

    def __init__(self, config: TrailConfig):
        super().__init__()
        self.config = config
        self.encode = nn.Conv2d(3 + config.bins + 1, 4, 3, padding=1)

    def initial_state(self, batch, height, width):
        return {"level": self.encode.weight.new_zeros(batch, 1, height, width)}

    def rescale(self, state, gain):
        return {"level": state["level"] * gain}

    def step(self, ldr, voxel, state=None, stream=USUAL_STREAM):
        state = self.initial_state(len(ldr), *ldr.shape[2:]) if state is None else state
        more, level = F.relu(self.encode(torch.cat((ldr, voxel, state["level"]), 1))).split((3, 1), 1)
        return Estimate(ldr + torch.where(ldr >= stream.clipped_from, more, 0.0)), {"level": level}


@pytest.fixture(params=[Trail, Whole])
def network(request, monkeypatch):
    monkeypatch.setitem(checkpoint.NETWORKS, "another", request.param)
    torch.manual_seed(0)
    return request.param(request.param.configuration()).eval().requires_grad_(False)


@pytest.fixture
def weights(network, tmp_path):
    save_checkpoint(network, tmp_path / "another.safetensors")
    return tmp_path / "another.safetensors"


def frames(height, width):
    generator = torch.Generator().manual_seed(0)
    ldr = (1.3 * torch.rand(4, 1, 3, height, width, generator=generator)).clamp_max(1)
    grids = torch.randint(-2, 3, (4, 1, 3, height, width), generator=generator).float()
    return list(zip(ldr, grids, strict=True))


def through(runner, network, height=33, width=46):
    """All that the frames give, with another exposure on the way."""
    outputs, state = [], None
    with torch.inference_mode():
        for k, (ldr, voxel) in enumerate(frames(height, width)):
            if k == 2:
                state = network.rescale(state, 1.5)
            estimate, state = runner.step(ldr, voxel, state, Stream(0.9, 0.02 + 0.1 * k))
            outputs += [x.clone() for x in (*estimate, *state.values()) if x is not None]
    return outputs, list(state)


def test_its_checkpoint_says_what_it_is(network, weights):
    assert read(weights)[1]["architecture"] == "another"
    loaded = load_checkpoint(weights)
    assert type(loaded) is type(network) and loaded.config == network.config
    assert all(map(torch.equal, through(loaded, network)[0], through(network, network)[0]))


def test_a_training_makes_it():
    """By the file of its configuration."""
    with pytest.MonkeyPatch.context() as context:
        context.setitem(checkpoint.NETWORKS, "another", Trail)
        config = TrainConfig.from_dict({"network": {"architecture": "another", "channels": 2}}).network
        assert checkpoint.make_network(config).decode.weight.shape == (1, 2, 1, 1)


@pytest.mark.parametrize("name", ["PyTorch", "OpenVINO float32"])
def test_every_engine_of_a_cpu_runs_it(network, name):
    if name != "PyTorch" and not is_installed():
        pytest.skip("OpenVINO is not installed")
    engine = choose(network, CPU, "float32", "pytorch" if name == "PyTorch" else "auto")
    engine.require(name)  # however fast it is
    for size in ((33, 46), (20, 31)):
        engine.compile(*size)
        assert engine.name == name
        (ours, names), (expected, same) = through(engine, network, *size), through(network, network, *size)
        assert names == same
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(torch.__version__ < "2", reason="torch.compile came with PyTorch 2")
def test_a_cuda_graph_can_record_it(network):
    step = CudaEngine(network, compiled=True).step_in_place
    step = torch.compile(step, fullgraph=True, dynamic=False, backend="aot_eager")
    (ldr, voxel), state = frames(20, 31)[0], network.initial_state(1, 20, 31)
    with torch.inference_mode():
        expected, new = network.step(ldr, voxel)
        estimate = step(ldr, voxel, torch.tensor(CLIPPED), torch.full((1,), USUAL_STREAM.seconds), state)
    torch.testing.assert_close(estimate.radiance, expected.radiance)
    torch.testing.assert_close(state, new)


def test_it_can_be_exported(network, tmp_path):
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    export_onnx(network, tmp_path / "net.onnx", (31, 20))
    assert difference(tmp_path / "net.onnx", network) < 1e-5


@pytest.mark.skipif(torch.__version__ < "2", reason="16 bits on a CPU need PyTorch 2")
def test_in_16_bits_a_network_without_parts_gets_what_it_computes_with():
    torch.manual_seed(0)
    network = Plain(TrailConfig()).eval().requires_grad_(False)
    engine = choose(network, CPU, "bfloat16", "pytorch")
    torch.testing.assert_close(through(engine, network)[0], through(network, network)[0])


def test_a_network_without_uncertainty_is_refused_what_it_does_not_tell(
    monkeypatch, simulated_bag, tmp_path, capsys
):
    monkeypatch.setitem(checkpoint.NETWORKS, "another", Plain)
    save_checkpoint(Plain(TrailConfig()), tmp_path / "plain.safetensors")
    run = ["reconstruct", str(simulated_bag), "-o", str(tmp_path / "out")]
    run += ["--weights", str(tmp_path / "plain.safetensors"), "--device", "cpu"]
    assert main([*run, "--uncertainty"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("rehdr reconstruct: --uncertainty: the weights give no uncertainty")
    assert main(run) == 0


def pipeline_of(weights, **config):
    fixed = {"device": "cpu", "precision": "float32", "policy": "all", "event_latency": 0.0}
    return HdrPipeline(PipelineConfig(weights=str(weights), **{**fixed, **config}))


def messages(pipeline, recording):
    """Every frame, its exposure doubled on the way."""
    for k, (stamp, image, events) in enumerate(recording):
        pipeline.add_events(events)
        pipeline.add_frame(stamp, image, 0.01 * (1 + k // 3))
        yield


def offline(pipeline, recording):
    made = []
    for _ in messages(pipeline, recording):
        made += list(pipeline.take(flush=True))
    return made


def test_node_and_offline_runner_give_the_same(network, weights, recording):
    results = offline(pipeline_of(weights), recording)
    node = pipeline_of(weights, policy="latest")
    node.warm_up(recording[0][1].shape[1::-1])
    live = []
    for _ in messages(node, recording):
        live += list(node.take(now=1e9))  # a time by which no frame waits any longer
    assert len(live) == len(results) == len(recording)
    for ours, expected in zip(live, results, strict=True):
        radiances = torch.tensor(ours.radiance), torch.tensor(expected.radiance)
        torch.testing.assert_close(*radiances, rtol=1e-4, atol=1e-5)
    assert any((frame.radiance > 1.01).any() for frame in results)


def test_an_interrupted_reconstruction_goes_on_where_it_was(network, weights, recording, tmp_path):
    expected = offline(pipeline_of(weights), recording)
    first = pipeline_of(weights)
    offline(first, recording[:4])
    first.snapshot.write(tmp_path / "snapshot")
    snapshot, _ = Snapshot.read(tmp_path / "snapshot")
    assert {name: x.shape for name, x in snapshot.state.items()} == {
        "trail": (1, 4, 17, 23), "brightest": (1, 1, 34, 46), "frames": (1, 1),
    }  # fmt: skip
    second = pipeline_of(weights)
    second.resume(snapshot)
    for ours, frame in zip(offline(second, recording), expected[4:], strict=True):
        assert torch.equal(torch.tensor(ours.radiance), torch.tensor(frame.radiance))


def test_another_resolution_starts_anew(network, weights, recording):
    stamp, image, _ = recording[-1]
    pipeline, fresh = pipeline_of(weights), pipeline_of(weights)
    offline(pipeline, recording)
    for each in (pipeline, fresh):
        each.add_frame(stamp + 50_000_000, image[:20, :31], 0.01)
    (ours,), (expected,) = (list(each.take(flush=True)) for each in (pipeline, fresh))
    assert ours.info.reset_reason == "new resolution"
    assert torch.equal(torch.tensor(ours.radiance), torch.tensor(expected.radiance))
