"""What the node publishes for one frame."""

import time
from collections import Counter

from rclpy.lifecycle import LifecyclePublisher
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from rehdr_ros.msg import FrameInfo
from rehdr_ros.node.complaints import Complaints
from rehdr_ros.node.conversions import image_to_jpeg, image_to_message, ns_to_stamp
from rehdr_ros.node.parameters import Parameters
from rehdr_ros.node.qos import publisher
from rehdr_ros.products import CAMERA_INFOS, NAMED, NO_ESTIMATE, PRODUCTS, Product, published
from rehdr_ros.reconstruction import HdrFrame


class Outputs:
    """The publishers. An image that nobody subscribes to is not even packed, nor taken from the device.

    tally counts published frames, and those over the latency budget (late_frames).
    """

    def __init__(self, node, complaints: Complaints):
        self._node, self._complaints = node, complaints
        self._publishers: list[LifecyclePublisher] = []
        try:
            self._images = {product: self._add(Image, product.topic) for product in published(PRODUCTS)}
            raw = node.resolve_topic_name(NAMED["tonemapped"].topic)
            self._jpeg = self._add(CompressedImage, f"{raw}/compressed")  # where image_transport looks for it
            self._camera_infos = [self._add(CameraInfo, topic) for topic in CAMERA_INFOS]
            self._frame_info = self._add(FrameInfo, "~/frame_info")
        except Exception:
            self.destroy()
            raise

    def destroy(self) -> None:
        for each in self._publishers:
            self._node.destroy_lifecycle_publisher(each)
        self._publishers = []

    @property
    def wanted(self) -> bool:
        """Whether somebody subscribes to anything."""
        return any(map(_is_wanted, self._publishers))

    def publish(
        self, frame: HdrFrame, settings: Parameters, camera_info: CameraInfo | None, tally: Counter
    ) -> FrameInfo:
        """Publish a frame, and return what was said of it."""
        header = Header(stamp=ns_to_stamp(frame.stamp_ns), frame_id=frame.frame_id)
        wanted = [product for product, each in self._images.items() if _is_wanted(each)]
        started = time.perf_counter()
        for product in wanted:
            if product.offline:
                self._publish_image(product, frame, settings, header)
        if _is_wanted(self._jpeg):
            encoding, quality = settings.tonemapped_encoding, settings.jpeg_quality
            self._jpeg.publish(image_to_jpeg(frame.tonemapped, encoding, quality, header))
        if camera_info is not None:
            for each in self._camera_infos:
                each.publish(camera_info)
        durations = {**frame.info.durations, "publish": time.perf_counter() - started}
        for product in wanted:
            if not product.offline:  # what is made for subscribers alone has a stage of its own
                started = time.perf_counter()
                self._publish_image(product, frame, settings, header)
                durations[product.name] = time.perf_counter() - started
        latency = time.monotonic() - frame.info.ready_at
        budget = settings.latency_budget
        if budget and latency > budget:
            tally["late_frames"] += 1
            text = f"a frame took {1e3 * latency:.0f} ms, the latency_budget is {1e3 * budget:.0f} ms "
            text += f"({tally['late_frames']} frames so far): use smaller frames, a smaller network or a GPU"
            self._complaints.warn("latency", text)
        message = _message(frame, header, durations, latency, tally)
        self._frame_info.publish(message)
        tally["published"] += 1
        return message

    def _publish_image(self, product: Product, frame: HdrFrame, settings: Parameters, header: Header) -> None:
        image = frame.picture(product.attribute)
        if image is not None:
            encoding = getattr(settings, f"{product.name}_encoding", product.encoding)
            self._images[product].publish(image_to_message(image, encoding, header))
        elif product.live:
            self._complaints.warn(product.topic, f"{product.topic} stays empty: {NO_ESTIMATE}", seconds=60.0)

    def _add(self, kind: type, topic: str) -> LifecyclePublisher:
        self._publishers.append(publisher(self._node, kind, topic, self._complaints))
        return self._publishers[-1]


def _is_wanted(each: LifecyclePublisher) -> bool:
    return each.get_subscription_count() > 0


def _message(frame: HdrFrame, header: Header, durations: dict, latency: float, tally: Counter) -> FrameInfo:
    names = FrameInfo.get_fields_and_field_types()
    info = {name: value for name, value in vars(frame.info).items() if name in names}
    info |= {
        "header": header,
        "index": tally["published"],
        "skipped_frames": info["skipped_frames"] + tally["lost_frames"],
        "refused_messages": tally["refused_messages"],
        "latency": latency,
        "stages": list(durations),
        "stage_durations": list(durations.values()),
    }
    return FrameInfo(**info, **frame.info.event_fit._asdict())
