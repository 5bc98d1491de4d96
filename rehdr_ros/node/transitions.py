"""Lifecycle transitions that are heard of: rclpy does not tell of failed ones, and never answers some."""

from collections.abc import Callable
from functools import wraps

from lifecycle_msgs.srv import ChangeState
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from rehdr_ros.errors import one_line

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE
ERROR = TransitionCallbackReturn.ERROR  # rclpy calls on_error, and the node is unconfigured

_Callback = Callable[[LifecycleNode, LifecycleState], TransitionCallbackReturn]


def transition(problem: str, failed: TransitionCallbackReturn = ERROR) -> Callable[[_Callback], _Callback]:
    """For a transition's callback: an exception becomes a log line, after `problem`, and answer `failed`."""

    def decorate(callback: _Callback) -> _Callback:
        @wraps(callback)
        def run(node: LifecycleNode, state: LifecycleState) -> TransitionCallbackReturn:
            try:
                return callback(node, state)
            except Exception as error:
                node.get_logger().error(f"{problem} {one_line(error)}")
                return failed

        return run

    return decorate


def answer_every_request(node: LifecycleNode) -> None:
    """Let a lifecycle manager have its answer where the transition does not fit the node's state.

    rclpy before Kilted raises RCLError instead, in its callback of the service: the manager waits for ever.
    """
    (service,) = (each for each in node.services if each.srv_type is ChangeState)
    change_state = service.callback

    def on_change_state(request: ChangeState.Request, response: ChangeState.Response) -> ChangeState.Response:
        try:
            return change_state(request, response)
        except Exception as error:
            node.get_logger().error(f"refused a transition: {one_line(error)}")
            response.success = False
            return response

    service.callback = on_change_state
