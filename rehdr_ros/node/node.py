"""rehdr_node: the pipeline as a managed ROS 2 node."""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import rclpy
from event_camera_msgs.msg import EventPacket
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from rehdr_ros.msg import Exposure, FrameInfo
from rehdr_ros.node.conversions import (
    image_from_message,
    image_to_message,
    ns_to_stamp,
)
from rehdr_ros.node.parameters import declare, read
from rehdr_ros.node.signals import interrupt_on_signals
from rehdr_ros.node.transport import use_large_shared_memory
from rehdr_ros.reconstruction import HdrFrame, HdrPipeline
from rehdr_ros.reconstruction.recent import Recent
from rehdr_ros.recordings.camera_message import camera_from_message
from rehdr_ros.recordings.packet_message import packet_from_message, stamp_to_ns

_POLL_SECONDS = 0.02  # how often the worker looks for frames whose events are overdue
_THROTTLE_SECONDS = 5.0
_SILENT_FRAMES = 30  # without events, after which something is probably wrong


class RehdrNode(LifecycleNode):
    """Events and LDR frames in, HDR and tonemapped frames out.

    Callbacks decode and queue; a worker thread runs the network and publishes, so that no callback ever waits for it.
    """

    def __init__(self):
        super().__init__("rehdr_node")
        declare(self)
        self._pipeline: HdrPipeline | None = None
        self._inputs: list = []
        self._outputs: dict = {}
        self._worker: threading.Thread | None = None
        self._wake = threading.Event()
        self._running = False
        self._refused: dict[str, int] = {}
        self._quiet_until: dict[str, float] = {}

    # Transitions

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the weights and warm up; on failure say why and stay unconfigured."""
        try:
            self._settings = read(self)
            self._pipeline = HdrPipeline(self._settings)
            self._pipeline.warm_up(*(self._settings.expected_size or (64, 64)))
        except (ValueError, OSError, RuntimeError) as error:
            self._pipeline = None
            self.get_logger().error(f"cannot configure: {' '.join(str(error).split())}")
            return TransitionCallbackReturn.FAILURE
        self._make_outputs()
        self.get_logger().info(
            f"weights {self._settings.weights} on {self._pipeline.device}, {self._pipeline.precision}, "
            f"radiance {self._pipeline.radiance}"
        )
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe and start the worker."""
        self._camera_infos: Recent[CameraInfo] = Recent()
        self._pipeline.restart("activation")
        self._first = self._pipeline.counters
        self._published, self._latencies = 0, 0.0
        self._lost_frames = self._eventless = 0
        self._sensor_size: tuple[int, int] | None = None
        self._running = True
        self._worker = threading.Thread(target=self._work, name="rehdr worker")
        self._worker.start()
        self._make_inputs()
        result = super().on_activate(state)
        self.get_logger().info(f"waiting for events on {self._events_topic} and images on {self._inputs[1].topic_name}")
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe, stop the worker and forget the stream."""
        self.stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the network and the device's memory."""
        self.stop()
        for publisher in self._outputs.values():
            self.destroy_lifecycle_publisher(publisher)
        if self._pipeline is not None:
            self._pipeline.close()
        self._outputs, self._pipeline = {}, None
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """As cleanup: the finalized node stays until a signal ends its process."""
        return self.on_cleanup(state)

    def _make_outputs(self) -> None:
        def output(kind, topic):
            return self.create_lifecycle_publisher(kind, topic, 10)

        self._outputs = {
            "hdr": output(Image, "hdr/image_raw"),
            "hdr_info": output(CameraInfo, "hdr/camera_info"),
            "tonemapped": output(Image, "tonemapped/image_raw"),
            "tonemapped_info": output(CameraInfo, "tonemapped/camera_info"),
            "frame_info": output(FrameInfo, "~/frame_info"),
        }

    def _make_inputs(self) -> None:
        def qos(depth):  # drivers publish best effort; a reliable subscription would never match them
            return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=ReliabilityPolicy.BEST_EFFORT)

        depth = self._settings.image_depth
        self._inputs = [
            self.create_subscription(EventPacket, "events", self._on_events, qos(self._settings.events_depth)),
            self.create_subscription(Image, "image_raw", self._on_image, qos(depth)),
            self.create_subscription(CameraInfo, "camera_info", self._on_camera_info, qos(depth)),
            self.create_subscription(CameraInfo, "event_camera_info", self._on_event_camera_info, qos(depth)),
            self.create_subscription(Exposure, "exposure", self._on_exposure, qos(depth)),
        ]
        self._events_topic = self._inputs[0].topic_name
        self._reset_service = self.create_service(Trigger, "~/reset", self._on_reset)

    def stop(self) -> None:
        """Unsubscribe, end the worker and say how it went; does nothing where nothing runs."""
        if not self._running:
            return
        for subscription in self._inputs:
            self.destroy_subscription(subscription)
        self.destroy_service(self._reset_service)
        self._inputs = []
        self._running = False
        self._wake.set()
        self._worker.join()
        counters = {name: count - self._first.get(name, 0) for name, count in self._pipeline.counters.items()}
        counters["skipped_frames"] += self._lost_frames
        lost = ", ".join(f"{name} {count}" for name, count in counters.items() if count) or "nothing"
        latency = f", mean latency {1e3 * self._latencies / self._published:.1f} ms" if self._published else ""
        self.get_logger().info(f"stopped after {self._published} frames{latency}; lost: {lost}")

    # Callbacks: none waits for the network

    def _on_events(self, message: EventPacket) -> None:
        with self._refusing("events"):
            self._pipeline.add_packet(packet_from_message(message))
            self._sensor_size = (message.width, message.height)
        self._wake.set()

    def _on_image(self, message: Image) -> None:
        size = (message.width, message.height)
        registration = self._settings.registration
        if registration in ("scale", "identity") and self._sensor_size not in (None, size):
            sizes = f"events of {self._sensor_size} and frames of {size} pixels"
            advice = "unless both cameras share their optics, set it to homography or camera_info"
            self._warn(sizes, f"{sizes}, with registration={registration}: {advice}", seconds=math.inf)
        with self._refusing("image_raw"):
            stamp_ns = stamp_to_ns(message.header.stamp)
            self._pipeline.add_frame(stamp_ns, image_from_message(message), frame_id=message.header.frame_id)
        self._wake.set()

    def _on_camera_info(self, message: CameraInfo) -> None:
        self._camera_infos.put(stamp_to_ns(message.header.stamp), message)
        self._calibrate("frames", "camera_info", message)

    def _on_event_camera_info(self, message: CameraInfo) -> None:
        self._calibrate("events", "event_camera_info", message)

    def _calibrate(self, of: str, topic: str, message: CameraInfo) -> None:
        if self._settings.registration == "camera_info":
            with self._refusing(topic):
                self._pipeline.set_camera(of, camera_from_message(message))

    def _on_exposure(self, message: Exposure) -> None:
        self._pipeline.add_exposure(stamp_to_ns(message.header.stamp), message.exposure_time * message.gain)

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._pipeline.reset("service")
        response.success, response.message = True, "hidden state forgotten"
        return response

    @contextmanager
    def _refusing(self, topic: str) -> Iterator[None]:
        """Whatever a message holds, the stream goes on: what fails is counted and said."""
        try:
            yield
        except Exception as error:
            refused = self._refused[topic] = self._refused.get(topic, 0) + 1
            self._warn(topic, f"refused a message on {topic} ({refused} so far): {error}")

    def _warn(self, subject: str, text: str, seconds: float = _THROTTLE_SECONDS) -> None:
        """A warning, at most one in so many seconds for each subject."""
        now = time.monotonic()
        if now >= self._quiet_until.get(subject, 0.0):
            self._quiet_until[subject] = now + seconds
            self.get_logger().warning(text)

    # The worker thread

    def _work(self) -> None:
        while self._running:
            self._wake.wait(_POLL_SECONDS)
            self._wake.clear()
            try:
                for frame in self._pipeline.take(now=time.monotonic()):
                    self._publish_safely(frame)
                    if not self._running:
                        return
            except Exception as error:  # the stream goes on, whatever one frame did
                self._lost_frames += 1
                self._warn("reconstruction", f"lost a frame ({self._lost_frames} so far): {error!r}")
                self._pipeline.reset("error")

    def _publish_safely(self, frame: HdrFrame) -> None:
        """DDS may refuse under flood, which is no fault of the stream."""
        try:
            self._publish(frame)
        except Exception as error:
            self._lost_frames += 1
            self._warn("publication", f"could not publish a frame ({self._lost_frames} lost so far): {error!r}")
        if self._pipeline.registration_problem:
            self._warn("registration", f"frames go without events: {self._pipeline.registration_problem}")
        self._eventless = 0 if frame.info.events or frame.info.reset_reason else self._eventless + 1
        if self._eventless >= _SILENT_FRAMES:
            self._warn(
                "events",
                f"no events for {self._eventless} frames: is {self._events_topic} the right topic, "
                "and are frames and events stamped by one clock (frame_clock, event_time_offset)?",
            )

    def _publish(self, frame: HdrFrame) -> None:
        header = Header(stamp=ns_to_stamp(frame.stamp_ns), frame_id=frame.frame_id)
        started = time.perf_counter()
        settings = self._settings
        self._outputs["hdr"].publish(image_to_message(frame.radiance, settings.hdr_encoding, header))
        self._outputs["tonemapped"].publish(image_to_message(frame.tonemapped, settings.tonemapped_encoding, header))
        camera_info = self._camera_infos.take(frame.stamp_ns)
        if camera_info is not None:
            self._outputs["hdr_info"].publish(camera_info)
            self._outputs["tonemapped_info"].publish(camera_info)
        durations = {**frame.info.durations, "publish": time.perf_counter() - started}
        latency = time.monotonic() - frame.info.ready_at
        self._outputs["frame_info"].publish(self._frame_info(frame, header, durations, latency))
        self._published += 1
        self._latencies += latency

    def _frame_info(self, frame: HdrFrame, header: Header, durations: dict[str, float], latency: float) -> FrameInfo:
        info, first = frame.info, self._first
        return FrameInfo(
            header=header,
            index=self._published,
            events=info.events,
            dropped_events=info.dropped_events - first["dropped_events"],
            lost_packets=info.lost_packets - first.get("lost_packets", 0),
            skipped_frames=info.skipped_frames - first["skipped_frames"] + self._lost_frames,
            clipped_fraction=info.clipped_fraction,
            latency=latency,
            stages=list(durations),
            stage_durations=list(durations.values()),
            reset_reason=info.reset_reason,
            radiance=info.radiance,
        )


def main(arguments: list[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM. Returns 0; 2 where autostart can't configure it."""
    use_large_shared_memory()
    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    interrupt_on_signals()
    node = RehdrNode()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        if node.get_parameter("autostart").value:
            if node.trigger_configure() != TransitionCallbackReturn.SUCCESS:
                return 2
            node.trigger_activate()
        while rclpy.ok():
            executor.spin_once(timeout_sec=0.1)  # returns now and then, to see signals
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.stop()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
