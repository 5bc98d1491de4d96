"""QoS of inputs and outputs, and what to say when it does not fit the other side's."""

from collections.abc import Callable

from rclpy.qos import HistoryPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

try:
    from rclpy.event_handler import (
        PublisherEventCallbacks,
        SubscriptionEventCallbacks,
        UnsupportedEventTypeError,
    )
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks, UnsupportedEventTypeError

from rehdr_ros.node.complaints import Complaints

_OVERRIDES = QoSOverridingOptions(
    [QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.RELIABILITY, QoSPolicyKind.DURABILITY]
)
_OUTPUT_DEPTH = 10


def subscribe(
    node,
    kind: type,
    topic: str,
    callback: Callable,
    depth: int,
    reliability: str,
    lost: Callable,
    complaints: Complaints,
    **options,
):
    """A subscription that keeps the last `depth` messages; lost(n) is called when the transport has lost n."""
    qos = QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=ReliabilityPolicy[reliability.upper()]
    )
    resolved = node.resolve_topic_name(topic)

    def on_incompatible(info) -> None:
        complaints.warn(f"qos {resolved}", unheard(resolved, _name(info)))

    callbacks = SubscriptionEventCallbacks(
        incompatible_qos=on_incompatible, message_lost=lambda info: lost(info.total_count_change)
    )
    try:
        return node.create_subscription(kind, topic, callback, qos, event_callbacks=callbacks, **options)
    except UnsupportedEventTypeError:  # not every RMW tells
        return node.create_subscription(kind, topic, callback, qos, **options)


def unheard(topic: str, policy: str) -> str:
    """What to say of a publisher that offers less than a subscription of ours asks for. policy: reliability, ..."""
    advice = "set input_reliability to best_effort here" if policy == "reliability" else "change it there"
    return (
        f"a publisher on {topic} offers less than this node asks for, so it is not heard: {policy}; {advice}"
    )


def publisher(node, kind: type, topic: str, complaints: Complaints):
    """A lifecycle publisher, reliable, with the standard QoS overrides (qos_overrides.TOPIC.publisher.*)."""
    resolved = node.resolve_topic_name(topic)

    def on_incompatible(info) -> None:
        policy = _name(info)
        complaints.warn(
            f"qos {resolved}",
            f"a subscriber of {resolved} asks for more than is offered, so it gets nothing: {policy}; "
            f"change it there, or set qos_overrides.{resolved}.publisher.{policy} here",
        )

    options = {"qos_overriding_options": _OVERRIDES}
    try:
        callbacks = PublisherEventCallbacks(incompatible_qos=on_incompatible)
        return node.create_lifecycle_publisher(
            kind, topic, _OUTPUT_DEPTH, event_callbacks=callbacks, **options
        )
    except UnsupportedEventTypeError:
        return node.create_lifecycle_publisher(kind, topic, _OUTPUT_DEPTH, **options)


def _name(info) -> str:
    """reliability, durability, ..."""
    return QoSPolicyKind(info.last_policy_kind).name.lower()
