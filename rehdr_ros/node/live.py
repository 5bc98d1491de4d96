"""A recording through rehdr_node and back: the node as its own process, over DDS on this machine."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from rehdr_ros.errors import Failure
from rehdr_ros.node.context import start_ros
from rehdr_ros.node.recorder import Recorder
from rehdr_ros.node.replay import Replayer
from rehdr_ros.products import Product
from rehdr_ros.reconstruction import PipelineConfig
from rehdr_ros.recordings import BagRecording, BagWriter

_DISCOVERY_SECONDS = 3.0  # for others in the domain to be found, which takes 1 now and then
_LEASE_SECONDS = 30.0  # until DDS has surely forgotten one that was killed
_START_SECONDS = 120  # for the node to load its weights and subscribe
_DRAIN_SECONDS = 60  # without a frame, after which the rest counts as lost


class LiveRun:
    """Plays a bag's events and frames to a rehdr_node, which it starts, and records these products of it.

    bag_in: with one events and one image topic; bag_out: written; log: of the node. After `play`, `frames` is
    the number of frames that came back whole, `arrivals` the monotonic s at which their HDR images came.
    """

    def __init__(
        self, bag_in: Path, bag_out: Path, log: Path, config: PipelineConfig, products: Iterable[Product]
    ):
        self._products = products
        self._bag, self._bag_out, self._log, self._config = BagRecording(bag_in), bag_out, log, config
        self._topics = [self._bag.events_topic, self._bag.image_topic]
        self.messages = sum(self._bag.topics[t].count for t in self._topics)
        self.frames = 0
        self.arrivals: list[float] = []

    def play(self) -> Iterator[str]:
        """Run from start to end; yields each played message's topic.

        Raises Failure where others would take part, and if no node starts.
        """
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
        os.environ.setdefault("ROS_DOMAIN_ID", "87")
        start_ros(signals=SignalHandlerOptions.ALL)
        player = Replayer(self._bag, self._topics)
        if not self._is_alone(player):
            player.destroy_node()
            rclpy.try_shutdown()
            domain = os.environ["ROS_DOMAIN_ID"]
            raise Failure(
                f"another rehdr_node or camera is in ROS domain {domain}, as of another demo: "
                "wait for its end, or set another ROS_DOMAIN_ID"
            )
        with open(self._log, "w") as log, BagWriter(self._bag_out) as out:
            node = subprocess.Popen(self._command(), stdout=log, stderr=subprocess.STDOUT)
            recorder = Recorder(out, self._products)
            executor = SingleThreadedExecutor()
            executor.add_node(recorder)
            spinning = threading.Thread(target=executor.spin)
            spinning.start()
            try:
                self._wait_until_ready(player, node)
                yield from player.play()
                self._drain(recorder, node)
            finally:
                node.terminate()
                executor.shutdown()
                spinning.join()
                recorder.destroy_node()
                player.destroy_node()
                rclpy.try_shutdown()
                node.wait(timeout=30)
        self.frames, self.arrivals = min(recorder.count.values()), recorder.arrivals

    def _is_alone(self, player: Replayer) -> bool:
        """Whether nobody else hears what is played, or plays to the node; waits for the end of who does."""
        time.sleep(_DISCOVERY_SECONDS)
        if self._is_joined(player):
            player.get_logger().warning("waiting for another rehdr_node or camera to end")
        deadline = time.monotonic() + _LEASE_SECONDS
        while self._is_joined(player):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.5)
        return True

    def _is_joined(self, player: Replayer) -> bool:
        is_heard = "rehdr_node" in player.get_node_names()
        return is_heard or any(player.count_publishers(topic) > 1 for topic in self._topics)

    def _command(self) -> list[str]:
        size = next(self._bag.frames()).image.shape
        parameters = asdict(self._config) | {
            "event_timeout": 1.0,  # a busy machine must not part frames from their events
            "event_image": True,
            "expected_size": f"[{size[1]}, {size[0]}]",
        }
        events, image = self._topics
        command = [sys.executable, "-m", "rehdr_ros.node.main", "--ros-args"]
        command += ["-r", f"events:={events}", "-r", f"image_raw:={image}"]
        for name, value in parameters.items():
            if value != ():  # an empty list has no type
                command += ["-p", f"{name}:={list(value) if isinstance(value, tuple) else value}"]
        return command

    def _wait_until_ready(self, player: Replayer, node: subprocess.Popen) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while player.wait_for_subscribers(*([topic] for topic in self._topics), seconds=1.0):
            if node.poll() is not None or time.monotonic() > deadline:
                last = self._log.read_text().strip().splitlines()[-1:]
                raise Failure(f"rehdr_node did not start: {''.join(last) or 'no output'}")

    def _drain(self, recorder: Recorder, node: subprocess.Popen) -> None:
        expected = self._bag.topics[self._topics[1]].count
        seen, since = -1, time.monotonic()
        while min(recorder.count.values()) < expected and node.poll() is None:
            now = sum(recorder.count.values())
            if now != seen:
                seen, since = now, time.monotonic()
            if time.monotonic() - since > _DRAIN_SECONDS:
                return
            time.sleep(0.05)
