"""Mutated messages through every reader of serialized messages and the decoders behind them.

    python test/wire/mutated_messages.py COUNT SEED

prints, as JSON, how many were read and refused by kind, by how many MB the peak of the memory grew above that
of whole messages, and s. Whatever is raised but InputError ends it.
"""

import json
import resource
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

import cv2
import numpy as np
from rosbags.typesys import get_types_from_msg

from rehdr_ros.errors import InputError
from rehdr_ros.events import Events, Receiver, make_encoder
from rehdr_ros.events.codecs import CODECS, ENCODERS
from rehdr_ros.recordings.bag_types import (
    CAMERA_INFO,
    COMPRESSED,
    DVS_EVENTS,
    EVENTS,
    EXPOSURE,
    IMAGE,
    typestore,
)
from rehdr_ros.wire.camera import camera_from_bytes
from rehdr_ros.wire.dvs import events_from_event_array
from rehdr_ros.wire.exposure import exposure_from_bytes
from rehdr_ros.wire.frame import frame_from_compressed, frame_from_image
from rehdr_ros.wire.image import ENCODINGS, is_likely_size
from rehdr_ros.wire.packet import packet_from_bytes
from rehdr_ros.wire.ros1 import events_from_ros1_event_array

WIDTH, HEIGHT = 64, 48
NUMBERS = 0, 1, 4, 2**16, 2**31 - 1, 2**31, 2**32 - 4, 2**32 - 1
PLANAR = "nv12", "nv21", "i420", "yuv420", "yv12"


class Source(NamedTuple):
    """A whole message, and what reads it, raising InputError alone."""

    kind: str
    raw: bytes
    read: Callable[[bytes], None]


def read_packet(receiver: Receiver, raw: bytes) -> None:
    events = receiver.receive(packet_from_bytes(raw))
    if len(events):
        assert events.x.max() < receiver.size[0] and events.y.max() < receiver.size[1] and events.p.max() <= 1


def read_array(read: Callable, raw: bytes) -> None:
    array = read(raw)
    assert 13 * (len(array.events) + array.out_of_bounds) < len(raw) + 1
    assert not len(array.events) or (
        array.events.x.max() < array.size[0] and array.events.y.max() < array.size[1]
    )


def read_frame(read: Callable, raw: bytes) -> None:
    frame = read(raw)
    assert is_likely_size(*frame.size, frame.image.itemsize)
    int(frame.image.reshape(-1)[-1].astype(np.float64) * 0)  # its last byte is there


def read_image(raw: bytes) -> None:
    read_frame(lambda raw: frame_from_image(raw, len), raw)


def read_compressed(raw: bytes) -> None:
    read_frame(frame_from_compressed, raw)


def sources(random: np.random.Generator) -> list[Source]:
    """A few of each kind, of both byte orders."""
    store = typestore()
    for name, definition in (
        ("dvs_msgs/msg/Event", "uint16 x\nuint16 y\ntime ts\nbool polarity"),
        (DVS_EVENTS, "std_msgs/Header header\nuint32 height\nuint32 width\ndvs_msgs/Event[] events"),
    ):
        store.register(get_types_from_msg(definition, name))
    types, found = store.types, []
    time_of = types["builtin_interfaces/msg/Time"]
    header = types["std_msgs/msg/Header"](time_of(1_700_000_000, 5), "camera_link")

    def add(kind: str, name: str, read: Callable[[bytes], None], *fields) -> None:
        message = types[name](header, *fields)
        for little in (True, False):
            found.append(Source(kind, bytes(store.serialize_cdr(message, name, little_endian=little)), read))

    receiver = Receiver(accept_triggers=True)
    for encoding in CODECS:
        for data in payloads(encoding, random):
            fields = HEIGHT, WIDTH, 7, 10**15, encoding, False, np.frombuffer(data, np.uint8)
            add(f"EventPacket {encoding}", EVENTS, lambda raw: read_packet(receiver, raw), *fields)
    for encoding in sorted(ENCODINGS):
        step = step_of(encoding)
        rows = HEIGHT * 3 // 2 if encoding in PLANAR else HEIGHT
        data = random.integers(0, 256, rows * step, np.uint8)
        add("Image", IMAGE, read_image, HEIGHT, WIDTH, encoding, 0, step, data)
    picture = cv2.GaussianBlur(random.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8), (9, 9), 3)
    for suffix, options in ((".jpg", []), (".jpg", [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]), (".png", [])):
        data = cv2.imencode(suffix, picture, options)[1].reshape(-1)
        add("CompressedImage", COMPRESSED, read_compressed, "bgr8; jpeg compressed bgr8", data)
    roi = types["sensor_msgs/msg/RegionOfInterest"](4, 4, 40, 50, False)
    matrices = np.array([30.0, 0, 32, 0, 30, 24, 0, 0, 1]), np.eye(3).reshape(-1), np.zeros(12)
    fields = HEIGHT, WIDTH, "plumb_bob", np.zeros(5), *matrices, 2, 2, roi
    add("CameraInfo", CAMERA_INFO, lambda raw: camera_from_bytes(raw) and None, *fields)
    add("Exposure", EXPOSURE, lambda raw: exposure_from_bytes(raw) and None, 0.01, 1.0)
    event = types["dvs_msgs/msg/Event"]
    some = [event(k % WIDTH, k % HEIGHT, time_of(1_700_000_000, k), bool(k % 2)) for k in range(40)]
    read_cdr, read_ros1 = (
        lambda raw, read=read: read_array(read, raw)
        for read in (events_from_event_array, events_from_ros1_event_array)
    )
    add("EventArray", DVS_EVENTS, read_cdr, HEIGHT, WIDTH, some)
    rows = b"".join(struct.pack("<HHIIB", k % WIDTH, k % HEIGHT, 1, k, k % 2) for k in range(40))
    head = struct.pack("<IIII3sIII", 1, 1, 2, 3, b"cam", HEIGHT, WIDTH, 40)
    found.append(Source("EventArray of ROS 1", head + rows, read_ros1))
    return found


