"""The process of rehdr_node."""

import gc
import os
import sys
from typing import NoReturn

from rehdr_ros.node.signals import Ending

_LAST_FRAME_SECONDS = 0.7  # that the frame in progress may take at the end


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the node until SIGINT or SIGTERM, and end the process: with 0, or 2 where it can't start."""
    ending = Ending(_LAST_FRAME_SECONDS)
    try:
        code = _run(arguments, ending)
    finally:
        ending.begin()
    gc.collect()  # the node's last references: then DDS says goodbye, or others would see it for 20 s more
    # At once: a network may still be compiling in the background, and to tear down what it uses would abort.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _run(arguments: list[str] | None, ending: Ending) -> int:
    # Not before signals are seen to: these imports take seconds.
    import rclpy
    from rclpy.exceptions import ParameterException
    from rclpy.executors import ExternalShutdownException
    from rclpy.lifecycle import TransitionCallbackReturn
    from rclpy.utilities import remove_ros_args

    from rehdr_ros import threads
    from rehdr_ros.errors import InputError, missing_package, one_line

    threads.claim()
    try:
        from rehdr_ros.node.context import start_ros
        from rehdr_ros.node.node import RehdrNode
    except ModuleNotFoundError as error:
        missing = missing_package(error)
        if missing is None:
            raise
        print(f"rehdr_node: {missing}", file=sys.stderr)
        return 2

    if ending.asked:
        return 0
    try:
        start_ros(arguments)
        if others := remove_ros_args(arguments)[1:]:  # ROS ignores them
            usage = "--ros-args -p PARAMETER:=VALUE -r events:=TOPIC (docs/parameters.md)"
            raise InputError(f"{' '.join(others)}: what it takes are ROS' arguments, {usage}")
        node = RehdrNode()
    except (InputError, ParameterException, RuntimeError) as error:
        print(f"rehdr_node: {one_line(error)}", file=sys.stderr)  # ROS' logger may be what failed
        rclpy.try_shutdown()
        return 2
    executor = _make_executor()
    executor.add_node(node)
    try:
        if node.get_parameter("autostart").value:
            for transition in (node.trigger_configure, node.trigger_activate):
                if not ending.asked and transition() != TransitionCallbackReturn.SUCCESS:
                    return 2
        while rclpy.ok() and not ending.asked:
            try:
                executor.spin_once(timeout_sec=0.1)  # returns now and then, to see signals
            except ExternalShutdownException:
                raise
            except Exception as error:  # DDS refuses to publish under flood, a service's client has gone, ...
                node.complain(f"a callback failed: {one_line(error)}")
    except ExternalShutdownException:
        pass
    finally:
        ending.begin()
        # On a slow CPU a frame takes seconds, and its thread, which uses the node, can't be interrupted.
        if node.stop(_LAST_FRAME_SECONDS):
            executor.shutdown()
            node.destroy_node()
            rclpy.try_shutdown()
    return 0


def _make_executor():
    """The one that takes half the time a packet, where rclpy has it (Kilted): no wait set for each."""
    try:
        from rclpy.experimental import EventsExecutor
    except ImportError:
        from rclpy.executors import SingleThreadedExecutor as EventsExecutor
    return EventsExecutor()


if __name__ == "__main__":
    main()
