"""rehdr calibrate-time: what it prints and writes."""

import csv
import json
from dataclasses import replace

import cv2
import pytest

from rehdr_ros.events import Packet
from rehdr_ros.recordings import BagRecording, BagWriter
from rehdr_ros.simulation import SimulationConfig
from rehdr_ros.simulation.bag import EVENTS_TOPIC, EXPOSURE_TOPIC, IMAGE_TOPIC, write_bag

LATE_NS = 20_000_000


@pytest.fixture(scope="module")
def late_messages(tmp_path_factory):
    """Of a simulated bag whose packets are stamped 20 ms too late."""
    folder = tmp_path_factory.mktemp("simulated")
    for _ in write_bag(SimulationConfig(width=160, height=120, seconds=0.8, seed=1), folder / "bag"):
        pass
    late = []
    for message in BagRecording(folder / "bag").messages():
        is_packet = isinstance(message, Packet)
        late.append(replace(message, stamp_ns=message.stamp_ns + LATE_NS) if is_packet else message)
    return sorted(late, key=lambda message: message.stamp_ns)


def written(messages, path, order=("image",)):
    """order: of what is written of a frame, image and exposure."""
    with BagWriter(path) as bag:
        for message in messages:
            if isinstance(message, Packet):
                bag.write_packet(EVENTS_TOPIC, message, "event_camera")
                continue
            for part in order:
                if part == "image":
                    bag.write_image(IMAGE_TOPIC, message.stamp_ns, "camera", message.image, "rgb8")
                else:
                    bag.write_exposure(EXPOSURE_TOPIC, message.stamp_ns, "camera", 0.004, 1.0)
    return path


@pytest.fixture(scope="module")
def late_bag(late_messages, tmp_path_factory):
    return written(late_messages, tmp_path_factory.mktemp("late") / "bag")


def test_it_prints_the_parameter_and_how_sure_it_is(rehdr, late_bag):
    outcome = rehdr("calibrate-time", late_bag, "--exposure", "0.004", "--range", "0.05")
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    name, value = lines[0].split(": ")
    assert name == "event_time_offset" and float(value) == pytest.approx(-0.02, abs=0.001)
    assert lines[-1] == "sure"


def test_a_file_in_place_of_the_folder_is_said_before_the_work(rehdr, late_bag, tmp_path):
    (tmp_path / "file").write_text("")
    outcome = rehdr("calibrate-time", late_bag, "-o", tmp_path / "file")
    assert (outcome.code, outcome.out) == (2, "") and "file is a file: name a folder" in outcome.err


def test_it_writes_the_curve_and_what_it_changes(rehdr, late_bag, tmp_path):
    out = tmp_path / "out"
    outcome = rehdr("calibrate-time", late_bag, "--range", "0.05", "--json", "-o", out)
    assert outcome.code == 0, outcome.err
    figures = json.loads(outcome.out)
    without_half_the_exposure = -0.022
    assert figures["event_time_offset"] == pytest.approx(without_half_the_exposure, abs=0.001)
    assert figures["sure"] is True and figures["doubts"] == [] and figures["exposure"] is None
    with open(out / "curve.csv") as file:
        curve = [(float(row["event_time_offset"]), float(row["score"])) for row in csv.DictReader(file)]
    assert max(curve, key=lambda point: point[1])[0] == pytest.approx(-0.02, abs=0.006)
    assert curve[0][0] <= -0.05 and curve[-1][0] >= 0.05
    before_after = cv2.imread(str(out / "before_after.png"))
    half = before_after.shape[1] // 2
    assert before_after.shape[1] > 300 and (before_after[40:, :half] != before_after[40:, -half:]).any()
    assert cv2.imread(str(out / "curve.png")).shape == (420, 900, 3)


@pytest.mark.parametrize("order", [("exposure", "image"), ("image", "exposure")])
def test_exposures_are_read_from_their_topic(rehdr, late_messages, tmp_path, order):
    bag = written(late_messages, tmp_path / "bag", order)
    figures = json.loads(rehdr("calibrate-time", bag, "--range", "0.05", "--json").out)
    assert figures["exposure"] == pytest.approx(0.004)
    assert figures["event_time_offset"] == pytest.approx(-0.02, abs=0.001)


def test_the_present_offset_is_where_the_search_begins(rehdr, late_bag):
    options = ("--event-time-offset", "-0.02", "--exposure", "0.004", "--range", "0.01", "--json")
    figures = json.loads(rehdr("calibrate-time", late_bag, *options).out)
    assert figures["event_time_offset"] == pytest.approx(-0.02, abs=0.001)
    assert figures["present"] == -0.02
    assert figures["present_score"] == pytest.approx(figures["score"], abs=0.02)


def test_a_recording_that_is_too_short_is_said_to_be(rehdr, shared):
    outcome = rehdr("calibrate-time", shared / "data/recordings/davis346.aedat4")
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines()[-1].startswith("unsure: only 2 pairs of frames; ")


@pytest.mark.parametrize(("option", "value"), [("--range", "0"), ("--pairs", "0"), ("--exposure", "-1")])
def test_wrong_option(rehdr, late_bag, option, value):
    outcome = rehdr("calibrate-time", late_bag, option, value)
    assert outcome.code == 2
    assert option in outcome.err and len(outcome.err.splitlines()) == 1
