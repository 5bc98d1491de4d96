"""rosbag2 recordings (mcap, sqlite3), read and written without ROS."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rosbags.rosbag2 import Reader, StoragePlugin, Writer, WriterError
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from rehdr_ros.events import Camera, Packet
from rehdr_ros.recordings.camera_message import camera_from_message
from rehdr_ros.recordings.errors import RecordingError
from rehdr_ros.recordings.frame import Calibration, Exposure, Frame
from rehdr_ros.recordings.image_message import decode_image, encode_image
from rehdr_ros.recordings.packet_message import packet_from_message, stamp_to_ns

EVENTS = "event_camera_msgs/msg/EventPacket"
IMAGE = "sensor_msgs/msg/Image"
EXPOSURE = "rehdr_ros/msg/Exposure"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"

# What rosbags doesn't know.
_DEFINITIONS = {
    EVENTS: """std_msgs/Header header
uint32 height
uint32 width
uint64 seq
uint64 time_base
string encoding
bool is_bigendian
uint8[] events
""",
    EXPOSURE: """std_msgs/Header header
float32 exposure_time
float32 gain
""",
}
_DERIVED = {"ground_truth", "hdr", "tonemapped"}  # images under these names are not the camera's own


class Topic(NamedTuple):
    """What a bag tells of a topic: its message type and how many messages it holds."""

    type: str
    count: int


class BagRecording:
    """The events and frames of a rosbag2: a folder, or one of its .mcap or .db3 files.

    Topics that are not named are found by their type; of several images the camera's own come first, then the
    names decide. `topics`: all topics, name -> Topic. `events_topics`, `image_topics`: the candidates in that
    order. `events_topic`, `image_topic`: the choice, None where there is no candidate.
    Every iteration opens the bag anew and streams it, so that several may go on at once.
    Raises RecordingError for a path that is no readable bag and for a named topic that is not there.
    """

    def __init__(self, path: str | Path, events_topic: str | None = None, image_topic: str | None = None) -> None:
        self.path = Path(path)
        self._types = _typestore()
        self._files = _storage_files(self.path)
        self.topics: dict[str, Topic] = {}
        for file in self._files:
            with self._reader(file) as reader:
                for name, info in sorted(reader.topics.items()):
                    count = info.msgcount + (self.topics[name].count if name in self.topics else 0)
                    self.topics[name] = Topic(info.msgtype or "", count)
        self.events_topics = self._candidates(EVENTS)
        self.image_topics = sorted(self._candidates(IMAGE), key=lambda name: bool(_DERIVED & set(name.split("/"))))
        self.events_topic = self._choose(events_topic, EVENTS, self.events_topics)
        self.image_topic = self._choose(image_topic, IMAGE, self.image_topics)

    @property
    def encoding(self) -> str | None:
        """The encoding of the events, None where there is no packet."""
        if self.events_topic is None:
            return None
        packet = next(self._stream({self.events_topic}), None)
        return packet.encoding if packet else None

    def messages(self, cameras: bool = False) -> Iterator[Packet | Frame | Exposure | Calibration]:
        """The packets, the frames and what tells their exposure, in the bag's order.

        cameras: first the calibration of both cameras: the first camera_info beside their packets and images.

        Raises RecordingError where there are no packets or no frames.
        """
        required = {self._require(EVENTS, self.events_topic), self._require(IMAGE, self.image_topic)}
        calibrations = self._calibrations() if cameras else []
        return chain(calibrations, self._stream(required | set(self._candidates(EXPOSURE))))

    def packets(self) -> Iterator[Packet]:
        """The packets alone. Raises RecordingError where there is no events topic."""
        return self._stream({self._require(EVENTS, self.events_topic)})

    def frames(self, topic: str | None = None) -> Iterator[Frame]:
        """The frames of `topic`, by default of the chosen one. Raises RecordingError where it is missing."""
        return self._stream({self._require(IMAGE, self._choose(topic, IMAGE, self.image_topics))})

    def read(self, topic: str) -> Iterator[Any]:
        """The messages of any topic, decoded by the definition that the bag holds. Raises RecordingError."""
        if topic not in self.topics:
            raise RecordingError(f"{self.path} has no topic {topic}; {self._inventory()}")
        for connection, _, raw in self._read({topic}):
            if connection.msgtype not in self._types.types:
                definition = get_types_from_msg(connection.msgdef.data, connection.msgtype)
                self._types.register({k: v for k, v in definition.items() if k not in self._types.types})
            yield self._types.deserialize_cdr(raw, connection.msgtype)

    def raw_messages(self, topics: set[str]) -> Iterator[tuple[str, int, bytes]]:
        """Topic, log time in ns and CDR bytes of every message of `topics`, in the bag's order."""
        for connection, stamp_ns, raw in self._read(topics):
            yield connection.topic, stamp_ns, raw

    def _calibrations(self) -> list[Calibration]:
        found = []
        for of, topic in (("events", self.events_topic), ("frames", self.image_topic)):
            info = self._choose(_sibling(topic), CAMERA_INFO, self._candidates(CAMERA_INFO))
            found += [Calibration(of, camera) for camera in islice(self._stream({info}), 1)]
        return found

    def _stream(self, topics: set[str]) -> Iterator[Any]:
        for connection, _, raw in self._read(topics):
            yield self._convert(raw, connection.msgtype, connection.topic)

    def _read(self, topics: set[str]) -> Iterator[tuple[Any, int, bytes]]:
        for file in self._files:
            with self._reader(file) as reader:
                connections = [connection for connection in reader.connections if connection.topic in topics]
                if connections:
                    yield from reader.messages(connections)

    def _convert(self, raw: bytes, msgtype: str, topic: str) -> Packet | Frame | Exposure | Camera:
        try:
            message = self._types.deserialize_cdr(raw, msgtype)
            return _CONVERSIONS[msgtype](message)
        except (ValueError, SerdeError) as error:
            raise RecordingError(f"{self.path}, {topic}: {_one_line(error)}") from error

    @contextmanager
    def _reader(self, file: Path) -> Iterator[Reader]:
        try:
            with Reader(file) as reader:
                yield reader
        except RecordingError:
            raise
        except Exception as error:  # a damaged file may fail anywhere in the libraries below
            raise RecordingError(f"{file} is not a readable rosbag2: {_one_line(error)}") from error

    def _candidates(self, msgtype: str) -> list[str]:
        return [name for name, topic in self.topics.items() if topic.type == msgtype]

    def _choose(self, name: str | None, msgtype: str, candidates: list[str]) -> str | None:
        if name is None:
            return candidates[0] if candidates else None
        if name not in candidates:
            raise RecordingError(f"{self.path} has no topic {name} of type {msgtype}; {self._inventory()}")
        return name

    def _require(self, msgtype: str, topic: str | None) -> str:
        if topic is None:
            raise RecordingError(f"{self.path} has no topic of type {msgtype}; {self._inventory()}")
        return topic

    def _inventory(self) -> str:
        return "it has " + (", ".join(f"{name} ({t.type})" for name, t in self.topics.items()) or "no topics")


