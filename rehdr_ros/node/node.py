"""rehdr_node: the pipeline as a managed ROS 2 node."""

import math
from collections import Counter

from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from rehdr_ros.errors import one_line
from rehdr_ros.node.complaints import Complaints
from rehdr_ros.node.conversions import stamped
from rehdr_ros.node.diagnostics import Diagnostics, Health
from rehdr_ros.node.inputs import Inputs, event_array_class
from rehdr_ros.node.outputs import Outputs
from rehdr_ros.node.parameters import QOS_OVERRIDES, Parameters, changed_by, declare, read, unknown
from rehdr_ros.node.silence import Silence
from rehdr_ros.node.transitions import FAILURE, SUCCESS, answer_every_request, transition
from rehdr_ros.node.worker import Worker
from rehdr_ros.reconstruction import Fault, HdrFrame, HdrPipeline
from rehdr_ros.reconstruction.losses import losses

_LAZY_SECONDS = 0.2  # between looks for subscribers
_SILENT_FRAMES = 30  # without events, after which something is probably wrong
_SILENT_SECONDS = 2.0  # as many outputs between the frames


class RehdrNode(LifecycleNode):
    """Events and LDR frames in, HDR and tonemapped frames out.

    Callbacks decode and queue; one thread runs the network, another publishes: no callback waits for either.
    With output_rate a third makes the outputs between the frames.
    """

    def __init__(self):
        super().__init__("rehdr_node")
        self._complaints = Complaints(self.get_logger())
        self._pipeline: HdrPipeline | None = None
        self._inputs: Inputs | None = None
        self._outputs: Outputs | None = None
        self._worker: Worker | None = None
        self._lazy_timer = self._reset_service = None
        answer_every_request(self)
        declare(self)
        self.add_on_set_parameters_callback(self._on_parameters)
        self._warn_of_unknown({k: near for k, near in unknown(self).items() if QOS_OVERRIDES not in k})
        self._diagnostics = Diagnostics(self, self._health)

    # Transitions

    @transition("cannot configure:", failed=FAILURE)
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the weights and warm up; on failure say why and stay unconfigured."""
        try:
            self._settings = settings = read(self)
            if settings.events_type == "dvs_msgs":
                event_array_class()
            self._pipeline = HdrPipeline(settings)
            self._chosen = self._pipeline.device, self._pipeline.precision
            self._pipeline.warm_up(settings.expected_size)
            self._outputs = Outputs(self, self._complaints)
        except Exception:
            self._free()
            raise
        self._engine = self._pipeline.engine
        way = f"{settings.weights} on {self._pipeline.device}, {self._pipeline.precision}, by {self._engine}"
        self.get_logger().info(f"weights {way}; radiance {self._pipeline.radiance}")
        self._warn_of_unknown(unknown(self))
        return SUCCESS

    @transition("cannot activate:", failed=FAILURE)
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the worker and subscribe; on failure say why and stay inactive."""
        try:
            self._start()
            result = super().on_activate(state)
            self._listen()
        except Exception:
            self._end()
            super().on_deactivate(state)
            raise
        events, images = self._inputs.events_topic, self._inputs.image_topic
        self.get_logger().info(f"waiting for events on {events} and images on {images}")
        return result

    @transition("cannot deactivate:")
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe, stop the worker and forget the stream."""
        self.stop()
        return super().on_deactivate(state)

    @transition("cannot clean up:")
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the network and the device's memory."""
        self.stop()
        self._free()
        return SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """As cleanup: the finalized node stays until a signal ends its process."""
        return self.on_cleanup(state)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """A transition failed in a way nobody foresaw (it is in the log): back to unconfigured."""
        return self.on_cleanup(state)

    def complain(self, text: str) -> None:
        """Log an error, at most one in some seconds."""
        self._complaints.error("node", text)

    def stop(self, seconds: float | None = None) -> bool:
        """Unsubscribe, end the worker and say how it went; does nothing where nothing runs.

        False where the frame in progress takes longer than `seconds`.
        """
        if self._worker is None:
            return True
        stopped = self._end(seconds)
        published = self._tally["published"]
        counters = self._counters()
        latency = f", mean latency {1e3 * self._latencies / published:.1f} ms" if published else ""
        if counters["late_frames"]:
            latency += f" ({counters['late_frames']} over the budget)"
        self.get_logger().info(
            f"stopped after {published} frames{latency}; lost: {losses(counters) or 'nothing'}"
        )
        return stopped

    def _start(self) -> None:
        """Count anew, and start the worker."""
        self._pipeline.activate()
        self._tally: Counter = Counter()
        self._latencies, self._eventless = 0.0, 0
        self._diagnostics.restart()
        shared = self._tally, self._complaints
        self._worker = Worker(self._pipeline, self._publish, self._waiting_time, *shared)

    def _listen(self) -> None:
        """Subscribe, and provide the service."""
        shared = self._tally, self._complaints
        wake, now = self._worker.wake, self._waiting_time
        self._inputs = Inputs(self, self._pipeline, self._settings, *shared, wake, now)
        self._silence = Silence(self, self._inputs, self._complaints)
        self._look_for_subscribers()
        clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._lazy_timer = self.create_timer(_LAZY_SECONDS, self._look_for_subscribers, clock=clock)
        self._reset_service = self.create_service(Trigger, "~/reset", self._on_reset)

    def _end(self, seconds: float | None = None) -> bool:
        """End what `_start` and `_listen` began, as far as they came; returns as `stop`."""
        if self._lazy_timer is not None:
            self.destroy_timer(self._lazy_timer)
        if self._reset_service is not None:
            self.destroy_service(self._reset_service)
        if self._inputs is not None:
            self._inputs.close()
        stopped = self._worker is None or self._worker.stop(seconds)
        self._lazy_timer = self._reset_service = self._worker = None
        return stopped

    def _free(self) -> None:
        if self._outputs is not None:
            self._outputs.destroy()
        if self._pipeline is not None:
            self._pipeline.close()
        self._outputs = self._pipeline = None

    def _warn_of_unknown(self, names: dict[str, str]) -> None:
        for name, nearest in names.items():
            text = f"there is no parameter {name}: it has no effect"
            text += f"; did you mean {nearest}?" if nearest else ""
            self._complaints.warn(text, text, seconds=math.inf)

    # Callbacks: none waits for the network

    def _on_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        """Take changes between two frames; refuse wrong ones, and what needs a new configuration."""
        configured = self._pipeline is not None
        try:
            now = self._settings if configured else self._parameters_so_far()
            settings = changed_by(changes, now, configured)
            if configured:
                self._pipeline.configure(settings)
                self._settings = settings
        except Exception as error:  # rclpy would not answer, and `ros2 param set` wait for ever
            return SetParametersResult(successful=False, reason=one_line(error))
        return SetParametersResult(successful=True)

    def _parameters_so_far(self) -> Parameters:
        """As they are; the defaults where what the node was started with can't be."""
        try:
            return read(self)
        except ValueError:
            return Parameters()

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._pipeline.reset("service")
        response.success, response.message = True, "hidden state forgotten"
        return response

    def _look_for_subscribers(self) -> None:
        """With `lazy`, no subscription and no work while nobody subscribes."""
        if not self._settings.lazy or self._outputs.wanted:
            self._inputs.open()
        elif self._inputs.subscriptions:
            self._inputs.close()
            self._pipeline.restart("nobody subscribed")

    def _waiting_time(self) -> float | None:
        """The time by which frames wait for events, s: the simulated, or None for the monotonic clock's."""
        if self.get_parameter("use_sim_time").value:
            return self.get_clock().now().nanoseconds * 1e-9
        return None

    # The thread that publishes

    def _publish(self, frame: HdrFrame) -> None:
        if frame.info.source == "frame":
            camera_info = self._inputs.camera_infos.take(frame.stamp_ns)
        else:
            camera_info = stamped(self._inputs.last_camera_info, frame.stamp_ns)
        info = self._outputs.publish(frame, self._settings, camera_info, self._tally)
        self._latencies += info.latency
        self._diagnostics.note(info)
        self._comment(info, frame.info.fault)

    def _comment(self, info, fault: Fault | None) -> None:
        """Say in the log what a user should know of this frame."""
        complaints, reason = self._complaints, info.reset_reason
        if self._pipeline.engine != self._engine:
            self._engine = self._pipeline.engine
            self.get_logger().info(f"the network now runs by {self._engine}")
        if fault is Fault.OUT_OF_MEMORY:
            text = f"the device is {reason}: slower or coarser from here on"
            complaints.error(reason, text, seconds=math.inf)
        elif fault is Fault.NOT_FINITE:
            complaints.error(reason, "the network gave NaN or infinity: the hidden state was reset")
        elif reason and info.index:
            complaints.info(f"reset {reason.split()[0]}", f"hidden state reset: {reason}")
        if doubt := self._pipeline.registration_doubt:
            complaints.warn(doubt, doubt, seconds=math.inf)
        self._eventless = 0 if info.events or reason else self._eventless + 1
        if self._eventless >= max(_SILENT_FRAMES, _SILENT_SECONDS * self._settings.output_rate):
            topic = self.resolve_topic_name("events")
            text = f"no events for {self._eventless} frames: is {topic} the right topic, "
            text += "and are frames and events stamped by one clock (frame_clock, event_time_offset)?"
            complaints.warn("events", text)

    # What diagnostics ask

    def _counters(self) -> Counter:
        """Everything that is counted, since activation."""
        pipeline = self._pipeline
        return Counter(self._tally) + Counter(pipeline.counters) + Counter(events=pipeline.events)

    def _health(self) -> Health:
        pipeline = self._pipeline
        if pipeline is None:
            return Health()
        made = {name: getattr(pipeline, name) for name in ("device", "precision", "engine")}
        made |= {"weights": self._settings.weights, "settings": self._settings}
        made["fallen_back"] = (pipeline.device, pipeline.precision) != self._chosen
        if self._worker is None:
            return Health("inactive", **made)
        counters = self._counters()
        silent = self._silence.look(counters, self._settings)
        return Health("active", **made, counters=counters, silent=silent, problems=self._problems())

    def _problems(self) -> list[str]:
        problems = []
        if self.get_parameter("use_sim_time").value and not self.count_publishers(
            self.resolve_topic_name("/clock")
        ):
            problems.append("use_sim_time is set and nobody publishes /clock")
        names = self.get_node_names_and_namespaces()
        if names.count((self.get_name(), self.get_namespace())) > 1:
            problems.append("another node has the same name and namespace")
        if self._pipeline.registration_problem:
            problems.append(f"frames go without events: {self._pipeline.registration_problem}")
        problems += filter(None, (self._pipeline.event_problem, self._pipeline.frame_problem))
        for problem in problems:
            subject = " ".join(problem.split()[:3])  # numbers in the rest may change
            self._complaints.warn(subject, problem, seconds=60.0)
        return problems
