"""Several nodes beside each other, and several that listen to one.

As a script it listens to an image topic and prints the stamps of the first images that come: TOPIC NUMBER.
"""

import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from live import (
    EVENTS,
    IMAGE,
    INPUTS,
    PATIENCE,
    Camera,
    Client,
    Diagnosis,
    Manager,
    console,
    pixels,
    rclpy,
    stamp,
)
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from rehdr_ros.msg import FrameInfo

LEVELS = {"/left": 64, "/right": 192}  # grey of what each camera sees
FRAMES = 20
DISCOVERY = 40.0  # s


class Rig:
    """A node in a namespace, with cameras and topics of its own."""

    def __init__(self, client: Client, start_node, namespace: str):
        self.namespace, self._client = namespace, client
        remaps = [f"{name}:={namespace}{topic}" for name, topic in INPUTS.items()]
        arguments = [each for remap in (f"__ns:={namespace}", *remaps) for each in ("-r", remap)]
        self.node = start_node(*arguments, event_timeout=3.0, policy="all")

    def connect(self) -> None:
        events, images = self.namespace + EVENTS, self.namespace + IMAGE
        self.node.wait_for(f"waiting for events on {events} and images on {images}")
        self.camera = Camera(self._client, self.namespace)
        self.images: list[Image] = []
        self.infos: list[FrameInfo] = []
        self._client.create_subscription(Image, f"{self.namespace}/hdr/image_raw", self.images.append, FRAMES)
        self._client.create_subscription(
            FrameInfo, f"{self.namespace}/rehdr_node/frame_info", self.infos.append, FRAMES
        )

    def send(self) -> int:
        """Publish a frame of this rig's grey; returns its stamp."""
        return self.camera.frame(np.full((48, 64, 3), LEVELS[self.namespace], np.uint8))


@pytest.fixture(scope="module")
def rigs(client, start_node):
    """Two at once, which were started together."""
    rigs = [Rig(client, start_node, namespace) for namespace in LEVELS]
    for rig in rigs:
        rig.connect()
    for rig in rigs:
        rig.camera.wait_for_listener()
    yield rigs
    assert [rig.node.end() for rig in rigs] == [0, 0]
    assert not any("Traceback" in rig.node.log for rig in rigs)


def test_two_nodes_give_each_camera_its_own_frames(client, rigs):
    sent = {rig: [] for rig in rigs}
    for _ in range(FRAMES):
        for rig in rigs:  # at once, and with the same stamps
            sent[rig].append(rig.send())
        assert client.wait_until(
            lambda: all(len(rig.images) == len(rig.infos) == len(sent[rig]) for rig in rigs)
        )
    for rig in rigs:
        assert [stamp(image) for image in rig.images] == [stamp(info) for info in rig.infos] == sent[rig]
        assert [info.events for info in rig.infos] == [0] + [1] * (FRAMES - 1)
        for image in rig.images:
            np.testing.assert_allclose(pixels(image), (LEVELS[rig.namespace] / 255) ** 2.2, rtol=1e-2)
    assert sent[rigs[0]] == sent[rigs[1]]


def test_what_is_asked_of_one_does_not_touch_the_other(client, rigs):
    left, right = rigs
    assert client.call(Trigger, "/left/rehdr_node/reset").success
    assert Manager(client, "/left/rehdr_node").set("hdr_encoding", "32FC1").successful
    counts = [len(rig.infos) for rig in rigs]
    for rig in rigs:
        rig.send()
    assert client.wait_until(
        lambda: all(len(rig.infos) > count for rig, count in zip(rigs, counts, strict=True))
    )
    assert client.wait_until(lambda: all(rig.images[-1].header == rig.infos[-1].header for rig in rigs))
    assert [rig.infos[-1].reset_reason for rig in rigs] == ["service", ""]
    assert [rig.images[-1].encoding for rig in rigs] == ["32FC1", "32FC3"]
    assert Manager(client, "/left/rehdr_node").set("hdr_encoding", "32FC3").successful


def test_diagnostics_tell_the_two_apart(client, rigs):
    diagnosis = Diagnosis(client)
    names: set[str] = set()
    for _ in range(10):
        names |= {status.name for status in diagnosis.now().values()}
        if len(names) == 8:
            break
    assert names == {
        f"{side}/rehdr_node: {part}"
        for side in ("left", "right")
        for part in ("events", "frames", "reconstruction", "device")
    }


class Listener:
    """Another process that prints the stamps of the images that it gets."""

    def __init__(self, log: Path):
        self._log = log
        self.start()

    def start(self) -> None:
        with open(self._log, "w") as output:
            command = [sys.executable, __file__, "/left/hdr/image_raw"]
            self._process = subprocess.Popen(command, stdout=output)
        self._started = time.monotonic()

    def heard(self) -> list[str]:
        return self._log.read_text().split()

    def start_anew_if_alone(self) -> None:
        """Now and then, on a busy machine, DDS never tells a new process and the node of each other."""
        if not self.heard() and time.monotonic() > self._started + DISCOVERY:
            warnings.warn(f"a listener was not discovered within {DISCOVERY:.0f} s", stacklevel=1)
            self.end()
            self.start()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


def test_three_listeners_all_get_every_frame(client, rigs, tmp_path):
    rig, listeners = rigs[0], [Listener(tmp_path / str(k)) for k in range(3)]

    def send() -> int:
        at = rig.send()
        assert client.wait_until(lambda: stamp(rig.infos[-1]) == at)
        return at

    try:
        deadline = time.monotonic() + PATIENCE
        while not all(listener.heard() for listener in listeners):
            send()
            for listener in listeners:
                listener.start_anew_if_alone()
            assert time.monotonic() < deadline, "a listener hears nothing"
        sent = [str(send()) for _ in range(FRAMES)]
        for listener in listeners:
            assert client.wait_until(lambda listener=listener: listener.heard()[-FRAMES:] == sent)
    finally:
        for listener in listeners:
            listener.end()


def test_a_demo_beside_another_says_so_before_it_begins(client, tmp_path):
    """Each would play to the other's node."""
    Camera(client)  # publishes on the topics of the demo's bag
    command = [*console("rehdr"), "demo", "-o", "demo", "--seconds", "0.2", "--weights", "rehdr_t"]
    outcome = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)
    assert outcome.returncode == 1, outcome.stderr
    last = outcome.stderr.splitlines()[-1]
    assert last.startswith("rehdr demo: another rehdr_node or camera is in ROS domain ")
    assert not (tmp_path / "demo" / "node.log").exists()


def listen(topic: str) -> None:
    """Print the stamps of the images that come."""
    rclpy.init()
    node = rclpy.create_node("listener")
    node.create_subscription(Image, topic, lambda image: print(stamp(image), flush=True), FRAMES)
    rclpy.spin(node)


if __name__ == "__main__":
    listen(sys.argv[1])
