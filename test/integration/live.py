"""Real processes on real DDS: rehdr_node as users start it, a camera, and a client that listens and asks."""

import array
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

rclpy = pytest.importorskip("rclpy", reason="no ROS 2 here: run make setup, or source one")
pytest.importorskip("rehdr_ros.msg", reason="the messages are not built: run make setup")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus  # noqa: E402 (only where they are)
from event_camera_msgs.msg import EventPacket  # noqa: E402
from lifecycle_msgs.msg import Transition  # noqa: E402
from lifecycle_msgs.srv import ChangeState, GetState  # noqa: E402
from rcl_interfaces.msg import SetParametersResult  # noqa: E402
from rcl_interfaces.srv import SetParameters  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.qos import QoSProfile, ReliabilityPolicy  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402
from std_msgs.msg import Header  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402

from rehdr_ros.events import Events, make_encoder  # noqa: E402
from rehdr_ros.msg import Exposure, FrameInfo  # noqa: E402
from rehdr_ros.node.conversions import ns_to_stamp  # noqa: E402
from rehdr_ros.node.transport import use_large_shared_memory  # noqa: E402
from rehdr_ros.wire.header import stamp_to_ns  # noqa: E402
from rehdr_ros.wire.image import decode_image, encode_image  # noqa: E402

__all__ = [
    "Camera",
    "Client",
    "Diagnosis",
    "Fault",
    "Manager",
    "NodeProcess",
    "Stream",
    "console",
    "pixels",
    "stamp",
    "use_large_shared_memory",
]

SCRIPTS = Path(__file__).parents[2] / "scripts"
IMAGE, EVENTS, EXPOSURE = "/camera/image_raw", "/event_camera/events", "/camera/exposure"
CAMERA_INFO, EVENT_CAMERA_INFO = "/camera/camera_info", "/event_camera/camera_info"
INPUTS = {
    "image_raw": IMAGE,
    "events": EVENTS,
    "exposure": EXPOSURE,
    "camera_info": CAMERA_INFO,
    "event_camera_info": EVENT_CAMERA_INFO,
}
PATIENCE = 180.0  # s, for a machine that is busy, and has no kernel compiled yet


def console(name: str) -> list[str]:
    """The command that users type: the environment's console entry, else the script that CMake installs."""
    entry = Path(sys.executable).with_name(name)
    return [str(entry)] if entry.exists() else [sys.executable, str(SCRIPTS / name)]


def stamp(message) -> int:
    return stamp_to_ns(message.header.stamp)


def pixels(message: Image) -> np.ndarray:
    return decode_image(message.encoding, message.height, message.width, message.step, message.data)


class NodeProcess:
    """rehdr_node in its own process, on the camera's topics; its output is in `log`."""

    def __init__(self, log: Path, arguments: tuple[str, ...], parameters: dict):
        self._log = log
        command = [*console("rehdr_node"), "--ros-args", *arguments]
        for name, topic in INPUTS.items():
            command += ["-r", f"{name}:={topic}"]
        for name, value in parameters.items():
            if value is not None:
                command += ["-p", f"{name}:={value}"]
        with open(log, "w") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)

    @property
    def log(self) -> str:
        return self._log.read_text()

    def alive(self) -> bool:
        return self.process.poll() is None

    def memory_bytes(self) -> int:
        """What it holds in memory."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * resource.getpagesize()

    def wait_for(self, text: str) -> "NodeProcess":
        """Wait until the log has the text."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.log:
            assert self.alive() and time.monotonic() < deadline, f"no {text!r} in the log:\n{self.log}"
            time.sleep(0.05)
        return self

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        return self.process.wait(timeout=PATIENCE)

    def kill(self) -> None:
        if self.alive():
            self.process.kill()
            self.process.wait()


