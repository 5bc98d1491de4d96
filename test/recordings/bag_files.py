"""One small recording in every kind of bag file, by other writers than the package's own."""

import sqlite3
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mcap.writer import CompressionType, Writer
from rosbags.rosbag1 import Writer as Ros1Writer

from rehdr_ros.events import Packet
from rehdr_ros.recordings import Frame
from rehdr_ros.recordings.bag_types import EVENTS, IMAGE, typestore

MS, S = 10**6, 10**9
STAMP = 1_700_000_000 * S
COUNT = 20
EVENTS_TOPIC, IMAGE_TOPIC = "/events", "/image"
CHUNK = 8000  # bytes: two packets and two images, about

_SCHEMA = """
CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT, serialization_format TEXT, qos TEXT);
CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, data BLOB);
CREATE TABLE message_definitions(
    id INTEGER PRIMARY KEY, topic_type TEXT, encoding TEXT, encoded_message_definition TEXT
);
CREATE INDEX timestamp_idx ON messages (timestamp ASC);
"""


class Recorded(NamedTuple):
    topic: str
    type: str
    log_ns: int
    raw: bytes


def recorded(ros1=False, count=COUNT) -> list[Recorded]:
    """Packets and images in turn, of random bytes that hardly compress."""
    store = typestore(ros1)
    types, messages = store.types, []
    serialize = store.serialize_ros1 if ros1 else store.serialize_cdr
    for k in range(count):
        random, stamp = (
            np.random.default_rng(k),
            types["builtin_interfaces/msg/Time"](*divmod(STAMP + k * MS, S)),
        )
        header = types["std_msgs/msg/Header"](*(k, stamp, "camera") if ros1 else (stamp, "camera"))
        data = random.integers(0, 256, 1000, np.uint8)
        packet = types[EVENTS](header, 48, 64, k, 0, "evt3", False, data)
        image = types[IMAGE](header, 32, 32, "rgb8", 0, 96, random.integers(0, 256, 32 * 32 * 3, np.uint8))
        for topic, kind, message in ((EVENTS_TOPIC, EVENTS, packet), (IMAGE_TOPIC, IMAGE, image)):
            messages.append(Recorded(topic, kind, STAMP + k * MS, bytes(serialize(message, kind))))
    return messages


def definition(kind, ros1=False) -> str:
    return typestore(ros1).generate_msgdef(kind, ros_version=1 if ros1 else 2)[0]


def write_mcap(path, messages, compression="none", profile="ros2", schemas=None, **options) -> Path:
    """schemas: encoding and text by the type's name, where they are not the usual ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        writer = Writer(file, CHUNK, CompressionType[compression.upper()], **options)
        writer.start(profile, "test")
        channels = {}
        for topic, kind, log_ns, raw in messages:
            if topic not in channels:
                encoding, text = (schemas or {}).get(kind) or ("ros2msg", definition(kind).encode())
                schema = writer.register_schema(kind, encoding, text)
                channels[topic] = writer.register_channel(topic, "cdr", schema)
            writer.add_message(channels[topic], log_ns, raw, log_ns)
        writer.finish()
    return path


def open_database(path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path, isolation_level=None)
    return database


def fill_database(database, messages, definitions=None) -> None:
    """definitions: encoding and text by the type's name; none by default."""
    database.executescript(_SCHEMA)
    topics = {}
    for topic, kind, log_ns, raw in messages:
        if topic not in topics:
            topics[topic] = len(topics) + 1
            database.execute("INSERT INTO topics VALUES(?, ?, ?, 'cdr', '')", (topics[topic], topic, kind))
        row = topics[topic], log_ns, raw
        database.execute("INSERT INTO messages(topic_id, timestamp, data) VALUES(?, ?, ?)", row)
    for kind, (encoding, text) in (definitions or {}).items():
        row = kind, encoding, text
        columns = "topic_type, encoding, encoded_message_definition"
        database.execute(f"INSERT INTO message_definitions({columns}) VALUES(?, ?, ?)", row)


def write_sqlite(path, messages, definitions=None) -> Path:
    database = open_database(path)
    database.execute("BEGIN")
    fill_database(database, messages, definitions)
    database.commit()
    database.close()
    return path


def write_ros1(path, messages, compression="none") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = Ros1Writer(path)
    if compression != "none":
        writer.set_compression(Ros1Writer.CompressionFormat[compression.upper()])
    writer.chunk_threshold = CHUNK
    with writer:
        topics = {}
        for topic, kind, log_ns, raw in messages:
            if topic not in topics:
                topics[topic] = writer.add_connection(topic, kind, typestore=typestore(ros1=True))
            writer.write(topics[topic], log_ns, raw)
    return path


def assert_begins_as_recorded(recording, least=1, most=COUNT) -> tuple[int, int]:
    """That `recording` holds the first packets and images, whole; returns how many of each."""
    packets, frames = list(recording.packets()), list(recording.frames())
    for k, packet in enumerate(packets):
        assert isinstance(packet, Packet) and packet.seq == k
        assert bytes(packet.data) == np.random.default_rng(k).integers(0, 256, 1000, np.uint8).tobytes()
    for k, frame in enumerate(frames):
        assert isinstance(frame, Frame) and frame.stamp_ns == STAMP + k * MS
        assert frame.image.shape == (32, 32, 3)
    assert least <= len(packets) <= most and 0 <= len(packets) - len(frames) <= 1
    return len(packets), len(frames)


def assert_whole(recording) -> None:
    assert assert_begins_as_recorded(recording) == (COUNT, COUNT)
    messages = list(recording.messages())
    assert [type(message) for message in messages] == [Packet, Frame] * COUNT
    assert recording.topics == {EVENTS_TOPIC: (EVENTS, COUNT), IMAGE_TOPIC: (IMAGE, COUNT)}
    assert recording.notes == [] and not recording.counters
