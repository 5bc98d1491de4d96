"""What single messages do to a running node. Its camera publishes best effort, as drivers do."""

import numpy as np
import pytest
from live import EVENTS, stamp


def test_frame_of_a_best_effort_driver_comes_back_in_hdr(stream):
    info = stream.send()
    np.testing.assert_allclose(stream.radiance(info), (128 / 255) ** 2.2, rtol=1e-3)
    assert info.header.frame_id == "lens"


def test_events_between_two_frames_belong_to_the_second(stream):
    camera = stream.camera
    first = stream.send()
    at = stamp(first)
    camera.events(at + 20_000_000, at + 40_000_000, at + 60_000_000)
    assert stream.send().events == 4  # and the one that followed the first frame


@pytest.mark.parametrize("encoding", ["mono8", "bgr8", "rgba8"])
def test_encodings_of_usual_cameras_give_colour(stream, encoding):
    shape = (48, 64) if encoding == "mono8" else (48, 64, 3)
    info = stream.send(np.full(shape, 128, np.uint8), encoding)
    assert stream.radiance(info).shape == (48, 64, 3)


def test_reset_service_starts_the_next_frame_anew_and_says_so(stream):
    stream.send()
    assert stream.send().reset_reason == ""
    stream.reset()
    assert stream.send().reset_reason == "service"
    assert stream.send().reset_reason == ""


def test_longer_exposure_means_less_radiance_for_the_same_image(stream):
    stream.reset()
    camera = stream.camera

    def level(seconds: float, gain: float) -> float:
        at = camera.step()
        camera.exposure(at, seconds, gain)
        camera.exposed = seconds  # of the frames that follow, too
        return float(np.median(stream.radiance(stream.send(at=at))))

    first = level(0.010, 1.0)
    assert first == pytest.approx((128 / 255) ** 2.2, rel=1e-3)
    assert level(0.020, 1.0) == pytest.approx(first / 2, rel=1e-3)
    assert level(0.010, 4.0) == pytest.approx(first / 4, rel=1e-3)
    assert level(0.010, 1.0) == pytest.approx(first, rel=1e-3)


def test_interruption_longer_than_max_frame_gap_starts_anew(stream):
    stream.send()
    stream.camera.step(2.0)
    assert stream.send().reset_reason.startswith("gap")


def test_change_of_resolution_starts_anew(stream):
    stream.send()
    info = stream.send(np.full((32, 40, 3), 128, np.uint8))
    assert info.reset_reason == "new resolution"
    assert stream.radiance(info).shape == (32, 40, 3)


def test_step_back_in_time_starts_anew(stream):
    camera = stream.camera
    camera.step(100)
    stream.send()
    camera.restart(camera.now - 90_000_000_000)
    assert stream.send().reset_reason == "time stepped back"
    assert stream.send().events == 1
    assert stream.send().reset_reason == ""


MALFORMED_PACKETS = {
    "half a word": {"encoding": "evt3", "data": b"\x01"},
    "no bytes": {"encoding": "evt3", "data": b""},
    "unknown encoding": {"encoding": "evt99", "data": bytes(64)},
    "no encoding": {"encoding": "", "data": bytes(64)},
    "no pixels": {"encoding": "evt3", "data": bytes(64), "width": 0, "height": 0},
    "no end of pixels": {"encoding": "evt3", "data": bytes(64), "width": 2**32 - 1, "height": 2**32 - 1},
}


@pytest.mark.parametrize("packet", MALFORMED_PACKETS.values(), ids=MALFORMED_PACKETS)
def test_malformed_packet_does_not_stop_the_stream(stream, node, packet):
    stream.send()
    stream.camera.packet(stream.camera.step(), **packet)
    stream.send()
    assert stream.send().events == 1
    assert node.alive()


@pytest.mark.parametrize("encoding", ["evt3", "mono"])
def test_frames_keep_coming_after_random_bytes(stream, node, encoding):
    rng = np.random.default_rng(0)
    for _ in range(5):
        stream.camera.packet(stream.camera.step(), encoding, rng.bytes(4096))
        assert np.isfinite(stream.radiance(stream.send())).all()
    assert any(stream.send().events == 1 for _ in range(4)), "events that follow are lost"
    assert node.alive()


MALFORMED_IMAGES = {
    "too few bytes": {"height": 480},
    "too many bytes": {"height": 10},
    "short rows": {"step": 10},
    "no pixels": {"width": 0, "height": 0, "step": 0},
    "no end of pixels": {"width": 2**31, "height": 2**31, "step": 2**32 - 1},
    "unknown encoding": {"encoding": "yuv999"},
    "no encoding": {"encoding": ""},
}


@pytest.mark.parametrize("changed", MALFORMED_IMAGES.values(), ids=MALFORMED_IMAGES)
def test_malformed_image_is_refused_and_the_stream_goes_on(stream, node, changed):
    before = stream.send()
    bad = stream.camera.step()
    stream.camera.image(bad, np.zeros((48, 64, 3), np.uint8), "rgb8", **changed)
    after = stream.send()
    assert after.index == before.index + 1
    assert bad not in [stamp(info) for info in stream.infos]
    assert node.alive()


def test_refused_messages_are_said_with_their_topic_and_the_reason(stream, node, client):
    def said() -> bool:  # not every time, lest the log overflows
        stream.camera.packet(stream.camera.step(), "evt98", bytes(64))
        stream.send()
        lines = node.log.splitlines()
        return any(f"refused a message on {EVENTS}, stamped " in line and "evt98" in line for line in lines)

    assert client.wait_until(said)
