"""The exported step in onnxruntime against the network; the first frames' state comes from the file alone."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

import rehdr_ros
from rehdr_ros.errors import InputError
from rehdr_ros.network import Rehdr, RehdrConfig, Stream
from rehdr_ros.network.engines import onnx as onnx_export
from rehdr_ros.network.engines.onnx import difference, export_onnx
from rehdr_ros.network.event_fit import PRIOR
from rehdr_ros.network.head_start.reference import UNKNOWN

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

SIZE = 30, 21  # padded to 32x24
CLIPPED_FROM = 0.8
CONFIGURATIONS = {
    "as shipped": {"form": "compact"},
    "full resolution": {},
    "authors', GRU": {"radiance": "relative", "fusion": "published", "recurrent": "convgru", "norm": "batch"},
}


def random_network(**config):
    torch.manual_seed(0)
    config = RehdrConfig(**{"base_channels": 4, "scales": 2, "residual_blocks": 1, **config})
    network = Rehdr(config).eval().requires_grad_(False)
    for parameter in network.body.prediction.parameters():
        parameter.normal_(std=0.1)
    return network


@pytest.fixture(scope="module", params=CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def exported(request, tmp_path_factory):
    """A network and its file."""
    network, path = random_network(**request.param), tmp_path_factory.mktemp("onnx") / "net.onnx"
    export_onnx(network, path, SIZE, CLIPPED_FROM)
    return network, path


def test_onnxruntime_computes_what_pytorch_does(exported, stream):
    network, path = exported
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    initial = json.loads(session.get_modelmeta().custom_metadata_map["initial_state"])
    names = list(network.initial_state(1, *SIZE[::-1]))
    shapes = {each.name: each.shape for each in session.get_inputs()}
    theirs, state = {name: np.full(shapes[name], initial.get(name, 0), np.float32) for name in names}, None
    for k, (ldr, voxel) in enumerate(zip(*stream(frames=5, width=SIZE[0], height=SIZE[1]), strict=True)):
        seconds = torch.tensor([0.02 + 0.03 * k])
        expected, state = network(ldr, voxel, state, Stream(CLIPPED_FROM, seconds))
        timed = {"seconds": seconds.numpy()} if "seconds" in shapes else {}
        radiance, *new = session.run(None, {"ldr": ldr.numpy(), "voxel": voxel.numpy(), **timed, **theirs})
        theirs = dict(zip(names, new, strict=True))
        for a, b in zip([radiance, *new], [expected, *state.values()], strict=True):
            assert a.shape == b.shape and a.dtype == np.float32
            assert np.linalg.norm(a - b.numpy()) <= 1e-5 * b.norm()
    assert difference(path, network, CLIPPED_FROM) < 1e-5


def test_the_check_notices_another_network(exported):
    network, path = exported
    other = random_network(**asdict(network.config))
    for parameter in other.body.prediction.parameters():
        parameter *= 1.1
    assert difference(path, other, CLIPPED_FROM) > 1e-4


def test_the_file_says_what_it_is(exported):
    network, path = exported
    assert [each.name for each in path.parent.iterdir()] == ["net.onnx"]
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 18)]
    shapes = {
        each.name: [d.dim_value for d in each.type.tensor_type.shape.dim]
        for each in (*model.graph.input, *model.graph.output)
    }
    names = list(network.initial_state(1, *SIZE[::-1]))
    is_timed = network.config.radiance == "ldr_white"
    inputs = ["ldr", "voxel", *(["seconds"] if is_timed else []), *names]
    assert list(shapes) == [*inputs, "radiance", *(f"new_{name}" for name in names)]
    assert not is_timed or shapes["seconds"] == [1]
    assert shapes["ldr"] == shapes["radiance"] == [1, 3, 21, 30] and shapes["voxel"] == [1, 5, 21, 30]
    assert shapes["hidden_1"] == [1, 16, *((3, 4) if network.config.form == "compact" else (6, 8))]
    assert all(shapes[name] == shapes[f"new_{name}"] for name in names)
    metadata = {each.key: each.value for each in model.metadata_props}
    assert RehdrConfig(**json.loads(metadata.pop("config"))) == network.config
    unknown = (
        {"variance": UNKNOWN, "age": 10.0, "quiet": 10.0, "fit": pytest.approx(PRIOR)} if is_timed else {}
    )
    assert json.loads(metadata.pop("initial_state")) == unknown
    assert metadata == {
        "rehdr_ros": rehdr_ros.__version__,
        "size": "30x21",
        "radiance": network.config.radiance,
        "clipped_from": "0.8",
    }


def test_the_convolutions_are_known_by_their_names(exported):
    """TensorRT is told by these which layers may have 16 bits: docs/training.md."""
    for node in onnx.load(exported[1]).graph.node:
        named = node.name.startswith(("node_conv2d", "node_convolution", "node_Conv"))
        assert named == (node.op_type in ("Conv", "ConvTranspose")), node.name


def test_the_file_names_no_path_of_this_machine(exported):
    data = exported[1].read_bytes()
    for module in (rehdr_ros, torch):
        assert str(Path(module.__file__).parent).encode() not in data


def test_what_is_missing_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(onnx_export, "find_spec", lambda name: None if name == "onnxscript" else name)
    with pytest.raises(InputError, match=r"needs onnxscript: pip install rehdr_ros\[onnx\]"):
        export_onnx(random_network(), tmp_path / "net.onnx", SIZE)
