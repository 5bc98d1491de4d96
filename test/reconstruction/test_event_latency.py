"""How late the events are, measured while frames come."""

import numpy as np
import pytest

from rehdr_ros.events import Events
from rehdr_ros.reconstruction.event_latency import EventLatency
from rehdr_ros.reconstruction.response import Response
from rehdr_ros.reconstruction.synchronizer import Exposed
from rehdr_ros.simulation import SimulationConfig, simulate
from rehdr_ros.simulation.sensors import EventCameraConfig

WIDTH, HEIGHT, FPS, EXPOSURE = 173, 130, 25, 0.02


@pytest.fixture(scope="module")
def dim():
    """4 s as demo-01 is, frames and events: dim, few events, 20 ms exposures at 25 Hz; hardly any lag."""
    rng = np.random.default_rng(1)
    patches = np.exp(0.7 * rng.standard_normal((12, 16)))
    radiance = np.kron(patches, np.ones((25, 25)))[..., None].repeat(3, 2).astype(np.float32)
    sensor = EventCameraConfig(contrast=0.45, mismatch=0.1, noise_rate=0.5, leak_rate=0.1, refractory_us=800)
    config = SimulationConfig(
        width=WIDTH, height=HEIGHT, seconds=4.0, fps=FPS, seed=1, exposure=EXPOSURE, speed=100, clipped=0.05,
        events=sensor,
    )  # fmt: skip
    samples = list(simulate(config, radiance))
    events = Events.concatenate([sample.events for sample in samples] + [samples[-1].tail])
    assert 0.15 < len(events) / (WIDTH * HEIGHT * len(samples)) < 0.35
    return [(sample.stamp_ns, sample.ldr) for sample in samples], events


def run(frames, events, response=2.2, exposure=EXPOSURE):
    """The latency in use after each frame, by a pipeline's rules."""
    measure, trace, taken = EventLatency(), [], -(1 << 62)
    for stamp, image in frames:
        exposed = Exposed(stamp, stamp + round(exposure * 1e9))
        until = exposed.end + round(measure.latency * 1e9)
        part = events[(events.t > taken) & (events.t <= until)]
        measure.add(exposed, image, Response(response), part, image.shape[1::-1], None)
        trace.append(measure.latency)
        taken = max(taken, until)
    return measure, trace


@pytest.mark.parametrize("put_in", [0.02, -0.02])
def test_an_offset_is_found_within_two_seconds_and_two_milliseconds(dim, put_in):
    frames, events = dim
    _, without = run(frames, events)
    measure, trace = run(frames, events.shifted(round(put_in * 1e9)))
    for latency, own in zip(trace[2 * FPS :], without[2 * FPS :], strict=True):
        assert latency == pytest.approx(put_in, abs=0.002)
        assert latency - own == pytest.approx(put_in, abs=0.001)
    assert measure.measured.doubts == () and measure.measured.latency == pytest.approx(trace[-1], abs=1e-3)
    assert np.abs(np.diff(trace)).max() <= 0.05 / FPS + 1e-9  # no jump
    assert 0.3 < measure.measured.on < 0.6 and 0.3 < measure.measured.off < 0.6


def test_the_same_stream_gives_the_same_latency_to_the_bit(dim):
    frames, events = dim
    assert run(frames[:40], events)[1] == run(frames[:40], events)[1]


def test_noise_is_never_taken_for_an_offset(dim):
    frames, _ = dim
    rng = np.random.default_rng(0)
    count = 500_000
    columns = rng.integers(0, WIDTH, count), rng.integers(0, HEIGHT, count), rng.integers(0, 2, count)
    noise = Events(np.sort(rng.integers(0, 4_000_000_000, count)), *columns)
    measure, trace = run(frames, noise)
    assert not any(trace)
    assert measure.measured.doubts


def test_frames_that_do_not_follow_keep_what_was_learned(dim):
    frames, events = dim
    measure, trace = run(frames[:50], events.shifted(20_000_000))
    measure.interrupt()
    exposed = Exposed(10**12, 10**12 + 20_000_000)
    measure.add(exposed, frames[0][1], Response(), Events.empty(), (WIDTH, HEIGHT), None)
    assert measure.latency == trace[-1]
    measure.add(Exposed(0, 0), np.zeros((20, 30), np.uint8), Response(), Events.empty(), (30, 20), None)
    assert measure.latency == 0.0  # another camera


@pytest.mark.parametrize("put_in", [0.02, -0.02])
def test_a_real_recording_tells_an_offset_that_is_put_into_it(shared, put_in):
    from rehdr_ros.training.footage import read_footage

    footage = read_footage(shared / "data" / "recordings" / "demo-01.aedat4")
    images = (footage.linear * 255).round().byte().permute(0, 2, 3, 1).numpy()
    frames = list(zip(footage.start_ns.tolist(), images, strict=True))
    found = []
    for offset in (0.0, put_in):
        measure, _ = run(frames, footage.events.shifted(round(offset * 1e9)), response=1.0)
        measure.finish()
        assert measure.measured.doubts == () and measure.measured.explained > 0.75
        found.append(measure.measured.latency)
    assert 0.002 < found[0] < 0.008  # what real-sensors measured in dim light
    assert found[1] - found[0] == pytest.approx(put_in, abs=0.001)
