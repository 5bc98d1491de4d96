"""A network on a CPU by OpenVINO, where that is installed: its convolutions, or its step as a whole."""

from __future__ import annotations

import importlib.util
import warnings

import torch
from torch import Tensor, nn

from rehdr_ros.network.contract import USUAL_STREAM, Estimate, Network, PartedNetwork, State, Stream, padded

_TRACED = 16  # px, times the network's multiple: the size at which its convolutions are read


def is_installed() -> bool:
    return importlib.util.find_spec("openvino") is not None


def openvino_engine(network: Network, precision: str = "float32") -> PartsByOpenVino | StepByOpenVino:
    """precision: "float32" or "bfloat16"; what comes in and out, the state above all, is float32 in both.

    A size that it meets for the first time is compiled, which takes about half a second; a whole step is read anew.
    """
    return (PartsByOpenVino if isinstance(network, PartedNetwork) else StepByOpenVino)(network, precision)


class PartsByOpenVino:
    """The convolutions by OpenVINO, the parts around them as of CpuEngine."""

    def __init__(self, network: PartedNetwork, precision: str):
        self._network, self._request = network, _Request(precision)
        self._function = _Features(network)
        self._model = None

    def build(self, height: int, width: int) -> None:
        """Get ready for a frame size."""
        from rehdr_ros.network.engines.openvino_cache import cached

        multiple = self._network.multiple
        if self._model is None:  # of any size; it takes some seconds, once
            traced = self._examples(_TRACED * multiple, _TRACED * multiple)
            self._model = cached(self._network, lambda: _convert(self._function, traced))
        self._request.compile(self._model, self._examples(padded(height, multiple), padded(width, multiple)))

    def step(
        self, ldr: Tensor, voxel: Tensor, state: State | None = None, stream: Stream = USUAL_STREAM
    ) -> tuple[Estimate, State]:
        return self._network.step(ldr, voxel, state, stream, features=self._features, compiled=True)

    def _features(self, inputs: tuple[Tensor, ...], cells: State) -> tuple[Tensor, State]:
        tensors = [*inputs, *cells.values()]
        if not self._request.takes(tensors):
            self.build(*inputs[0].shape[-2:])
        features, *new = self._request(tensors)
        return features, dict(zip(cells, new, strict=True))

    def _examples(self, height: int, width: int) -> list[Tensor]:
        ldr, voxel, state = _blank(self._network, height, width)
        inputs, _, _ = self._network.prepare(ldr, voxel, state, Stream(seconds=torch.zeros(1)))
        return [*inputs, *(state[name] for name in self._network.cells)]


class _Features(nn.Module):
    """PartedNetwork.features as a function of tensors alone."""

    def __init__(self, network: PartedNetwork):
        super().__init__()
        self.network = network

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        names = self.network.cells
        count = len(tensors) - len(names)
        features, new = self.network.features(tensors[:count], dict(zip(names, tensors[count:], strict=True)))
        return features, *(new[name] for name in names)


class StepByOpenVino:
    """The whole step by OpenVINO."""

    def __init__(self, network: Network, precision: str):
        self._network, self._request = network, _Request(precision)

    def build(self, height: int, width: int) -> None:
        """Get ready for a frame size."""
        ldr, voxel, state = _blank(self._network, height, width)
        examples = [ldr, voxel, *_tensors(USUAL_STREAM), *state.values()]
        self._request.compile(_convert(_Step(self._network, list(state)), examples), examples)

    def step(
        self, ldr: Tensor, voxel: Tensor, state: State | None = None, stream: Stream = USUAL_STREAM
    ) -> tuple[Estimate, State]:
        self._network.check(ldr, voxel)
        state = self._network.initial_state(1, *ldr.shape[-2:]) if state is None else state
        tensors = [ldr, voxel, *_tensors(stream), *state.values()]
        if not self._request.takes(tensors):
            self.build(*ldr.shape[-2:])
        outputs = self._request(tensors)
        estimate, new = outputs[: -len(state)], outputs[-len(state) :]
        return Estimate(*estimate), dict(zip(state, new, strict=True))


class _Step(nn.Module):
    """Network.step as a function of tensors alone."""

    def __init__(self, network: Network, names: list[str]):
        super().__init__()
        self.network, self._names = network, names

    def forward(
        self, ldr: Tensor, voxel: Tensor, clipped_from: Tensor, seconds: Tensor, *state: Tensor
    ) -> tuple[Tensor, ...]:
        state = dict(zip(self._names, state, strict=True))
        estimate, new = self.network.step(ldr, voxel, state, Stream(clipped_from, seconds))
        return *(x for x in estimate if x is not None), *(new[name] for name in self._names)


class _Request:
    """What OpenVINO has compiled for some shapes: float32 tensors in, new ones out."""

    def __init__(self, precision: str):
        self._precision = {"float32": "f32", "bfloat16": "bf16"}[precision]
        self._shapes: list[tuple[int, ...]] | None = None

    def compile(self, model, examples: list[Tensor]) -> None:
        from rehdr_ros.network.engines.openvino_core import core

        shapes = [tuple(x.shape) for x in examples]
        model = model.clone()
        model.reshape(dict(zip(model.inputs, shapes, strict=True)))
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": self._precision,
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "ENABLE_CPU_PINNING": False,  # other nodes may run on the same cores
        }
        compiled = core().compile_model(model, "CPU", options)
        self._request, self._shapes = compiled.create_infer_request(), shapes
        self._outputs = [tuple(output.shape) for output in compiled.outputs]

    def takes(self, tensors: list[Tensor]) -> bool:
        return [tuple(x.shape) for x in tensors] == self._shapes

    def __call__(self, tensors: list[Tensor]) -> list[Tensor]:
        from rehdr_ros.network.engines.openvino_core import openvino

        inputs = [x.float().contiguous() for x in tensors]
        # New tensors each time, written in place: what was returned before stays as it is.
        outputs = [torch.empty(shape) for shape in self._outputs]
        for i, x in enumerate(inputs):
            self._request.set_input_tensor(i, openvino.Tensor(x.numpy(), shared_memory=True))
        for i, x in enumerate(outputs):
            self._request.set_output_tensor(i, openvino.Tensor(x.numpy(), shared_memory=True))
        self._request.infer()
        return outputs


def _convert(function: nn.Module, examples: list[Tensor]):
    from rehdr_ros.network.engines.openvino_core import openvino

    examples = tuple(examples)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of checks that tracing takes as constants, and of its deprecation
        traced = torch.jit.trace(function, examples, check_trace=False)
        return openvino.convert_model(traced, example_input=examples)


def _blank(network: Network, height: int, width: int) -> tuple[Tensor, Tensor, State]:
    ldr, voxel = (torch.zeros(1, channels, height, width) for channels in (3, network.config.bins))
    return ldr, voxel, network.initial_state(1, height, width)


def _tensors(stream: Stream) -> list[Tensor]:
    return [torch.as_tensor(x, dtype=torch.float32).reshape(1) for x in stream]
