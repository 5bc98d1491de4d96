"""A network on a CPU by OpenVINO, where that is installed: its convolutions, or its step as a whole."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from rehdr_ros.network.contract import USUAL_STREAM, Estimate, Network, PartedNetwork, State, Stream, padded
from rehdr_ros.network.engines.sparse import SparseFeatures
from rehdr_ros.threads import threads

_TRACED = 16  # px, times the network's multiple: the size at which its convolutions are read
_PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}


def is_installed() -> bool:
    return importlib.util.find_spec("openvino") is not None


class OpenVinoEngine:
    """The convolutions of a PartedNetwork, the parts around them `compiled`; of any other the whole step.

    precision: "float32" or "bfloat16"; what comes in and out, the state above all, is float32 in both. A
    frame size, with all windows of it that may be needed, is compiled when it comes first, which takes one or
    two seconds; a whole step is also read anew for it.
    """

    def __init__(self, network: Network, precision: str = "float32"):
        self._network, self._precision = network, _PRECISIONS[precision]
        self._parted = isinstance(network, PartedNetwork)
        self._sparse = SparseFeatures(network, self._features) if self._parted else None
        self._model = self._size = None  # what is compiled, for which frames
        self._compiled: dict[tuple, tuple] = {}  # by the inputs' shapes: a request, and its outputs' shapes

    def build(self, height: int, width: int) -> None:
        """Get ready for a frame size."""
        from rehdr_ros.network.engines.openvino_cache import cached

        self._compiled.clear()
        if self._parted:
            multiple = self._network.multiple
            size, frame = _TRACED * multiple, (padded(height, multiple), padded(width, multiple))
            if self._model is None:
                self._model = cached(self._network, lambda: self._read(*self._examples(size, size)))
            for part in self._sparse.parts(*self._examples(*frame)):
                self._compile(_shapes(*part))
        else:
            inputs, state = self._examples(height, width)
            self._model = self._read(inputs, state)
            self._compile(_shapes(inputs, state))
        self._size = height, width

    def _compile(self, shapes: tuple[tuple[int, ...], ...]) -> None:
        from rehdr_ros.network.engines.openvino_core import core

        model = self._model.clone()
        model.reshape(dict(zip(model.inputs, shapes, strict=True)))
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": self._precision,
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "ENABLE_CPU_PINNING": False,  # other nodes may run on the same cores
        }
        compiled = core().compile_model(model, "CPU", options)
        outputs = [tuple(output.shape) for output in compiled.outputs]
        request = compiled.create_infer_request()
        request.infer()  # the first takes longer
        self._compiled[shapes] = request, outputs

    def step(
        self, ldr: Tensor, voxel: Tensor, state: State | None = None, stream: Stream = USUAL_STREAM
    ) -> tuple[Estimate, State]:
        self._network.check(ldr, voxel)
        if tuple(ldr.shape[-2:]) != self._size:
            self.build(*ldr.shape[-2:])
        if self._parted:
            with threads(1):
                return self._network.step(ldr, voxel, state, stream, self._sparse, compiled=True)
        state = self._network.initial_state(1, *ldr.shape[-2:]) if state is None else state
        estimate, state = self._run((ldr, voxel, *_tensors(stream)), state)
        return Estimate(*estimate), state

    def _features(self, inputs: tuple[Tensor, ...], cells: State) -> tuple[Tensor, State]:
        (features,), cells = self._run(inputs, cells)
        return features, cells

    def _run(self, inputs: tuple[Tensor, ...], state: State) -> tuple[list[Tensor], State]:
        from rehdr_ros.network.engines.openvino_core import openvino

        request, shapes = self._compiled[_shapes(inputs, state)]
        tensors = [x.float().contiguous() for x in (*inputs, *state.values())]
        # New tensors each time, written in place: what was returned before stays as it is.
        outputs = [torch.empty(shape) for shape in shapes]
        for i, x in enumerate(tensors):
            request.set_input_tensor(i, openvino.Tensor(x.numpy(), shared_memory=True))
        for i, x in enumerate(outputs):
            request.set_output_tensor(i, openvino.Tensor(x.numpy(), shared_memory=True))
        request.infer()
        count = len(outputs) - len(state)
        return outputs[:count], dict(zip(state, outputs[count:], strict=True))

    def _read(self, inputs: tuple[Tensor, ...], state: State):
        """As OpenVINO reads it; of convolutions, which takes some seconds, for any size."""
        from rehdr_ros.network.engines.openvino_core import openvino

        function, examples = _OfTensors(self._network, list(state)), (*inputs, *state.values())
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of checks that become constants, and of tracing's deprecation
            traced = torch.jit.trace(function, examples, check_trace=False)
            return openvino.convert_model(traced, example_input=examples)

    def _examples(self, height: int, width: int) -> tuple[tuple[Tensor, ...], State]:
        ldr, voxel = (torch.zeros(1, channels, height, width) for channels in (3, self._network.config.bins))
        state, stream = self._network.initial_state(1, height, width), _tensors(USUAL_STREAM)
        if not self._parted:
            return (ldr, voxel, *stream), state
        inputs, _, _ = self._network.prepare(ldr, voxel, state, stream)
        return inputs, {name: state[name] for name in self._network.cells}


class _OfTensors(nn.Module):
    """The convolutions, or the step, as a function of tensors: (*inputs, *state) -> (*outputs, *state)."""

    def __init__(self, network: Network, names: list[str]):
        super().__init__()
        self.network, self._names = network, names

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        count = len(tensors) - len(self._names)
        inputs, state = tensors[:count], dict(zip(self._names, tensors[count:], strict=True))
        if isinstance(self.network, PartedNetwork):
            features, new = self.network.features(inputs, state)
            outputs = (features,)
        else:
            ldr, voxel, *stream = inputs
            estimate, new = self.network.step(ldr, voxel, state, Stream(*stream))
            outputs = [x for x in estimate if x is not None]
        return *outputs, *(new[name] for name in self._names)


def _shapes(inputs: Iterable[Tensor], state: State) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(x.shape) for x in (*inputs, *state.values()))


def _tensors(stream: Stream) -> Stream:
    return Stream(*(torch.as_tensor(x, dtype=torch.float32).reshape(1) for x in stream))
