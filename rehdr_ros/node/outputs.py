"""What the node publishes for one frame."""

import time
from collections import Counter

from rclpy.lifecycle import LifecyclePublisher
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from rehdr_ros.msg import FrameInfo
from rehdr_ros.node.complaints import Complaints
from rehdr_ros.node.conversions import image_to_message, ns_to_stamp
from rehdr_ros.node.parameters import Parameters
from rehdr_ros.node.qos import publisher
from rehdr_ros.reconstruction import HdrFrame


class Outputs:
    """The publishers. An image that nobody subscribes to is not even packed.

    tally counts published frames, and those over the latency budget (late_frames).
    """

    def __init__(self, node, complaints: Complaints):
        self._node, self._complaints = node, complaints
        self._hdr = publisher(node, Image, "hdr/image_raw", complaints)
        self._hdr_info = publisher(node, CameraInfo, "hdr/camera_info", complaints)
        self._tonemapped = publisher(node, Image, "tonemapped/image_raw", complaints)
        self._tonemapped_info = publisher(node, CameraInfo, "tonemapped/camera_info", complaints)
        self._event_image = publisher(node, Image, "event_image/image_raw", complaints)
        self._frame_info = publisher(node, FrameInfo, "~/frame_info", complaints)

    def destroy(self) -> None:
        for each in self._all():
            self._node.destroy_lifecycle_publisher(each)

    @property
    def wanted(self) -> bool:
        """Whether somebody subscribes to anything."""
        return any(_is_wanted(each) for each in self._all())

    def publish(
        self,
        frame: HdrFrame,
        settings: Parameters,
        camera_info: CameraInfo | None,
        tally: Counter,
        first: dict[str, int],
    ) -> FrameInfo:
        """Publish a frame, and return what was said of it. first: the pipeline's counters at activation."""
        header = Header(stamp=ns_to_stamp(frame.stamp_ns), frame_id=frame.frame_id)
        started = time.perf_counter()
        if _is_wanted(self._hdr):
            self._hdr.publish(image_to_message(frame.radiance, settings.hdr_encoding, header))
        if _is_wanted(self._tonemapped):
            self._tonemapped.publish(image_to_message(frame.tonemapped, settings.tonemapped_encoding, header))
        if frame.event_image is not None and _is_wanted(self._event_image):
            self._event_image.publish(image_to_message(frame.event_image, "rgb8", header))
        if camera_info is not None:
            self._hdr_info.publish(camera_info)
            self._tonemapped_info.publish(camera_info)
        durations = {**frame.info.durations, "publish": time.perf_counter() - started}
        latency = time.monotonic() - frame.info.ready_at
        if settings.latency_budget and latency > settings.latency_budget:
            tally["late_frames"] += 1
            self._complaints.warn(
                "latency",
                f"a frame took {1e3 * latency:.0f} ms, the latency_budget is {1e3 * settings.latency_budget:.0f} ms "
                f"({tally['late_frames']} frames so far): use smaller frames, a smaller network or a GPU",
            )
        message = _message(frame, header, durations, latency, tally, first)
        self._frame_info.publish(message)
        tally["published"] += 1
        return message

    def _all(self) -> tuple[LifecyclePublisher, ...]:
        images = self._hdr, self._tonemapped, self._event_image
        return *images, self._hdr_info, self._tonemapped_info, self._frame_info


def _is_wanted(each: LifecyclePublisher) -> bool:
    return each.get_subscription_count() > 0


def _message(
    frame: HdrFrame, header: Header, durations: dict[str, float], latency: float, tally: Counter, first: dict[str, int]
) -> FrameInfo:
    info = frame.info
    return FrameInfo(
        header=header,
        index=tally["published"],
        events=info.events,
        dropped_events=info.dropped_events - first["dropped_events"],
        late_events=info.late_events - first["late_events"],
        lost_packets=info.lost_packets - first.get("lost_packets", 0),
        skipped_frames=info.skipped_frames - first["skipped_frames"] + tally["lost_frames"],
        refused_messages=tally["refused_messages"],
        clipped_fraction=info.clipped_fraction,
        tonemapped_clipped_fraction=info.tonemapped_clipped_fraction,
        latency=latency,
        stages=list(durations),
        stage_durations=list(durations.values()),
        state_age=info.state_age,
        reset_reason=info.reset_reason,
        radiance=info.radiance,
        event_latency=info.event_latency,
        **info.event_fit._asdict(),
    )
