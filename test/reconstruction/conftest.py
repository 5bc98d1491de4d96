import numpy as np
import pytest
import torch

from rehdr_ros.events import Events, Frame, make_encoder
from rehdr_ros.network import Rehdr, RehdrConfig, save_checkpoint
from rehdr_ros.reconstruction import HdrPipeline, PipelineConfig
from rehdr_ros.reconstruction.synchronizer import Exposed, Job
from rehdr_ros.simulation import SimulationConfig, simulate

START = 1_000_000_000_000  # ns; where the simulated streams start


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """The file of a small network of random weights, which uses all of its inputs and its state."""
    torch.manual_seed(0)
    network = Rehdr(RehdrConfig(base_channels=4, scales=2, residual_blocks=1))
    torch.nn.init.normal_(network.body.prediction.conv.weight, std=0.1)
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_checkpoint(network, path)
    return str(path)


@pytest.fixture
def make_pipeline(weights):
    """A function that builds a pipeline on the CPU in float32."""

    def make(**config) -> HdrPipeline:
        defaults = {"weights": weights, "device": "cpu", "precision": "float32", "policy": "all"}
        return HdrPipeline(PipelineConfig(**{**defaults, **config}))

    return make


@pytest.fixture(scope="session")
def recording():
    """Simulated samples of 46 x 33 px, from START on; events at whole microseconds, as evt3 keeps them."""
    samples = []
    for sample in simulate(SimulationConfig(width=46, height=33, seconds=0.4, fps=20, seed=3)):
        events = sample.events
        events = Events(START + events.t // 1000 * 1000, events.x, events.y, events.p)
        samples.append((START + sample.stamp_ns, sample.ldr, events))
    return samples


@pytest.fixture
def packets():
    """A function that encodes events to evt3 packets of at most 100, stamped like their first event."""

    def encode(parts, size=(46, 33)):
        encoder = make_encoder("evt3", *size)
        for events in parts:
            for start in range(0, len(events), 100):
                part = events[start : start + 100]
                yield encoder.encode(part.shifted(-START), int(part.t[0]))

    return encode


@pytest.fixture
def grey():
    """A function that makes an 8-bit frame of one value."""
    return lambda value=100, height=6, width=8: np.full((height, width, 3), value, np.uint8)


@pytest.fixture(scope="session")
def job():
    """A function that makes a frame with the events of (t0, t1], in ns; t0 None: the first after a reset."""

    def make(image, events, t0, t1, effective_time_s=None) -> Job:
        frame = Frame(t1, image, effective_time_s=effective_time_s)
        return Job(frame, Exposed(t1, t1), None if t0 is None else Exposed(t0, t0), events)

    return make
