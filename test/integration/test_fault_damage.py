"""Damaged messages and damaged settings: refused, counted and said, and the stream goes on."""

import array
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from live import CAMERA_INFO, EVENT_CAMERA_INFO, Fault, Manager, Stream, stamp
from sensor_msgs.msg import CameraInfo

from rehdr_ros.events import Events, make_encoder
from rehdr_ros.network import Rehdr, RehdrConfig, save_checkpoint

GREY = np.full((48, 64, 3), 128, np.uint8)


def random_packets(stream: Stream) -> None:
    rng = np.random.default_rng(1)
    for _ in range(5):
        stream.camera.packet(stream.camera.step(0.01), "evt3", rng.bytes(4096))


def flipped_bits(stream: Stream) -> None:
    """Twenty packets of evt3, each with one bit in a hundred wrong."""
    camera, rng = stream.camera, np.random.default_rng(2)
    encoder = make_encoder("evt3", 64, 48)
    for _ in range(20):
        at = camera.step(0.005)
        t = np.sort(rng.integers(at - 5_000_000, at, 300)) - 1_000_000_000_000
        events = Events(t, rng.integers(0, 64, 300), rng.integers(0, 48, 300), rng.integers(0, 2, 300))
        bits = np.unpackbits(np.frombuffer(bytes(encoder.encode(events, at).data), np.uint8))
        wrong = rng.random(len(bits)) < 0.01
        camera.packet(at, "evt3", np.packbits(bits ^ wrong).tobytes())


def lost_packets(stream: Stream) -> None:
    stream.camera.seq += 5


def malformed_packet(stream: Stream) -> None:
    stream.camera.packet(stream.camera.step(), "evt99", bytes(64))


def image(encoding: str = "rgb8", **changed) -> Callable[[Stream], None]:
    return lambda stream: stream.camera.image(
        stream.camera.step(), GREY, "rgb8", encoding=encoding, **changed
    )


def exposure(seconds: float, gain: float = 1.0) -> Callable[[Stream], None]:
    return lambda stream: stream.camera.exposure(stream.camera.now + 100_000_000, seconds, gain)


def another_sensor(stream: Stream) -> None:
    """Its events of the frame to come wait when another camera takes over."""
    camera = stream.camera
    camera.events(*(camera.now + 1_000_000 * k for k in range(1, 11)))
    camera.change_sensor(128, 96)


def resized_frames(stream: Stream) -> None:
    for _ in range(2):
        info = stream.info(stream.whole_frame(np.full((32, 40, 3), 128, np.uint8)))
        assert stream.radiance(info).shape == (32, 40, 3)
        stream.info(stream.whole_frame(GREY))


REFUSED = {"refused_messages": 1}
BAD_FRAME = {"frames: refused frames": 1}
BAD_EXPOSURE = {"frames: refused exposures": 1}
RESIZED = ("new resolution",) * 4
FAULTS = {
    "random packets": Fault(random_packets, {"refused_messages": 0}, {"events: out of bounds": 1}),
    "flipped bits": Fault(flipped_bits, {"refused_messages": 0}, {"events: out of bounds": 1}),
    "lost packets": Fault(lost_packets, {"lost_packets": 5}, {"events: lost packets": 5}),
    "malformed packet": Fault(malformed_packet, REFUSED, {"events: refused packets": 1}),
    "unknown encoding": Fault(image("yuv999"), REFUSED, BAD_FRAME),
    "encoding of other pixels": Fault(image("bgra16"), REFUSED, BAD_FRAME),
    "truncated image": Fault(image(data=array.array("B", bytes(9000))), REFUSED, BAD_FRAME),
    "wrong size": Fault(image(height=50), REFUSED, BAD_FRAME),
    "another event sensor": Fault(another_sensor, {"dropped_events": 10, "refused_messages": 0}),
    "frames change size and back": Fault(resized_frames, {"skipped_frames": 0}, resets=RESIZED),
    "exposure of NaN": Fault(exposure(math.nan), REFUSED, BAD_EXPOSURE),
    "exposure of zero": Fault(exposure(0.0), REFUSED, BAD_EXPOSURE),
    "negative exposure": Fault(exposure(-0.01), REFUSED, BAD_EXPOSURE),
    "infinite gain": Fault(exposure(0.01, math.inf), REFUSED, BAD_EXPOSURE),
}


@pytest.fixture(autouse=True)
def leave_behind_what_was_sent_ahead(stream):
    """Damaged events may lie in the time of later frames."""
    stream.camera.step(100)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_stream_goes_on_after(assert_withstands, fault):
    assert_withstands(fault)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e38], ids=str)
def test_pixels_that_are_no_numbers_do_not_come_out(stream, node, assert_recovers, value):
    pixels = np.full((48, 64, 3), 0.5, np.float32)
    pixels[::3, ::4] = value
    info = stream.info(stream.whole_frame(pixels, "32FC3"))
    radiance = stream.radiance(info)
    assert np.isfinite(radiance).all()
    np.testing.assert_allclose(radiance[1, 1], 0.5**2.2, rtol=1e-2)
    assert_recovers(stream, node)


GARBAGE = {
    "nothing": CameraInfo(),
    "no numbers": CameraInfo(width=64, height=48, k=[math.nan] * 9),
    "no focal length": CameraInfo(width=64, height=48, k=[0.0] * 9),
    "unknown distortion": CameraInfo(
        width=64, height=48, k=[30.0, 0, 31, 0, 30, 23, 0, 0, 1], distortion_model="magic"
    ),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize("topic", [CAMERA_INFO, EVENT_CAMERA_INFO])
def test_garbage_in_camera_info_is_refused(stream, node, client, assert_recovers, topic, garbage):
    manager = Manager(client)
    before = stream.info(stream.whole_frame()).refused_messages
    assert manager.set("registration", "camera_info").successful
    publisher = client.create_publisher(CameraInfo, topic, 10)
    assert client.wait_until(publisher.get_subscription_count)
    client.spin(0.5)
    publisher.publish(garbage)
    assert client.wait_until(lambda: stream.info(stream.whole_frame()).refused_messages > before)
    assert manager.set("registration", "scale").successful
    assert_recovers(stream, node)
    client.destroy_publisher(publisher)


def test_network_that_gives_no_numbers_leaves_the_linearised_frame(
    node, client, stream, start_node, tmp_path
):
    network = Rehdr(RehdrConfig(base_channels=4))
    torch.nn.init.constant_(network.body.prediction.conv.weight, math.nan)
    save_checkpoint(network, tmp_path / "nan.safetensors")
    broken = start_node("-r", "__ns:=/broken", weights=tmp_path / "nan.safetensors", event_timeout=3.0)
    broken.wait_for("waiting for events")
    other = Stream(client, stream.camera, "/broken")
    ramp = np.repeat(np.arange(64, dtype=np.uint8)[None, :, None] * 4, 48, 0).repeat(3, 2)
    infos = [other.send(ramp) for _ in range(3)]
    assert [info.reset_reason for info in infos] == ["activation", "not finite", "not finite"]
    for info in infos:
        np.testing.assert_allclose(other.radiance(info), (ramp / 255) ** 2.2, atol=1e-5)
        assert stream.info(stamp(info)).reset_reason != "not finite"  # of the sound node beside it
    assert "NaN or infinity" in broken.log
    assert broken.alive()
    assert broken.end() == 0
