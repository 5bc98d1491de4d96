"""One step of a network as an ONNX file, and how far from PyTorch it computes: docs/training.md."""

import json
import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import rehdr_ros
from rehdr_ros.errors import InputError
from rehdr_ros.network.contract import USUAL_SECONDS, Network, Stream
from rehdr_ros.network.integrator import CLIPPED

OPSET = 18  # what the exporter writes without a conversion, and TensorRT 10 reads
FRAMES = 5


class Step(nn.Module):
    """`forward(ldr, voxel, seconds, *state)` -> (radiance, *state), as of Network.

    seconds: (1,), left out for "relative" radiance, for which time is nothing. names: of the state's tensors,
    in their order. clipped_from: as of Stream.
    """

    def __init__(self, network: Network, names: Iterable[str], clipped_from: float = CLIPPED):
        super().__init__()
        self.network, self.names, self._clipped_from = network, list(names), clipped_from
        self.timed = network.config.radiance == "ldr_white"

    def forward(self, ldr: Tensor, voxel: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        seconds, *state = rest if self.timed else (ldr.new_zeros(1), *rest)
        state = dict(zip(self.names, state, strict=True))
        radiance, new = self.network(ldr, voxel, state, Stream(self._clipped_from, seconds))
        return radiance, *(new[name] for name in self.names)


def export_onnx(
    network: Network, path: str | Path, size: tuple[int, int], clipped_from: float = CLIPPED
) -> None:
    """Write a step of a network, float32, on the CPU, in evaluation mode, for frames of one width and height.

    The file holds the weights. Inputs: ldr (1, 3, H, W), voxel (1, bins, H, W), seconds (1,) since the last
    frame (not for "relative" radiance), then the state by its names; outputs: radiance (1, 3, H, W), then the
    state as new_NAME. All float32. Its metadata are strings: rehdr_ros, the version; config, JSON; size, WxH;
    radiance; clipped_from, as of Stream; initial_state, JSON: by name, what to fill a state with before the
    first frame, where that is not zero. Raises InputError where onnx or onnxscript is not installed.
    """
    missing = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    if missing:
        raise InputError(f"the export needs {' and '.join(missing)}: pip install rehdr_ros[onnx]")
    width, height = size
    state, ldr = network.initial_state(1, height, width), torch.zeros(1, 3, height, width)
    step = Step(network, state, clipped_from)
    with _quiet():
        program = torch.onnx.export(
            step,
            (ldr, torch.zeros(1, network.config.bins, height, width), *_seconds(step), *state.values()),
            dynamo=True,
            opset_version=OPSET,
            input_names=["ldr", "voxel", *(["seconds"] if step.timed else []), *step.names],
            output_names=["radiance", *(f"new_{name}" for name in step.names)],
            verbose=False,
        )
    for part in (program.model.graph, *program.model.graph):
        part.metadata_props.clear()  # stack traces: paths of this machine
    metadata = {
        "rehdr_ros": rehdr_ros.__version__,
        "config": json.dumps(asdict(network.config)),
        "size": f"{width}x{height}",
        "radiance": network.config.radiance,
        "clipped_from": repr(clipped_from),
        "initial_state": json.dumps({name: _filling(x) for name, x in state.items() if x.any()}),
    }
    program.model.metadata_props.update(metadata)
    program.save(path, external_data=False)


@torch.no_grad()
def difference(path: str | Path, network: Network, clipped_from: float = CLIPPED) -> float:
    """How far an exported file, run by onnxruntime, is from its network over FRAMES random frames.

    Each carries its own state. Returns the largest difference of any output and frame, its norm relative to
    the output's; NaN where one is.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    shapes = {each.name: each.shape for each in session.get_inputs()}
    initial = json.loads(session.get_modelmeta().custom_metadata_map["initial_state"])
    ours = network.initial_state(1, *shapes["ldr"][2:])
    step = Step(network, ours, clipped_from)
    theirs = [np.full(shapes[name], initial.get(name, 0), np.float32) for name in step.names]
    generator = torch.Generator().manual_seed(0)
    ours, differences = ours.values(), []
    for _ in range(FRAMES):
        ldr = (1.5 * torch.rand(shapes["ldr"], generator=generator)).clamp_max(1)  # a third of it clips
        voxel = torch.randint(-2, 3, shapes["voxel"], generator=generator).float()
        radiance, *ours = step(ldr, voxel, *_seconds(step), *ours)
        feed = dict(zip(step.names, theirs, strict=True)) | {"ldr": ldr.numpy(), "voxel": voxel.numpy()}
        feed |= {"seconds": _seconds(step)[0].numpy()} if step.timed else {}
        other, *theirs = session.run(None, feed)
        for a, b in zip([radiance, *ours], [other, *theirs], strict=True):
            differences.append(np.linalg.norm(a.numpy() - b) / max(np.linalg.norm(a.numpy()), 1e-6))
    return float(np.max(differences))


def _seconds(step: Step) -> list[Tensor]:
    return [torch.full((1,), USUAL_SECONDS)] if step.timed else []


def _filling(x: Tensor) -> float | list:
    """One number where that is enough: planes are as large as the frames."""
    return x.flatten()[0].item() if (x == x.flatten()[0]).all() else x[0].tolist()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says of itself and of packages that nothing here needs."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
