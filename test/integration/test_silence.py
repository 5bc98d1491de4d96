"""Inputs from which nothing comes: the node says why, in the log and on /diagnostics."""

from dataclasses import dataclass, field

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from event_camera_msgs.msg import EventPacket
from live import EVENTS, EXPOSURE, IMAGE, Camera, Diagnosis, rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from rehdr_ros.node.graph import misfit, silence

dvs_msgs = pytest.importorskip("dvs_msgs.msg", reason="dvs_msgs is not installed: run make setup")

TOPIC = "/eye/image_raw"
BEST_EFFORT, RELIABLE = ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE


@dataclass(frozen=True)
class Graph:
    """What is published, by topic; what the node asks for and must say. misfit: of an optional input too."""

    says: str
    published: dict[str, type] = field(default_factory=dict)
    kind: type = Image
    topic: str = TOPIC
    reliability: ReliabilityPolicy = BEST_EFFORT
    misfit: bool = False


PACKET, ARRAY = "event_camera_msgs/msg/EventPacket", "dvs_msgs/msg/EventArray"
RAW, PACKED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
GRAPHS = {
    "nobody": Graph(f"nobody publishes {TOPIC}"),
    "similar name": Graph(
        f"nobody publishes {TOPIC}; did you mean /eye/image_rw?",
        {"/eye/image_rw": Image, "/chatter": EventPacket},
    ),
    "others of the type, the most similar first": Graph(
        f"nobody publishes {TOPIC}; did you mean /eye/image or /x?", {"/x": Image, "/eye/image": Image}
    ),
    "only compressed": Graph(
        f"nobody publishes {TOPIC}, but {TOPIC}/compressed; image_transport: compressed?",
        {f"{TOPIC}/compressed": CompressedImage, "/x": Image},
    ),
    "only raw": Graph(
        f"nobody publishes {TOPIC}/compressed, but {TOPIC}; image_transport: raw?",
        {TOPIC: Image},
        CompressedImage,
        f"{TOPIC}/compressed",
    ),
    "compressed twice": Graph(
        f"nobody publishes {TOPIC}/compressed/compressed; "
        f"name the raw topic that {TOPIC}/compressed belongs to, {TOPIC}",
        {f"{TOPIC}/compressed": CompressedImage},
        CompressedImage,
        f"{TOPIC}/compressed/compressed",
    ),
    "compressed by its own name": Graph(
        f"{TOPIC}/compressed has type {PACKED}, this node needs {RAW}; "
        f"image_transport: compressed with {TOPIC}?",
        {f"{TOPIC}/compressed": CompressedImage},
        topic=f"{TOPIC}/compressed",
        misfit=True,
    ),
    "frames for events": Graph(
        f"{TOPIC} has type {RAW}, this node needs {PACKET}", {TOPIC: Image}, EventPacket, misfit=True
    ),
    "arrays for packets": Graph(
        f"{TOPIC} has type {ARRAY}, this node needs {PACKET}; events_type: dvs_msgs?",
        {TOPIC: dvs_msgs.EventArray},
        EventPacket,
        misfit=True,
    ),
    "packets for arrays": Graph(
        f"{TOPIC} has type {PACKET}, this node needs {ARRAY}; events_type: event_camera_msgs?",
        {TOPIC: EventPacket},
        dvs_msgs.EventArray,
        misfit=True,
    ),
    "best effort for reliable": Graph(
        f"a publisher on {TOPIC} offers less than this node asks for, so it is not heard: reliability; "
        "set input_reliability to best_effort here",
        {TOPIC: Image},
        reliability=RELIABLE,
        misfit=True,
    ),
    "silent publisher": Graph(f"nothing arrives from the publisher of {TOPIC}", {TOPIC: Image}),
}


@pytest.fixture
def listener(client):
    """A node that knows of the client by the graph alone."""
    context = rclpy.Context()
    rclpy.init(context=context)
    listener = rclpy.create_node("listener", context=context)
    beside = rclpy.create_node("listener", context=context, namespace="right")
    for each in (listener, beside):
        each.create_publisher(Image, "eye/own_output", 1)  # never a suggestion
    yield listener
    listener.destroy_node()
    beside.destroy_node()
    rclpy.shutdown(context=context)
    client.forget()


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_silence_is_explained_by_what_the_graph_has(client, listener, graph):
    for topic, kind in graph.published.items():
        client.create_publisher(kind, topic, QoSProfile(depth=1, reliability=BEST_EFFORT))
    qos = QoSProfile(depth=1, reliability=graph.reliability)
    subscription = listener.create_subscription(graph.kind, graph.topic, lambda message: None, qos)
    said = []

    def explained() -> bool:
        said.append(silence(listener, subscription))
        return said[-1] == graph.says

    assert client.wait_until(explained), said[-1]
    assert misfit(listener, subscription) == (graph.says if graph.misfit else "")


def test_node_says_it_in_the_log_and_on_diagnostics_until_messages_come(start_node, client):
    node = start_node(input_timeout=1.0)
    client.create_publisher(Image, EVENTS, 1)
    client.create_publisher(Image, EXPOSURE, 1)
    diagnosis = Diagnosis(client)
    wrong = f"{EVENTS} has type {RAW}, this node needs {PACKET}"
    assert diagnosis.says("events", wrong).level == DiagnosticStatus.WARN
    assert diagnosis.says("frames", f"nobody publishes {IMAGE}").level == DiagnosticStatus.ERROR
    for text in (wrong, f"nobody publishes {IMAGE}", f"no exposure: {EXPOSURE} has type {RAW}"):
        client.wait_until(lambda text=text: text in node.log)
        (line,) = [line for line in node.log.splitlines() if text in line]
        assert "[WARN]" in line

    client.forget()
    camera = Camera(client)
    camera.wait_for_listener()
    filming = client.create_timer(0.1, camera.frame)
    try:
        diagnosis = Diagnosis(client)
        for part in ("events", "frames"):
            assert diagnosis.says(part, "ok").level == DiagnosticStatus.OK
    finally:
        client.destroy_timer(filming)
    assert node.end() == 0


def test_lazy_node_that_nobody_asks_does_not_complain(start_node, client):
    node = start_node(lazy=True, input_timeout=0.5)
    diagnosis = Diagnosis(client)
    diagnosis.says("frames", "ok")
    client.spin(7.0)
    assert diagnosis.now()["frames"].level == DiagnosticStatus.OK
    assert "nobody publishes" not in node.log
    assert node.end() == 0