class BagWriter:
    """Writes a new rosbag2 folder with mcap storage, that `ros2 bag` reads. A context manager.

    A message is logged at its stamp. `types`: message classes by their type name, for `write`.
    Raises RecordingError where `path` exists; left by an exception, the bag stays without index and metadata.
    """

    def __init__(self, path: str | Path) -> None:
        self._typestore = _typestore()
        self.types: dict[str, type] = self._typestore.types
        self._connections: dict[str, Any] = {}
        try:
            self._writer = Writer(Path(path), version=8, storage_plugin=StoragePlugin.MCAP)
        except WriterError as error:
            raise RecordingError(str(error)) from None

    def __enter__(self) -> BagWriter:
        self._writer.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._writer.__exit__(*exception)

    def write_packet(self, topic: str, packet: Packet, frame_id: str) -> None:
        """Write an EventPacket."""
        message = self.types[EVENTS](
            header=self._header(packet.stamp_ns, frame_id),
            height=packet.height,
            width=packet.width,
            seq=packet.seq,
            time_base=packet.time_base,
            encoding=packet.encoding,
            is_bigendian=packet.is_bigendian,
            events=np.frombuffer(packet.data, np.uint8),
        )
        self.write(topic, EVENTS, message, packet.stamp_ns)

    def write_image(self, topic: str, stamp_ns: int, frame_id: str, image: np.ndarray, encoding: str) -> None:
        """Write an Image; `image` and `encoding` as for encode_image, which raises ValueError."""
        step, data = encode_image(image, encoding)
        message = self.types[IMAGE](
            header=self._header(stamp_ns, frame_id),
            height=image.shape[0],
            width=image.shape[1],
            encoding=encoding,
            is_bigendian=0,
            step=step,
            data=data,
        )
        self.write(topic, IMAGE, message, stamp_ns)

    def write(self, topic: str, msgtype: str, message: Any, stamp_ns: int) -> None:
        """Write any message of `types`. Raises RecordingError where `topic` already has another type."""
        self.write_raw(topic, msgtype, self._typestore.serialize_cdr(message, msgtype), stamp_ns)

    def register(self, msgtype: str, definition: str) -> None:
        """Make a message type known, by the text of its .msg file."""
        self._typestore.register(get_types_from_msg(definition, msgtype))

    def write_raw(self, topic: str, msgtype: str, raw: bytes | memoryview, stamp_ns: int) -> None:
        """Write a message that is CDR already. Raises RecordingError where `topic` already has another type."""
        connection = self._connections.get(topic)
        if connection is None:
            connection = self._writer.add_connection(topic, msgtype, typestore=self._typestore)
            self._connections[topic] = connection
        elif connection.msgtype != msgtype:
            raise RecordingError(f"{topic} is of type {connection.msgtype}, not {msgtype}")
        self._writer.write(connection, stamp_ns, raw)

    def _header(self, stamp_ns: int, frame_id: str) -> Any:
        stamp = self.types["builtin_interfaces/msg/Time"](*divmod(int(stamp_ns), 1_000_000_000))
        return self.types["std_msgs/msg/Header"](stamp=stamp, frame_id=frame_id)


