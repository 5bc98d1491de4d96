"""Record what rehdr_node publishes."""

import time
from collections.abc import Iterable

from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from rehdr_ros.msg import FrameInfo
from rehdr_ros.node.transport import shared_file
from rehdr_ros.products import NAMED, Product, published
from rehdr_ros.recordings import BagWriter
from rehdr_ros.wire.header import stamp_from_bytes

_DEPTH = 100


class Recorder(Node):
    """Writes these products and the frame infos of one rehdr_node to a bag, unchanged.

    `count`: messages received, by topic. `arrivals`: monotonic s of each HDR image's arrival.
    """

    def __init__(self, bag: BagWriter, products: Iterable[Product], node_name: str = "/rehdr_node"):
        super().__init__("rehdr_recorder")
        self._bag = bag
        bag.register("rehdr_ros/msg/FrameInfo", shared_file("msg/FrameInfo.msg").read_text())
        self.count: dict[str, int] = {}
        self.arrivals: list[float] = []
        for product in published(products):
            self._record(product.topic, Image, "sensor_msgs/msg/Image")
        self._record(f"{node_name}/frame_info", FrameInfo, "rehdr_ros/msg/FrameInfo")

    def _record(self, topic: str, kind: type, type_name: str) -> None:
        resolved = self.resolve_topic_name(topic)
        self.count[resolved] = 0

        def on_message(raw: bytes) -> None:
            self._bag.write_raw(resolved, type_name, raw, stamp_from_bytes(raw))
            self.count[resolved] += 1
            if topic == NAMED["hdr"].topic:
                self.arrivals.append(time.monotonic())

        self.create_subscription(kind, topic, on_message, QoSProfile(depth=_DEPTH), raw=True)