def payloads(encoding: str, random: np.random.Generator) -> Iterator[bytes]:
    """Contents of packets: events, where there is an encoder, and random words."""
    if encoding in ENCODERS:
        t = 10**9 + np.sort(random.integers(0, 10**5, 60)) * 1000
        columns = (random.integers(0, size, 60) for size in (WIDTH, HEIGHT, 2))
        yield bytes(make_encoder(encoding, WIDTH, HEIGHT).encode(Events(t, *columns)).data)
    for length in (160, 800):
        yield random.bytes(length)


def step_of(encoding: str) -> int:
    """Bytes a row."""
    if encoding in PLANAR:
        return WIDTH
    channels = 3
    if encoding.startswith(("mono", "bayer")) or encoding.endswith("C1"):
        channels = 1
    elif encoding.startswith(("yuv", "uyvy", "yuyv", "yvyu")):
        channels = 2
    elif encoding.startswith(("rgba", "bgra")) or encoding.endswith("C4"):
        channels = 4
    return WIDTH * channels * (4 if "32" in encoding else 2 if "16" in encoding else 1)


def mutated(raw: bytes, other: bytes, random: np.random.Generator) -> bytes:
    """Cut, longer, with other bits, numbers or bytes, or joined with another message."""
    data = bytearray(raw)
    for _ in range(random.integers(1, 4)):
        reach = len(data) if random.random() < 0.5 else min(len(data), 96)  # where lengths and sizes are
        at = int(random.integers(0, max(reach, 1)))
        match random.integers(0, 8):
            case 0:
                del data[at:]
            case 1:
                data[at:at] = random.bytes(random.integers(1, 9))
            case 2:
                del data[at : at + random.integers(1, 9)]
            case 3:
                data += random.bytes(random.integers(1, 65))
            case 4 if data:
                data[at] ^= 1 << int(random.integers(0, 8))
            case 5:
                number = (
                    int(random.choice(NUMBERS)) if random.random() < 0.7 else int(random.integers(0, 2**32))
                )
                data[at // 4 * 4 : at // 4 * 4 + 4] = number.to_bytes(
                    4, str(random.choice(("little", "big")))
                )
            case 6:
                data[at : at + 8] = random.bytes(8)
            case 7:
                data[at:] = other[at:]
    return bytes(data)


def run(count: int, seed: int) -> dict:
    """Whatever is raised but InputError comes out, with the message's number and bytes."""
    random, outcome, began = np.random.default_rng(seed), Counter(), time.monotonic()
    all_sources = sources(random)
    kinds = sorted({source.kind for source in all_sources})
    by_kind = [[source for source in all_sources if source.kind == kind] for kind in kinds]
    for source in all_sources:
        source.read(source.raw)
    before = peak_mb()
    for number in range(count):
        alike = by_kind[number % len(kinds)]
        source, other = (alike[int(k)] for k in random.integers(0, len(alike), 2))
        raw = mutated(source.raw, other.raw, random)
        try:
            source.read(raw)
            outcome[f"{source.kind}: read"] += 1
        except InputError:
            outcome[f"{source.kind}: refused"] += 1
        except Exception as error:
            raise AssertionError(f"number {number}, {source.kind}, {raw!r}") from error
    grown, seconds = peak_mb() - before, time.monotonic() - began
    return {**dict(sorted(outcome.items())), "memory_mb": round(grown, 1), "seconds": round(seconds, 1)}


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]), int(sys.argv[2]))))
