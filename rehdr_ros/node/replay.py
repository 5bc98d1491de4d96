"""Publish a bag into the ROS graph, where `ros2 bag play` does not exist."""

import time
from collections.abc import Iterator
from importlib import import_module

import rclpy
from rclpy.duration import Duration
from rclpy.exceptions import InvalidTopicNameException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rosgraph_msgs.msg import Clock

from rehdr_ros.errors import InputError
from rehdr_ros.node.context import start_ros
from rehdr_ros.node.conversions import ns_to_stamp
from rehdr_ros.node.signals import interrupt_on_signals
from rehdr_ros.recordings import BagRecording

_CLOCK = "/clock"
_DEPTH = 1000
_LATCHED_DEPTH = 100  # these stay in memory
_PATIENCE = 10.0  # s, after which to say for whom it waits
_LAST_SECONDS = 1.0  # for best-effort subscribers, who don't acknowledge: what they lack is gone with us
_MATCHING_SECONDS = 1.0  # for a subscriber that we have found to find us: until then it would miss messages


class Replayer(Node):
    """Publishes every topic of the bag whose type is installed, at the times of the log.

    Reliable; what was latched, and every tf_static, transient local. topics: these. clock: publish
    /clock as well, in place of the bag's.
    """

    def __init__(self, bag: BagRecording, topics: list[str], clock: bool = False):
        super().__init__("rehdr_replay")
        self._bag, self._said = bag, 0
        self._topics_out = {}
        for name, topic in bag.topics.items():
            kind = _message_class(topic.type)
            if name not in topics:
                continue
            if clock and name == _CLOCK:
                self.get_logger().warning(f"{name} left out: the replay publishes its own")
            elif kind is None:
                self.get_logger().warning(f"{name} left out: {topic.type} is not installed")
            else:
                try:
                    self._topics_out[name] = self.create_publisher(kind, name, _qos(bag, name))
                except InvalidTopicNameException:  # ROS 1 took others
                    self.get_logger().warning(f"{name} left out: ROS 2 takes no such name")
        self._clock_out = self.create_publisher(Clock, _CLOCK, 10) if clock else None

    @property
    def topics(self) -> list[str]:
        """Those that it publishes of the bag."""
        return list(self._topics_out)

    def wait_for_subscribers(self, *either: list[str], seconds: float) -> list[str]:
        """Wait until somebody subscribes to one topic of each list.

        Returns the lists, in words, of which nobody did in time.
        """
        started, said, waiting = time.monotonic(), False, [topics for topics in either if topics]
        lists = len(waiting)
        while waiting and time.monotonic() - started < seconds and rclpy.ok(context=self.context):
            waiting = [topics for topics in waiting if not any(map(self._is_heard, topics))]
            time.sleep(0.05)
            if waiting and not said and time.monotonic() - started > _PATIENCE:
                names = ", ".join(map(" or ".join, waiting))
                self.get_logger().info(f"waiting, {seconds:.0f} s at most, for a subscriber of {names}")
                said = True
        if len(waiting) < lists:
            time.sleep(_MATCHING_SECONDS)
        return list(map(" or ".join, waiting))

    def _is_heard(self, topic: str) -> bool:
        return self._topics_out[topic].get_subscription_count() > 0

    def play(self, rate: float = 1.0) -> Iterator[str]:
        """Publish once, in real time divided by `rate`; yields the topic of each message."""
        started, first = time.monotonic(), None
        self._say_notes()
        for topic, stamp_ns, raw in self._bag.raw_messages(set(self._topics_out)):
            first = stamp_ns if first is None else first
            time.sleep(max(0.0, started + (stamp_ns - first) * 1e-9 / rate - time.monotonic()))
            if not rclpy.ok(context=self.context):
                return
            if self._clock_out:
                self._clock_out.publish(Clock(clock=ns_to_stamp(stamp_ns)))
            if not len(raw):  # Fast DDS would deliver nothing that follows it on the topic
                self.get_logger().warning(f"left out a message of no bytes on {topic}")
                continue
            self._topics_out[topic].publish(bytes(raw))
            yield topic
        self._say_notes()

    def _say_notes(self) -> None:
        """What the bag has to tell of itself, as damage; reading adds to it."""
        for note in self._bag.notes[self._said :]:
            self.get_logger().warning(note)
        self._said = len(self._bag.notes)

    def finish(self, seconds: float = 5.0) -> None:
        """Wait until subscribers have what was published."""
        for publisher in self._topics_out.values():
            publisher.wait_for_all_acked(Duration(seconds=seconds))
        time.sleep(_LAST_SECONDS)


def replay(
    bag: BagRecording, topics: list[str], rate: float, loop: bool, clock: bool, wait: float
) -> Iterator[str]:
    """Play in a ROS context of its own until the end, or for ever; yields the topic of each message.

    wait: longest wait for subscribers of events and of frames, s, on whichever of the bag's topics. SIGINT
    and SIGTERM raise KeyboardInterrupt. Raises InputError where nothing is left to play.
    """
    start_ros()
    interrupt_on_signals()
    player = Replayer(bag, topics, clock)
    try:
        if not player.topics:
            raise InputError(f"nothing of {bag.path} is left to play")
        candidates = bag.events_topics, bag.image_topics
        inputs = ([topic for topic in topics if topic in player.topics] for topics in candidates)
        if deaf := player.wait_for_subscribers(*inputs, seconds=wait):
            player.get_logger().warning(f"nobody subscribes to {', '.join(deaf)}; playing all the same")
        yield from player.play(rate)
        while loop and rclpy.ok():
            yield from player.play(rate)
        player.finish()
    finally:
        player.destroy_node()
        rclpy.try_shutdown()


def _qos(bag: BagRecording, topic: str) -> QoSProfile:
    if topic in bag.latched or topic.endswith("/tf_static"):
        return QoSProfile(depth=_LATCHED_DEPTH, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    return QoSProfile(depth=_DEPTH)


def _message_class(name: str) -> type | None:
    try:
        package, _, kind = name.split("/")
        return getattr(import_module(f"{package}.msg"), kind)
    except (ImportError, AttributeError, ValueError):  # ValueError: no ROS type at all
        return None
