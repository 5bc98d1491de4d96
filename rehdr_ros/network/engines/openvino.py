"""REHDR on a CPU, with its convolutions by OpenVINO, where that is installed."""

import importlib.util
import warnings

import torch
from torch import Tensor, nn

from rehdr_ros.network.engines.cpu import CpuRehdr
from rehdr_ros.network.rehdr import Prepared, Rehdr, State

_TRACED = 16  # px, times the body's multiple: the size at which the network is read


def is_installed() -> bool:
    return importlib.util.find_spec("openvino") is not None


class OpenVinoRehdr(CpuRehdr):
    """As CpuRehdr; a size that it meets for the first time is compiled, which takes about half a second.

    precision: "float32" or "bfloat16"; what comes in and out, the state above all, is float32 in both.
    """

    precision = "float32"
    _model = None
    _shapes: list[tuple[int, ...]] | None = None  # that the request is for

    def build(self, height: int, width: int) -> None:
        """Get ready for a frame size."""
        from rehdr_ros.network.engines.openvino_cache import kept
        from rehdr_ros.network.engines.openvino_core import core

        if self._model is None:
            self._model = kept(self, self._read)
        multiple = self.body.multiple
        padded = height + -height % multiple, width + -width % multiple
        shapes = [tuple(x.shape) for x in self._examples(*padded)]
        model = self._model.clone()
        model.reshape(dict(zip(model.inputs, shapes, strict=True)))
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[self.precision],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "ENABLE_CPU_PINNING": False,  # other nodes may run on the same cores
        }
        self._request = core().compile_model(model, "CPU", options).create_infer_request()
        self._shapes = shapes

    def features(self, prepared: Prepared, cells: State) -> State:
        from rehdr_ros.network.engines.openvino_core import openvino

        inputs = [x.float().contiguous() for x in (*prepared, *cells)]
        if [tuple(x.shape) for x in inputs] != self._shapes:
            self.build(*prepared.image.shape[-2:])
        # New tensors each time, written in place: what was returned before stays as it is.
        features = prepared.ldr.new_empty((1, self.outputs, *prepared.ldr.shape[2:]))
        outputs = [features, *map(torch.empty_like, inputs[len(prepared) :])]
        for i, x in enumerate(inputs):
            self._request.set_input_tensor(i, openvino.Tensor(x.numpy(), shared_memory=True))
        for i, x in enumerate(outputs):
            self._request.set_output_tensor(i, openvino.Tensor(x.numpy(), shared_memory=True))
        self._request.infer()
        return tuple(outputs)

    def _read(self):
        """The convolutions as OpenVINO reads them, of any size; it takes some seconds, once."""
        from rehdr_ros.network.engines.openvino_core import openvino

        size = _TRACED * self.body.multiple
        examples = self._examples(size, size)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of checks that tracing takes as constants, and of its deprecation
            traced = torch.jit.trace(_Features(self), examples, check_trace=False)
            return openvino.convert_model(traced, example_input=examples)

    def _examples(self, height: int, width: int) -> tuple[Tensor, ...]:
        ldr = torch.zeros(1, 3, height, width)
        cells, _ = self.split(self.initial_state(ldr))
        image, voxel = (torch.zeros(1, n, height, width) for n in (self.channels, self.config.bins))
        return image, ldr, voxel, torch.zeros(1, 3), torch.zeros(1, 1, 1, 1), *cells


class _Features(nn.Module):
    """`Rehdr.features` with plain inputs."""

    def __init__(self, network: Rehdr):
        super().__init__()
        self.network, self._inputs = network, len(Prepared._fields)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return Rehdr.features(self.network, Prepared(*inputs[: self._inputs]), inputs[self._inputs :])
