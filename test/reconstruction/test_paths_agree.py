"""Every way to run the network against eager float32 on the CPU: 100 frames of 640x480 with carried state."""

import numpy as np
import pytest
import torch

from rehdr_ros.events import Events, make_decoder, voxel_grid
from rehdr_ros.network import Stream, load_checkpoint
from rehdr_ros.network.engines.choice import choose
from rehdr_ros.network.engines.cpu import CpuEngine, for_inference
from rehdr_ros.network.engines.openvino import OpenVinoEngine, is_installed
from rehdr_ros.reconstruction.reconstructor import pick_precision
from rehdr_ros.reconstruction.response import Response
from rehdr_ros.recordings import BagRecording
from rehdr_ros.simulation import SimulationConfig, simulate

pytestmark = pytest.mark.long
CPU = torch.device("cpu")
FRAMES, SIZE = 100, (640, 480)


@pytest.fixture(scope="module")
def frames(shared):
    """Real events, a hundredth of the recording with each of a hundred simulated frames."""
    decoder = make_decoder("evt3", *SIZE)
    packets = BagRecording(shared / "data/bags/evt3_640x480").packets()
    events = Events.concatenate(map(decoder.decode, packets))
    stamps = np.linspace(events.t[0] - 1, events.t[-1], FRAMES + 1).astype(np.int64)
    config = SimulationConfig(width=SIZE[0], height=SIZE[1], seconds=FRAMES / 20, fps=20.0, clipped=0.2)
    made = []
    for sample, t0, t1 in zip(simulate(config), stamps, stamps[1:], strict=False):
        grid = torch.from_numpy(voxel_grid(events, t0, t1, 5, SIZE[1], SIZE[0]))[None]
        made.append((Response().linearise(sample.ldr, CPU).pixels, grid))
    assert len(made) == FRAMES
    return made


def paths(network):
    yield "kernels", CpuEngine(network)
    if is_installed():
        yield "OpenVINO", OpenVinoEngine(network)
    if pick_precision("auto", CPU) == "bfloat16":
        yield "bfloat16", CpuEngine(for_inference(network).bfloat16())
        if is_installed():
            yield "OpenVINO, bfloat16", OpenVinoEngine(network, "bfloat16")
    if torch.cuda.is_available():
        device = torch.device("cuda")
        for precision in ("float32", "float16", "bfloat16"):
            engine = choose(network, device, precision)
            engine.compile(*SIZE[::-1])
            yield f"{engine.name}, {precision}", OnDevice(engine, device)


class OnDevice:
    def __init__(self, engine, device):
        self._engine, self._device = engine, device

    def step(self, ldr, voxel, state, stream):
        estimate, state = self._engine.step(ldr.to(self._device), voxel.to(self._device), state, stream)
        return estimate._replace(radiance=estimate.radiance.cpu()), state


@pytest.mark.parametrize("weights", ["rehdr_t", "rehdr_s"])
def test_every_path_gives_the_radiance_of_eager_float32(frames, weights):
    network, stream = load_checkpoint(weights), Stream(Response()(250 / 255))
    fast = dict(paths(network))
    states, state, worst = dict.fromkeys(fast), None, dict.fromkeys(fast, 0.0)
    with torch.inference_mode():
        for ldr, voxel in frames:
            expected, state = network(ldr, voxel, state, stream)
            for name, path in fast.items():
                estimate, states[name] = path.step(ldr, voxel, states[name], stream)
                difference = ((estimate.radiance - expected).norm() / expected.norm()).item()
                worst[name] = max(worst[name], difference)
    print(f"{weights}: largest relative difference of {FRAMES} frames: {worst}")
    assert max(worst.values()) <= 1e-2, worst
