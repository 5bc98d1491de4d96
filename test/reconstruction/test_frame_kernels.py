"""The kernels that frames go through are compiled before the stream starts."""

import subprocess
import sys

import numpy as np
import pytest
from numba.extending import is_jitted

from rehdr_ros.events import Events
from rehdr_ros.reconstruction.response_kernels import interpolate, look_up
from rehdr_ros.reconstruction.tonemap_kernels import reinhard, scale
from rehdr_ros.reconstruction.warm_up import warm_up

LAYOUTS = {
    "contiguous": lambda image: image,
    "padded rows": lambda image: np.pad(image, [(0, 0), (0, 5)] + [(0, 0)] * (image.ndim - 2))[:, :-5],
    "upside down": lambda image: image[::-1],
    "with alpha": lambda image: np.dstack([image, image])[..., :3] if image.ndim == 3 else image,
}


def signatures():
    """Those of all kernels of the package."""
    modules = [module for name, module in sys.modules.items() if name.startswith("rehdr_ros.")]
    kernels = {value for module in modules for value in vars(module).values() if is_jitted(value)}
    return {kernel.__module__ + "." + kernel.__name__: set(kernel.signatures) for kernel in kernels}


@pytest.mark.parametrize("operator", ["reinhard", "mulaw", "gamma", "local"])
def test_nothing_is_compiled_after_the_warm_up(make_pipeline, operator):
    pipeline = make_pipeline(tonemap=operator)
    pipeline.warm_up((32, 24))
    before = signatures()
    stamp = 0
    for dtype, white in ((np.uint8, 255), (np.uint16, 65535), (np.float32, 1)):
        for shape in ((24, 32), (24, 32, 3)):
            for layout in LAYOUTS.values():
                for writeable in (True, False):
                    image = layout(np.linspace(0, white, np.prod(shape)).reshape(shape).astype(dtype)).view()
                    image.flags.writeable = writeable
                    stamp += 50_000_000
                    pipeline.add_events(Events([stamp - 1000], [3], [4], [1]))
                    pipeline.add_frame(stamp, image)
                    assert len(list(pipeline.take(flush=True))) == 1
    assert signatures() == before


def test_a_size_that_is_not_known_yet_leaves_nothing_to_compile(tiny_weights):
    """In a process of its own: in this one other tests have compiled what the warm-up may have left."""
    program = f"""
import numpy as np
import torch
from numba.extending import is_jitted
from rehdr_ros.network import Stream, load_checkpoint
from rehdr_ros.network.engines.cpu import CpuEngine, for_inference
from rehdr_ros.network.event_fit import explained_sums
from rehdr_ros.network.head_start import (
    compose_kernels, edges_kernels, kernels as head_start_kernels, smoothing_kernels, surroundings_kernels
)
from rehdr_ros.reconstruction import HdrPipeline, PipelineConfig
config = PipelineConfig(weights={str(tiny_weights)!r}, device="cpu", engine="pytorch", policy="all")
pipeline = HdrPipeline(config)
pipeline.warm_up()
modules = compose_kernels, edges_kernels, head_start_kernels, smoothing_kernels, surroundings_kernels
kernels = [value for module in modules for value in vars(module).values() if is_jitted(value)]
before = [len(kernel.signatures) for kernel in kernels]
assert any(before)
for stamp in (0, 50_000_000):
    pipeline.add_frame(stamp, np.linspace(0, 255, 40 * 50 * 3).reshape(40, 50, 3).astype(np.uint8))
assert len(list(pipeline.take(flush=True))) == 2
assert [len(kernel.signatures) for kernel in kernels] == before
# A sensor that does what its model says needs more than such frames do.
network = for_inference(load_checkpoint({str(tiny_weights)!r}))
ldr = torch.rand(1, 3, 40, 48).mul(2).clamp_max(1)
voxel = torch.randint(-2, 3, (1, network.config.bins, 40, 48)).float()
state = network.initial_state(1, 40, 48)
state["fit"] = explained_sums(ldr)
for _ in range(3):
    _, state = CpuEngine(network).step(ldr, voxel, state, Stream())
assert [len(kernel.signatures) for kernel in kernels] == before
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_each_kernel_is_compiled_for_one_kind_of_array():
    warm_up()
    kernels = (look_up, interpolate, scale, reinhard)
    assert [len(kernel.signatures) for kernel in kernels] == [2, 1, 1, 1]  # look_up: 8 and 16 bits
