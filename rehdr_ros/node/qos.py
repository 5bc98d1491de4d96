"""QoS of inputs and outputs, and what to say when it does not fit the other side's."""

from collections.abc import Callable

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

try:
    from rclpy import event_handler
except ImportError:  # Humble
    from rclpy import qos_event as event_handler

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
    """A subscription that keeps the last `depth` messages; lost(n) is called when the transport lost n."""
    policy = ReliabilityPolicy[reliability.upper()]
    qos = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=policy)
    resolved = node.resolve_topic_name(topic)

    def on_incompatible(info) -> None:
        complaints.warn(f"qos {resolved}", unheard(resolved, _name(info)))

    callbacks = event_handler.SubscriptionEventCallbacks(
        incompatible_qos=on_incompatible, message_lost=lambda info: lost(info.total_count_change)
    )
    try:
        return node.create_subscription(kind, topic, callback, qos, event_callbacks=callbacks, **options)
    except event_handler.UnsupportedEventTypeError:  # not every RMW tells
        return node.create_subscription(kind, topic, callback, qos, **options)


def keeps(node, topic: str) -> bool:
    """Whether a publisher keeps the last messages for subscriptions to come."""
    publishers = node.get_publishers_info_by_topic(node.resolve_topic_name(topic))
    return any(each.qos_profile.durability is DurabilityPolicy.TRANSIENT_LOCAL for each in publishers)


def subscribe_latched(node, kind: type, topic: str, callback: Callable, **options):
    """A subscription that gets the last message from before it, too, of publishers that keep it; no others.

    Those that keep nothing would warn of it: only where one `keeps`.
    """
    qos = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    quiet = event_handler.SubscriptionEventCallbacks(use_default_callbacks=False)  # `subscribe` hears others
    return node.create_subscription(kind, topic, callback, qos, event_callbacks=quiet, **options)


def unheard(topic: str, policy: str) -> str:
    """What to say of a publisher that offers less than our subscription asks for. policy: reliability, ..."""
    advice = "set input_reliability to best_effort here" if policy == "reliability" else "change it there"
    what = f"{policy}; {advice}"
    return f"a publisher on {topic} offers less than this node asks for, so it is not heard: {what}"


def publisher(node, kind: type, topic: str, complaints: Complaints):
    """A lifecycle publisher, reliable, with the standard QoS overrides (qos_overrides.TOPIC.publisher.*)."""
    resolved = node.resolve_topic_name(topic)

    def on_incompatible(info) -> None:
        policy = _name(info)
        text = f"a subscriber of {resolved} asks for more than is offered, so it gets nothing: {policy}; "
        text += f"change it there, or set qos_overrides.{resolved}.publisher.{policy} here"
        complaints.warn(f"qos {resolved}", text)

    options = {"qos_overriding_options": _OVERRIDES}
    try:
        events = {"event_callbacks": event_handler.PublisherEventCallbacks(incompatible_qos=on_incompatible)}
        return node.create_lifecycle_publisher(kind, topic, _OUTPUT_DEPTH, **events, **options)
    except event_handler.UnsupportedEventTypeError:
        return node.create_lifecycle_publisher(kind, topic, _OUTPUT_DEPTH, **options)


def _name(info) -> str:
    """reliability, durability, ..."""
    return QoSPolicyKind(info.last_policy_kind).name.lower()