class Client(Node):
    """Collects what the node publishes and calls its services."""

    def __init__(self):
        super().__init__("client")
        self._own = list(self.publishers)
        self._callers = {}  # of services, by name

    def collect(self, kind: type, topic: str) -> list:
        """A list that every message of the topic joins, once somebody publishes there."""
        messages: list = []
        subscription = self.create_subscription(kind, topic, messages.append, QoSProfile(depth=1000))
        published = self.wait_until(lambda: self.count_publishers(subscription.topic_name))
        assert published, f"nobody publishes {topic}"
        self.spin(1.0)  # discovery runs both ways
        return messages

    def forget(self) -> None:
        """End every publisher, subscription and client of the tests so far."""
        for publisher in [p for p in self.publishers if p not in self._own]:
            self.destroy_publisher(publisher)
        for subscription in list(self.subscriptions):
            self.destroy_subscription(subscription)
        while self._callers:
            self.destroy_client(self._callers.popitem()[1])

    def call(self, kind: type, name: str, request=None):
        """The response of a service."""
        known = name in self._callers
        if not known:
            self._callers[name] = self.create_client(kind, name)
        caller = self._callers[name]
        if not (known and caller.service_is_ready()):
            assert self.wait_until(caller.service_is_ready), f"no service {name}"
            self.spin(0.5)  # discovery runs both ways: who is not known yet gets no answer
        future = caller.call_async(request or kind.Request())
        assert self.wait_until(future.done), f"no answer from {name}"
        return future.result()

    def wait_until(self, condition: Callable[[], object], seconds: float = PATIENCE) -> bool:
        """Spin until the condition holds; False where it never did."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            rclpy.spin_once(self, timeout_sec=0.05)
        return True

    def spin(self, seconds: float) -> None:
        self.wait_until(lambda: False, seconds)


class Manager:
    """Asks a node for transitions and parameters, as lifecycle managers and `ros2 param set` do."""

    def __init__(self, client: Client, node: str = "/rehdr_node"):
        self._client, self._node = client, node

    def change(self, transition: str) -> bool:
        """Ask for configure, activate, active_shutdown, ...; whether it succeeded."""
        number = getattr(Transition, f"TRANSITION_{transition.upper()}")
        request = ChangeState.Request(transition=Transition(id=number))
        return self._client.call(ChangeState, f"{self._node}/change_state", request).success

    def state(self) -> str:
        return self._client.call(GetState, f"{self._node}/get_state").current_state.label

    def set(self, name: str, value) -> SetParametersResult:
        """Ask for another value of a parameter."""
        request = SetParameters.Request(parameters=[rclpy.Parameter(name, value=value).to_parameter_msg()])
        return self._client.call(SetParameters, f"{self._node}/set_parameters", request).results[0]


class Camera:
    """A frame camera and an event camera that publish best effort, as drivers do. prefix: of their topics."""

    width, height = 64, 48
    images_out, packets_out = (Image, IMAGE), (EventPacket, EVENTS)

    def __init__(self, client: Client, prefix: str = ""):
        def output(kind, topic):
            return client.create_publisher(
                kind, prefix + topic, QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)
            )

        self._client = client
        self._sensor = self.width, self.height
        self._images, self._packets = output(*self.images_out), output(*self.packets_out)
        self._exposures = output(Exposure, EXPOSURE)
        self.exposed = 0.0  # s, as the node was told: a frame waits for events after the end of it
        self.restart(1_000_000_000_000)

    def wait_for_listener(self) -> None:
        assert self._client.wait_until(self.is_heard), "nobody listens"
        self._client.spin(1.0)  # discovery runs both ways

    def is_heard(self) -> bool:
        return all(t.get_subscription_count() for t in (self._images, self._packets, self._exposures))

    def restart(self, now: int, seq: int = 0) -> None:
        """Begin anew at another time, ns, as a bag does that is looped."""
        self._encoder = make_encoder("evt3", *self._sensor)
        self.seq = seq
        self.now = now

    def step(self, seconds: float = 0.1) -> int:
        """Let time pass; returns it in ns."""
        self.now += round(seconds * 1e9)
        return self.now

    def frame(self, image: np.ndarray | None = None, encoding: str = "rgb8", at: int | None = None) -> int:
        """Publish a frame, mid grey by default, and an event just after its exposure; returns its stamp."""
        at = self.step() if at is None else at
        self.image(at, self.grey() if image is None else image, encoding)
        self.events(at + round(self.exposed * 1e9) + 1_000_000)
        return at

    def grey(self) -> np.ndarray:
        """What the camera sees."""
        return np.full((self.height, self.width, 3), 128, np.uint8)

    def image(self, at: int, image: np.ndarray, encoding: str, /, **changed) -> None:
        """Publish an image; `changed` fields make it malformed."""
        step, data = encode_image(image, encoding)
        fields = {"height": image.shape[0], "width": image.shape[1], "encoding": encoding, "step": step}
        fields = {**fields, "data": array.array("B", data.tobytes()), **changed}
        self._images.publish(Image(header=Header(stamp=ns_to_stamp(at), frame_id="lens"), **fields))

    def events(self, *times: int, stamped: int | None = None) -> None:
        """Publish one packet with an event at each time, ns, stamped with the first if not otherwise."""
        t = np.array(times, np.int64) - 1_000_000_000_000  # the sensor's clock starts at 0
        centre = np.full(len(t), 20)  # of column and row
        packet = self._encoder.encode(Events(t, centre, centre, np.ones(len(t))), times[0])
        at = times[0] if stamped is None else stamped
        self.packet(at, packet.encoding, bytes(packet.data), time_base=packet.time_base)

    def packet(self, at: int, encoding: str, data: bytes, **changed) -> None:
        """Publish any bytes as a packet; `changed` fields make it malformed."""
        header = Header(stamp=ns_to_stamp(at), frame_id="event_lens")
        width, height = self._sensor
        fields = {"encoding": encoding, "width": width, "height": height, "seq": self.seq, **changed}
        self._packets.publish(EventPacket(header=header, events=array.array("B", data), **fields))
        self.seq += 1

    def change_sensor(self, width: int, height: int) -> None:
        """Another event camera in place of the one so far; the frames stay."""
        self._sensor = width, height
        self.restart(self.now)

    def exposure(self, at: int, seconds: float, gain: float) -> None:
        """Publish how the frame of that stamp is exposed, and let it arrive first."""
        header = Header(stamp=ns_to_stamp(at))
        self._exposures.publish(Exposure(header=header, exposure_time=seconds, gain=gain))
        self._client.spin(0.3)


class Stream:
    """One camera, one node: frames go in one by one, what comes back is at hand. namespace: the node's."""

    def __init__(self, client: Client, camera: Camera, namespace: str = ""):
        self._client, self.camera = client, camera
        camera.wait_for_listener()
        self.infos: list[FrameInfo] = client.collect(FrameInfo, f"{namespace}/rehdr_node/frame_info")
        self._images: list[Image] = client.collect(Image, f"{namespace}/hdr/image_raw")

    def send(self, *args, **kwargs) -> FrameInfo:
        """Publish a frame and wait for its info."""
        at = self.camera.frame(*args, **kwargs)
        return self.info(at)

    def info(self, at: int) -> FrameInfo:
        """Wait for the info of the frame with this stamp."""
        back = self._client.wait_until(lambda: any(stamp(info) == at for info in self.infos))
        assert back, "no frame came back"
        return next(info for info in self.infos if stamp(info) == at)

    def radiance(self, info: FrameInfo) -> np.ndarray:
        """The HDR image of a frame."""

        def found():
            return [image for image in self._images if image.header == info.header]

        assert self._client.wait_until(found)
        return pixels(found()[0])

    def reset(self) -> None:
        assert self._client.call(Trigger, "/rehdr_node/reset").success

    def steps_back(self, first: int) -> int:
        """How often a stamp is not above the one before, from that info on."""
        stamps = [stamp(info) for info in self.infos[max(first - 1, 0) :]]
        return sum(b <= a for a, b in pairwise(stamps))

    def whole_frame(self, image: np.ndarray | None = None, encoding: str = "rgb8") -> int:
        """Publish a frame and after it, as in the field, its two events; returns its stamp."""
        at = self.camera.step()
        self.camera.image(at, self.camera.grey() if image is None else image, encoding)
        self._client.spin(0.02)
        self.camera.events(at - 1_000_000, at)
        return at

    def frames_until_good(self, limit: int = 15) -> int:
        """How many whole frames it takes until one comes back with its radiance and its events."""
        for count in range(1, limit + 1):
            at = self.whole_frame()
            if not self._client.wait_until(
                lambda at=at: any(stamp(info) == at for info in self.infos), seconds=6.0
            ):
                continue
            info = self.info(at)
            if info.events == 2 and not info.reset_reason:
                np.testing.assert_allclose(self.radiance(info), (128 / 255) ** 2.2, rtol=1e-2)
                return count
        last = [(info.events, info.reset_reason) for info in self.infos[-15:]]
        raise AssertionError(f"no good frame within {limit}: {last}")


