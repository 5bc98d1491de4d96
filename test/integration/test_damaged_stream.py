"""The same damaged stream, live over DDS and offline: the same frames, and the same counts."""

import csv
import re
import subprocess

import numpy as np
import pytest
from live import EVENTS, EXPOSURE, IMAGE, PATIENCE, console, pixels, stamp
from sensor_msgs.msg import Image

from rehdr_ros.msg import FrameInfo
from rehdr_ros.recordings import BagRecording, BagWriter, read_exr
from rehdr_ros.recordings.bag_types import EVENTS as PACKET
from rehdr_ros.recordings.bag_types import EXPOSURE as EXPOSURE_TYPE
from rehdr_ros.recordings.bag_types import IMAGE as PICTURE
from rehdr_ros.recordings.bag_types import typestore

STORE = typestore()


def changed(kind: str, **fields):
    """What gives other values to fields of a serialized message."""

    def change(raw: bytes) -> bytes:
        message = STORE.deserialize_cdr(raw, kind)
        for name, value in fields.items():
            setattr(message, name, value)
        return bytes(STORE.serialize_cdr(message, kind))

    return change


# By the number of the message on its topic. Of whole words: DDS fills the last one up with zeros.
DAMAGE = {
    IMAGE: {
        0: changed(PICTURE, encoding="bgr9"),
        3: changed(PICTURE, height=0, width=0, step=0, encoding="", data=np.zeros(0, np.uint8)),
        4: lambda raw: raw[: len(raw) // 8 * 4],
        6: lambda raw: raw[:3],
        8: changed(PICTURE, encoding="BGR8"),
    },
    EVENTS: {
        0: changed(PACKET, encoding=""),
        30: changed(PACKET, width=0, height=0),
        31: changed(PACKET, width=2**32 - 1),
        40: lambda raw: raw[:-4],
        41: lambda raw: raw[:2],
        50: changed(PACKET, encoding="trigger"),
    },
    EXPOSURE: {1: changed(EXPOSURE_TYPE, exposure_time=0.0), 2: lambda raw: raw[:-4]},
}
COUNTED = {"refused_frames": 4, "refused_packets": 6, "refused_exposures": 2}


@pytest.fixture(scope="module")
def damaged_bag(simulated_bag, tmp_path_factory):
    path = tmp_path_factory.mktemp("damaged") / "bag"
    numbers = dict.fromkeys(DAMAGE, 0)
    bag = BagRecording(simulated_bag)
    with BagWriter(path) as damaged:
        for topic, at, raw in bag.raw_messages({IMAGE, EVENTS}):
            messages = [(topic, bag.topics[topic].type, bytes(raw))]
            if topic == IMAGE:
                header = STORE.deserialize_cdr(raw, PICTURE).header
                exposure = STORE.types[EXPOSURE_TYPE](header, 0.002, 1.0)
                exposure = bytes(STORE.serialize_cdr(exposure, EXPOSURE_TYPE))
                messages.insert(0, (EXPOSURE, EXPOSURE_TYPE, exposure))
            for name, kind, message in messages:
                damage = DAMAGE[name].get(numbers[name], bytes)
                damaged.write_raw(name, kind, damage(message), at)
                numbers[name] += 1
    assert min(numbers[topic] - max(DAMAGE[topic]) for topic in DAMAGE) > 0
    return path


@pytest.fixture(scope="module")
def offline(damaged_bag, tiny_weights, tmp_path_factory):
    """The folder of results, and what was printed."""
    folder = tmp_path_factory.mktemp("offline") / "out"
    options = "--weights", tiny_weights, "--device", "cpu", "-o", folder
    done = subprocess.run(
        [*console("rehdr"), "reconstruct", damaged_bag, *options], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_frames_and_counts_are_those_of_the_offline_run(client, start_node, damaged_bag, offline):
    folder, printed = offline
    rows = list(csv.DictReader((folder / "frames.csv").open(newline="")))
    assert len(rows) == 6
    node = start_node(policy="all", input_reliability="reliable", event_timeout=20.0)
    node.wait_for("waiting for events")
    infos, images = (
        client.collect(kind, topic)
        for kind, topic in ((FrameInfo, "/rehdr_node/frame_info"), (Image, "/hdr/image_raw"))
    )
    replay = subprocess.Popen(
        [*console("rehdr"), "replay", str(damaged_bag), "--rate", "0.5", "--wait", "60"]
    )
    assert client.wait_until(lambda: len(infos) == len(images) == len(rows), 3 * PATIENCE), node.log
    assert replay.wait(timeout=PATIENCE) == 0
    expected = [(int(row["stamp_ns"]), int(row["events"])) for row in rows]
    assert [(stamp(info), info.events) for info in infos] == expected
    for number, (info, image) in enumerate(zip(infos, images, strict=True)):
        expected = read_exr(folder / "hdr" / f"{number:06d}.exr")
        assert stamp(image) == stamp(info)
        np.testing.assert_allclose(pixels(image), expected, rtol=1e-3, atol=1e-4)
    assert infos[-1].refused_messages == sum(COUNTED.values())
    assert node.end() == 0
    lost = re.search(r"^lost: (.*)$", printed, re.MULTILINE)[1]
    assert node.log.splitlines()[-1].endswith(f"; lost: {lost}")
    assert {name: int(count) for name, count in re.findall(r"(refused_\w+) (\d+)", lost)} == COUNTED
    for topic, damage in DAMAGE.items():
        named = re.findall(
            rf"refused a message on {topic}, (?:stamped \d+\.\d+ s|without a stamp): ", printed
        )
        assert len(named) == min(3, COUNTED["refused_frames"] if topic == IMAGE else len(damage))
        assert f"refused a message on {topic}, " in node.log


def test_frames_without_stamps_are_said(client, start_node, camera):
    node = start_node(policy="all", event_timeout=0.1).wait_for("waiting for events")
    camera.wait_for_listener()
    for _ in range(10):
        camera.image(0, camera.grey(), "rgb8")
        client.spin(0.05)
    node.wait_for("have that of the frame before and are left out; does their driver fill header.stamp?")
    assert node.end() == 0
    assert "duplicate_frames 9" in node.log.splitlines()[-1]
