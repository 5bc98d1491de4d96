"""rosbag2 recordings (mcap), written without ROS."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError
from rosbags.typesys import get_types_from_msg

from rehdr_ros.errors import writing
from rehdr_ros.events import Packet
from rehdr_ros.recordings.bag_types import CAMERA_INFO, EVENTS, EXPOSURE, IMAGE, typestore
from rehdr_ros.recordings.errors import RecordingError
from rehdr_ros.wire.image import encode_image


class BagWriter:
    """Writes a new rosbag2 folder with mcap storage, that `ros2 bag` reads. A context manager.

    A message is logged at its stamp. `types`: message classes by their type name, for `write`.
    Raises RecordingError where `path` exists; left by an exception, the bag stays without index and metadata.
    """

    def __init__(self, path: str | Path) -> None:
        self._typestore = typestore()
        self.types: dict[str, type] = self._typestore.types
        self._connections: dict[str, Any] = {}
        self._path = Path(path)
        try:
            self._writer = Writer(self._path, version=8, storage_plugin=StoragePlugin.MCAP)
        except WriterError as error:
            raise RecordingError(str(error)) from None

    def __enter__(self) -> BagWriter:
        self._writer.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        with writing(self._path):
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

    def write_exposure(
        self, topic: str, stamp_ns: int, frame_id: str, exposure_time: float, gain: float
    ) -> None:
        """Write an Exposure, s and linear, of the frame with that stamp."""
        header = self._header(stamp_ns, frame_id)
        message = self.types[EXPOSURE](header=header, exposure_time=exposure_time, gain=gain)
        self.write(topic, EXPOSURE, message, stamp_ns)

    def write_camera_info(self, topic: str, stamp_ns: int, frame_id: str, camera_info: Any) -> None:
        """Write a copy of a CameraInfo, as BagRecording.camera_info gives it, with another header."""
        message = replace(camera_info, header=self._header(stamp_ns, frame_id))
        self.write(topic, CAMERA_INFO, message, stamp_ns)

    def write(self, topic: str, msgtype: str, message: Any, stamp_ns: int) -> None:
        """Write any message of `types`. Raises RecordingError where `topic` already has another type."""
        self.write_raw(topic, msgtype, self._typestore.serialize_cdr(message, msgtype), stamp_ns)

    def register(self, msgtype: str, definition: str) -> None:
        """Make a message type known, by the text of its .msg file."""
        self._typestore.register(get_types_from_msg(definition, msgtype))

    def write_raw(self, topic: str, msgtype: str, raw: bytes | memoryview, stamp_ns: int) -> None:
        """Write a message that is CDR already. Raises RecordingError where `topic` has another type."""
        connection = self._connections.get(topic)
        if connection is None:
            connection = self._writer.add_connection(topic, msgtype, typestore=self._typestore)
            self._connections[topic] = connection
        elif connection.msgtype != msgtype:
            raise RecordingError(f"{topic} is of type {connection.msgtype}, not {msgtype}")
        with writing(self._path):
            self._writer.write(connection, stamp_ns, raw)

    def _header(self, stamp_ns: int, frame_id: str) -> Any:
        if stamp_ns < 0:
            raise RecordingError(f"a bag holds no stamp before 1970, and one is {stamp_ns} ns")
        stamp = self.types["builtin_interfaces/msg/Time"](*divmod(int(stamp_ns), 1_000_000_000))
        return self.types["std_msgs/msg/Header"](stamp=stamp, frame_id=frame_id)
