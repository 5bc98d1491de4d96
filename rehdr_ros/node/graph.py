"""What the ROS graph knows of a subscription to which nothing comes."""

from difflib import SequenceMatcher

from rclpy.node import Node
from rclpy.qos import QoSCompatibility, qos_check_compatible
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo

from rehdr_ros.node.qos import unheard

_SIMILAR, _SUGGESTIONS = 0.6, 3  # how similar names are, from 0 to 1, and how many are told
_COMPRESSED = "/compressed"  # what image_transport appends to the name of the raw topic
_PACKET, _ARRAY = "event_camera_msgs/msg/EventPacket", "dvs_msgs/msg/EventArray"
_RAW, _PACKED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
# The parameter that makes the node take the second type in place of the first.
_OTHER_TYPES = {
    (_PACKET, _ARRAY): "events_type: dvs_msgs",
    (_ARRAY, _PACKET): "events_type: event_camera_msgs",
    (_RAW, _PACKED): "image_transport: compressed",
    (_PACKED, _RAW): "image_transport: raw",
}


def type_name(kind: type) -> str:
    """PACKAGE/msg/NAME of a message class."""
    return f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"


def misfit(node: Node, subscription: Subscription) -> str:
    """Why none of the topic's publishers is heard, in words; empty where one is, or where there is none."""
    topic, needed = subscription.topic_name, type_name(subscription.msg_type)
    publishers = node.get_publishers_info_by_topic(topic)
    if not publishers:
        return ""
    typed = [each for each in publishers if each.topic_type == needed]
    if not typed:
        types = sorted({each.topic_type for each in publishers})
        hints = "".join(f"; {hint}?" for each in types if (hint := _hint(topic, needed, each)))
        return f"{topic} has type {' and '.join(types)}, this node needs {needed}{hints}"
    if not any(_reaches(each, subscription) for each in typed):
        return unheard(topic, "reliability")  # the one policy in which the node asks for more than the least
    return ""


def silence(node: Node, subscription: Subscription) -> str:
    """Why nothing comes, in words."""
    topic = subscription.topic_name
    if node.count_publishers(topic):
        return misfit(node, subscription) or f"nothing arrives from the publisher of {topic}"
    return f"nobody publishes {topic}{_suggestion(node, subscription)}"


def _reaches(publisher: TopicEndpointInfo, subscription: Subscription) -> bool:
    return qos_check_compatible(publisher.qos_profile, subscription.qos_profile)[0] != QoSCompatibility.ERROR


def _hint(topic: str, needed: str, found: str) -> str:
    """What makes the node take this topic with the type that it has."""
    if needed == _RAW:
        is_transport = found == _PACKED and topic.endswith(_COMPRESSED)
        return f"{_OTHER_TYPES[_RAW, _PACKED]} with {topic.removesuffix(_COMPRESSED)}" if is_transport else ""
    return "" if needed == _PACKED else _OTHER_TYPES.get((needed, found), "")


def _suggestion(node: Node, subscription: Subscription) -> str:
    """Topics that may be meant: the frames' other transport, else those of the type, else similar names."""
    topic, needed = subscription.topic_name, type_name(subscription.msg_type)
    published = {name: types for name, types in node.get_topic_names_and_types() if _by_others(node, name)}
    twin = topic.removesuffix(_COMPRESSED) if needed == _PACKED else topic + _COMPRESSED
    for found in published.get(twin, ()):
        if parameter := _OTHER_TYPES.get((needed, found)):
            return f", but {twin}; {parameter}?"
    typed = [name for name, types in published.items() if needed in types]
    if needed == _PACKED and needed in published.get(twin, ()):
        return f"; name the raw topic that {twin} belongs to, {twin.removesuffix(_COMPRESSED)}"
    similar = typed or [name for name in published if _similarity(name, topic) >= _SIMILAR]
    similar.sort(key=lambda name: -_similarity(name, topic))
    return f"; did you mean {' or '.join(similar[:_SUGGESTIONS])}?" if similar else ""


def _by_others(node: Node, topic: str) -> bool:
    """Whether another node publishes a topic; those of our name in other namespaces publish results, too."""
    return any(p.node_name != node.get_name() for p in node.get_publishers_info_by_topic(topic))


def _similarity(a: str, b: str) -> float:
    return SequenceMatcher(None, a, b).ratio()
