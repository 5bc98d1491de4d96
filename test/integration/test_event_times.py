"""The events' latency and fit of a running node: found, told, fixed by a parameter, complained of."""

import math

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from live import Camera, Manager, Stream, stamp

from rehdr_ros.events import Events
from rehdr_ros.simulation import SimulationConfig, simulate
from rehdr_ros.simulation.sensors import EventCameraConfig

FPS, EXPOSURE, LATE_NS = 25, 0.02, 20_000_000
START = 1_000_000_000_000


class Filmer(Camera):
    """A camera that films a simulated scene, whose events come 20 ms late."""

    width, height = 128, 96

    def __init__(self, client):
        super().__init__(client)
        rng = np.random.default_rng(1)
        radiance = np.kron(np.exp(0.7 * rng.standard_normal((10, 12))), np.ones((20, 20)))
        config = SimulationConfig(
            width=self.width,
            height=self.height,
            seconds=2.4,
            fps=FPS,
            seed=1,
            exposure=EXPOSURE,
            speed=100,
            clipped=0.05,
            events=EventCameraConfig(contrast=0.3, noise_rate=0.5, leak_rate=0.1),
        )
        self.samples = list(simulate(config, radiance[..., None].repeat(3, 2).astype(np.float32)))

    def film(self) -> list[int]:
        """Publish all; returns the frames' stamps."""
        stamps = []
        for number, sample in enumerate(self.samples):
            at = START + sample.stamp_ns
            self._send(Events(sample.events.t + LATE_NS, *(getattr(sample.events, n) for n in "xyp")))
            if not number:
                self.exposure(at, EXPOSURE, 1.0)  # the same for all that follow
            self.image(at, sample.ldr, "rgb8")
            self._client.spin(0.02)
            stamps.append(at)
        return stamps

    def noise(self, seconds: float, fps: float = 10) -> list[int]:
        """The scene again, with events that have nothing to do with it."""
        rng, stamps = np.random.default_rng(2), []
        for number in range(round(seconds * fps)):
            at, count = self.step(1 / fps), 4000
            t = np.sort(rng.integers(at - 69_000_000, at + 30_000_000, count)) - START
            self._send(Events(t, *(rng.integers(0, most, count) for most in (128, 96, 2))))
            self.image(at, self.samples[number % len(self.samples)].ldr, "rgb8")
            self._client.spin(0.02)
            stamps.append(at)
        return stamps

    def _send(self, events: Events) -> None:
        if len(events):
            packet = self._encoder.encode(events, START + int(events.t[0]))
            content = packet.encoding, bytes(packet.data)
            self.packet(START + int(events.t[0]), *content, time_base=packet.time_base)


@pytest.fixture(scope="module")
def node(start_node):
    node = start_node(event_timeout=3.0, policy="all").wait_for("waiting for events")
    yield node
    assert node.end() == 0, node.log


@pytest.fixture(scope="module")
def camera(client):
    return Filmer(client)


def figures(status: DiagnosticStatus) -> dict[str, float]:
    return {value.key: float(value.value) for value in status.values if value.key in TOLD}


TOLD = (
    "event latency (ms)",
    "contrast threshold, on",
    "contrast threshold, off",
    "event noise",
    "explained by events",
)


def test_a_latency_is_found_and_told(stream: Stream, camera: Filmer, diagnosis):
    stamps = camera.film()
    info = stream.info(stamps[-2])
    infos = [info for info in stream.infos if stamp(info) in stamps[-8:-1]]
    for info in infos:
        assert info.event_latency == pytest.approx(0.02, abs=0.003)
        assert 0.15 < info.contrast_on < 0.45 and 0.15 < info.contrast_off < 0.45
        assert info.event_noise > 0 and 0.25 < info.explained <= 1
    assert math.isnan(stream.infos[0].explained) and stream.infos[0].event_latency == 0
    told = figures(diagnosis.now()["reconstruction"])
    assert set(told) == set(TOLD)
    assert told["event latency (ms)"] == pytest.approx(20, abs=3)


def test_a_number_fixes_it_and_auto_lets_it_go(client, stream: Stream, camera: Filmer):
    manager = Manager(client)
    camera.now = START + 2_500_000_000
    for value, used in (("0.01", 0.01), (-0.002, -0.002)):
        assert manager.set("event_latency", value).successful
        camera.noise(0.2)
        assert stream.info(camera.noise(0.1)[0]).event_latency == pytest.approx(used)
    refused = manager.set("event_latency", "soon")
    assert not refused.successful and "event_latency" in refused.reason
    assert manager.set("event_latency", "auto").successful


def test_events_that_explain_nothing_are_complained_of(stream: Stream, camera: Filmer, diagnosis, node):
    camera.now = START + 4_000_000_000
    # At first the offset of before is still believed, and the clocks not suspected.
    stream.info(camera.noise(7.0)[-1])
    status = diagnosis.says("reconstruction", "events explain only")
    assert status.level == DiagnosticStatus.WARN
    assert all(words in status.message for words in ("the clocks", "registration", "response"))
    assert node.log.count("events explain only") == 1
