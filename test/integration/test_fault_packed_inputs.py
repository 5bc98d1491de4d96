"""Frames that come compressed, events that come as dvs_msgs, and what damage does to them."""

import array
from collections.abc import Callable
from importlib.util import find_spec

import cv2
import numpy as np
import pytest
from live import EVENTS, IMAGE, Camera, Fault, Stream
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header

from rehdr_ros.node.conversions import ns_to_stamp

HAS_DVS = find_spec("dvs_msgs") is not None
needs_dvs = pytest.mark.skipif(not HAS_DVS, reason="dvs_msgs is not installed: run make setup")


class PackedCamera(Camera):
    """Its frames are JPEG files."""

    images_out = CompressedImage, f"{IMAGE}/compressed"

    def image(self, at: int, image: np.ndarray, encoding: str, /, **changed) -> None:
        data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
        fields = {"format": f"{encoding}; jpeg compressed bgr8", "data": array.array("B", data), **changed}
        self._images.publish(CompressedImage(header=Header(stamp=ns_to_stamp(at), frame_id="lens"), **fields))


class DvsCamera(PackedCamera):
    """And its events EventArrays."""

    def __init__(self, client):
        from dvs_msgs.msg import EventArray

        self.packets_out = EventArray, EVENTS
        super().__init__(client)

    def events(self, *times: int, column: int = 20) -> None:
        from dvs_msgs.msg import Event, EventArray

        events = [Event(x=column, y=20, ts=ns_to_stamp(t), polarity=True) for t in times]
        header = Header(stamp=ns_to_stamp(times[0]))
        self._packets.publish(EventArray(header=header, width=self.width, height=self.height, events=events))


@pytest.fixture(scope="module")
def node(start_node):
    kinds = {"image_transport": "compressed", "events_type": "dvs_msgs" if HAS_DVS else None}
    node = start_node(event_timeout=3.0, **kinds).wait_for("waiting for events")
    yield node
    assert node.end() == 0, node.log


@pytest.fixture(scope="module")
def camera(client) -> Camera:
    return DvsCamera(client) if HAS_DVS else PackedCamera(client)


def test_jpeg_comes_back_in_hdr(stream):
    orange = np.full((48, 64, 3), (200, 120, 60), np.uint8)
    radiance = stream.radiance(stream.info(stream.whole_frame(orange)))
    expected = np.broadcast_to((np.array((200, 120, 60)) / 255) ** 2.2, radiance.shape)
    np.testing.assert_allclose(radiance, expected, rtol=0.05)


@needs_dvs
def test_event_arrays_are_counted(stream, node, assert_recovers):
    stream.frames_until_good()
    at = stream.camera.now
    stream.camera.events(*(at + 1_000_000 * k for k in range(1, 31)))
    assert stream.info(stream.whole_frame()).events == 32
    assert_recovers(stream, node)


def jpeg(**changed) -> Callable[[Stream], None]:
    return lambda stream: stream.camera.image(stream.camera.step(), stream.camera.grey(), "rgb8", **changed)


def truncated_jpeg(stream: Stream) -> None:
    data = cv2.imencode(".jpg", stream.camera.grey())[1].tobytes()
    jpeg(data=array.array("B", data[: len(data) // 2]))(stream)


def events_outside(stream: Stream) -> None:
    stream.camera.events(stream.camera.now + 1_000_000, column=64)


REFUSED, BAD_FRAME = {"refused_messages": 1}, {"frames: refused frames": 1}
FAULTS = {
    "truncated JPEG": Fault(truncated_jpeg, REFUSED, BAD_FRAME),
    "no JPEG": Fault(jpeg(data=array.array("B", bytes(1000))), REFUSED, BAD_FRAME),
    "depth image": Fault(jpeg(format="32FC1; compressedDepth png"), REFUSED, BAD_FRAME),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_stream_goes_on_after(assert_withstands, fault):
    assert_withstands(fault)


@needs_dvs
def test_stream_goes_on_after_events_outside_the_sensor(assert_withstands):
    assert_withstands(Fault(events_outside, {"refused_messages": 0}, {"events: out of bounds": 1}))
