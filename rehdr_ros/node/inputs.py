"""What the node subscribes to: every message goes to the pipeline, or is refused, counted and said."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from event_camera_msgs.msg import EventPacket
from rclpy.serialization import deserialize_message
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from rehdr_ros.errors import InputError, one_line
from rehdr_ros.events import Calibration, Frame
from rehdr_ros.msg import Exposure
from rehdr_ros.node.complaints import Complaints
from rehdr_ros.node.conversions import by_cv_bridge
from rehdr_ros.node.graph import type_name
from rehdr_ros.node.parameters import Parameters
from rehdr_ros.node.qos import keeps, subscribe, subscribe_latched
from rehdr_ros.reconstruction import HdrPipeline
from rehdr_ros.reconstruction.recent import Recent
from rehdr_ros.reconstruction.synchronizer import CROWDED
from rehdr_ros.wire.camera import camera_from_bytes
from rehdr_ros.wire.dvs import events_from_event_array
from rehdr_ros.wire.exposure import exposure_from_bytes
from rehdr_ros.wire.frame import frame_from_compressed, frame_from_image
from rehdr_ros.wire.header import stamp_from_bytes, stamp_to_ns
from rehdr_ros.wire.packet import packet_from_bytes
from rehdr_ros.wire.refusals import Refusals

_CAMERAS = {"camera_info": "frames", "event_camera_info": "events"}  # of what a topic tells


class Inputs:
    """The subscriptions. No callback waits for the network: they decode and queue, then `wake` is called.

    now: the time from which a frame waits, s, or None for the monotonic clock's.
    All come serialized: the middleware would drop a damaged message without a word. What can't be used is
    left out, see Refusals. tally counts, since it was made: packets, frames, what Refusals counts,
    transport_lost_packets and transport_lost_frames.
    `camera_infos`: of the frames, by stamp; `last_camera_info`: the one that came last.
    `subscriptions`: by the name before remapping; none while closed.
    """

    def __init__(
        self,
        node,
        pipeline: HdrPipeline,
        settings: Parameters,
        tally: Counter,
        complaints: Complaints,
        wake: Callable[[], None],
        now: Callable[[], float | None],
    ):
        self._node, self._pipeline, self._settings, self._tally = node, pipeline, settings, tally
        self._complaints, self._wake, self._now = complaints, wake, now
        self._refusals = Refusals(tally, self._complain)
        self.camera_infos: Recent[CameraInfo] = Recent()
        self.last_camera_info: CameraInfo | None = None
        self.events_topic = node.resolve_topic_name("events")
        self.image_topic = image_topic(node, settings)
        self.subscriptions: dict[str, Subscription] = {}
        self._latched: dict[str, Subscription] = {}
        self._topics: dict[str, str] = {}  # by the name before remapping

    def open(self) -> None:
        """Subscribe to all, or, where one is refused, to none; does nothing where it has."""
        if self.subscriptions:
            return
        settings, depth = self._settings, self._settings.image_depth
        if settings.policy == "all":
            depth = max(depth, CROWDED)  # or a burst would lose, uncounted, what the policy keeps
        kind, on_image = Image, self._on_image
        if settings.image_transport == "compressed":
            kind, on_image = CompressedImage, self._on_compressed
        try:
            self._subscribe_events()
            self._subscribe(kind, "image_raw", on_image, depth, "transport_lost_frames")
            self._subscribe(CameraInfo, "camera_info", self._on_camera_info, depth)
            on_event_camera_info = partial(self._on_calibration, "event_camera_info")
            self._subscribe(CameraInfo, "event_camera_info", on_event_camera_info, depth)
            self._subscribe(Exposure, "exposure", self._on_exposure, depth)
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        """Unsubscribe."""
        for subscription in (*self.subscriptions.values(), *self._latched.values()):
            self._node.destroy_subscription(subscription)
        self.subscriptions, self._latched = {}, {}

    def look_for_latched(self) -> None:
        """Subscribe also to camera infos that were published before, where a publisher keeps them."""
        for name in _CAMERAS.keys() - self._latched.keys():
            if keeps(self._node, name):
                callback = partial(self._on_calibration, name)
                self._latched[name] = subscribe_latched(self._node, CameraInfo, name, callback, raw=True)

    def _subscribe_events(self) -> None:
        kind, callback = EventPacket, self._on_packet
        if self._settings.events_type == "dvs_msgs":
            kind, callback = event_array_class(), self._on_event_array
        depth = self._settings.events_depth
        self._subscribe(kind, "events", callback, depth, "transport_lost_packets")

    def _subscribe(self, kind: type, name: str, callback: Callable, depth: int, lost="") -> None:
        asked = self.image_topic if name == "image_raw" else name
        topic = self._topics[name] = self._node.resolve_topic_name(asked)
        for other, subscription in self.subscriptions.items():
            if subscription.topic_name == topic and subscription.msg_type is not kind:
                raise InputError(f"{other} and {name} are both {topic}: remap one of them to another topic")

        def on_lost(count: int) -> None:
            if lost:
                self._tally[lost] += count
                text = f"{self._tally[lost]} messages lost in transport on {topic}: "
                text += "let their publisher use config/fastdds_shm.xml (docs/node.md, Transport)"
                self._complaints.warn(lost, text)

        reliability, complaints = self._settings.input_reliability, self._complaints
        try:
            self.subscriptions[name] = subscribe(
                self._node, kind, asked, callback, depth, reliability, on_lost, complaints, raw=True
            )
        except RuntimeError as error:  # rcl does not always name the topic
            problem = f"{name} can't be {topic} of type {type_name(kind)}"
            raise InputError(f"{problem}: {one_line(error)}") from error

    def _on_packet(self, raw: bytes) -> None:
        with self._refusing("events", "packets", raw):
            self._tally["packets"] += 1
            self._pipeline.add(packet_from_bytes(raw))

    def _on_event_array(self, raw: bytes) -> None:
        with self._refusing("events", "packets", raw):
            self._tally["packets"] += 1
            array = events_from_event_array(raw)
            self._tally["out_of_bounds"] += array.out_of_bounds
            self._pipeline.add(array.events, array.size)

    def _on_image(self, raw: bytes) -> None:
        self._add_frame(raw, partial(frame_from_image, tell=self._assume, otherwise=by_cv_bridge))

    def _on_compressed(self, raw: bytes) -> None:
        self._add_frame(raw, frame_from_compressed)

    def _add_frame(self, raw: bytes, read: Callable[[bytes], Frame]) -> None:
        with self._refusing("image_raw", "frames", raw):
            self._tally["frames"] += 1
            self._pipeline.add(read(raw), now=self._now())

    def _assume(self, text: str) -> None:
        self._complaints.info(text, f"{self._topics['image_raw']}: {text}", seconds=math.inf)

    def _on_camera_info(self, raw: bytes) -> None:
        with self._refusing("camera_info", "camera_infos", raw):
            message = deserialize_message(raw, CameraInfo)
            self.camera_infos.put(stamp_to_ns(message.header.stamp), message)
            self.last_camera_info = message
            self._calibrate("camera_info", raw)

    def _on_calibration(self, name: str, raw: bytes) -> None:
        with self._refusing(name, "camera_infos", raw):
            if name == "camera_info" and self.last_camera_info is None:
                self.last_camera_info = deserialize_message(raw, CameraInfo)
            self._calibrate(name, raw)

    def _calibrate(self, name: str, raw: bytes) -> None:
        """Known even where it isn't needed yet: one that is published once doesn't come again."""
        try:
            camera = camera_from_bytes(raw)
        except ValueError:
            if self._pipeline.config.registration == "camera_info":
                raise
        else:
            self._pipeline.add(Calibration(_CAMERAS[name], camera))

    def _on_exposure(self, raw: bytes) -> None:
        with self._refusing("exposure", "exposures", raw):
            self._pipeline.add(exposure_from_bytes(raw))

    @contextmanager
    def _refusing(self, name: str, brings: str, raw: bytes) -> Iterator[None]:
        with self._refusals.refusing(self._topics[name], brings, partial(stamp_from_bytes, raw)):
            yield
        self._wake()

    def _complain(self, topic: str, text: str, count: int) -> None:
        self._complaints.warn(topic, f"{text} ({count} so far)")


def image_topic(node, settings: Parameters) -> str:
    """The frames' topic; image_transport puts its transports below the raw one's name."""
    topic = node.resolve_topic_name("image_raw")
    is_packed = settings.image_transport == "compressed"
    return node.resolve_topic_name(f"{topic}/compressed") if is_packed else topic


def event_array_class() -> type:
    """dvs_msgs/msg/EventArray. Raises InputError where it isn't installed."""
    try:
        from dvs_msgs.msg import EventArray
    except ImportError as error:
        raise InputError("events_type=dvs_msgs: the package dvs_msgs is not installed") from error
    return EventArray