def _frame(message: Any) -> Frame:
    shape = message.height, message.width, message.step
    image = decode_image(message.encoding, *shape, message.data, message.is_bigendian)
    return Frame(stamp_to_ns(message.header.stamp), image, message.header.frame_id)


def _exposure(message: Any) -> Exposure:
    return Exposure(stamp_to_ns(message.header.stamp), message.exposure_time * message.gain)


_CONVERSIONS = {
    EVENTS: packet_from_message,
    IMAGE: _frame,
    EXPOSURE: _exposure,
    CAMERA_INFO: camera_from_message,
}


def _sibling(topic: str) -> str:
    return topic.rpartition("/")[0] + "/camera_info"


def _typestore() -> Typestore:
    store = get_typestore(Stores.LATEST)
    for name, definition in _DEFINITIONS.items():
        if name not in store.types:
            store.register(get_types_from_msg(definition, name))
    return store


def _storage_files(path: Path) -> list[Path]:
    """What to open: the bag itself, or its files one by one where no metadata says how they are stored."""
    if not path.exists():
        raise RecordingError(f"{path} does not exist")
    if path.is_file():
        return [path]
    metadata = path / "metadata.yaml"
    if metadata.exists() and not re.search(r"storage_identifier: *(\"\"|'')? *$", metadata.read_text(), re.M):
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix in (".mcap", ".db3"))
    if not files:
        raise RecordingError(f"{path} is not a rosbag2: no metadata.yaml, no .mcap and no .db3 file in it")
    return files


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
