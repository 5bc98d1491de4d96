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
from rehdr_ros.products import NO_UNCERTAINTY, PRODUCTS, Product, published
from rehdr_ros.reconstruction import HdrFrame


class Outputs:
    """The publishers. An image that nobody subscribes to is not even packed, nor taken from the device.

    tally counts published frames, and those over the latency budget (late_frames).
    """

    def __init__(self, node, complaints: Complaints):
        self._node, self._complaints = node, complaints
        self._images = {product: publisher(node, Image, product.topic, complaints) for product in published(PRODUCTS)}
        self._hdr_info = publisher(node, CameraInfo, "hdr/camera_info", complaints)
        self._tonemapped_info = publisher(node, CameraInfo, "tonemapped/camera_info", complaints)
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
        durations = {**frame.info.durations, "publish": 0.0}
        for product in self._images:
            if _is_wanted(self._images[product]):
                stage = "publish" if product.offline else product.name  # made for its subscribers alone
                started = time.perf_counter()
                self._publish_image(product, frame, settings, header)
                durations[stage] = durations.get(stage, 0.0) + time.perf_counter() - started
        if camera_info is not None:
            self._hdr_info.publish(camera_info)
            self._tonemapped_info.publish(camera_info)
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

    def _publish_image(self, product: Product, frame: HdrFrame, settings: Parameters, header: Header) -> None:
        image = getattr(frame, product.attribute)
        if image is not None:
            encoding = getattr(settings, f"{product.name}_encoding", product.encoding)
            self._images[product].publish(image_to_message(image, encoding, header))
        elif product.live:
            self._complaints.warn(product.topic, f"{product.topic} stays empty: {NO_UNCERTAINTY}", seconds=60.0)

    def _all(self) -> tuple[LifecyclePublisher, ...]:
        return *self._images.values(), self._hdr_info, self._tonemapped_info, self._frame_info


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
    )