class Diagnosis:
    """What a node says of itself on /diagnostics."""

    def __init__(self, client: Client):
        self._client = client
        self._arrays: list[DiagnosticArray] = client.collect(DiagnosticArray, "/diagnostics")

    def now(self) -> dict[str, DiagnosticStatus]:
        """The next statuses, by part: events, frames, reconstruction, device."""
        seen = len(self._arrays)
        assert self._client.wait_until(lambda: len(self._arrays) > seen), "nothing on /diagnostics"
        return {status.name.split(": ")[1]: status for status in self._arrays[-1].status}

    def counts(self) -> Counter:
        """Every whole number, as "part: key"."""
        pairs = ((f"{part}: {v.key}", v.value) for part, status in self.now().items() for v in status.values)
        return Counter({key: int(value) for key, value in pairs if value.isdigit()})

    def says(self, part: str, text: str, seconds: float = PATIENCE) -> DiagnosticStatus:
        """Wait until the message of a part has the text."""
        deadline = time.monotonic() + seconds
        # Another node may have fewer parts.
        while text not in (status := self.now().get(part, DiagnosticStatus())).message:
            assert time.monotonic() < deadline, f"diagnostics of {part}: {status.message!r}, no {text!r}"
        return status


@dataclass(frozen=True)
class Fault:
    """What happens to a running stream, and what must tell of it.

    happen: does it. counted: which fields of FrameInfo move, and how far; diagnosed: the same of
    /diagnostics, as "part: key", and how far at least. resets: how the reasons begin that frames give.
    back: how often the stamps of what is published step back.
    """

    happen: Callable[[Stream], object]
    counted: dict[str, int] = field(default_factory=dict)
    diagnosed: dict[str, int] = field(default_factory=dict)
    resets: tuple[str, ...] = ()
    back: int = 0
