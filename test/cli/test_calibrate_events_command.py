"""rehdr calibrate-events: what it finds, prints and writes."""

import json

import pytest
import yaml

from rehdr_ros.errors import InputError
from rehdr_ros.reconstruction import PipelineConfig


@pytest.fixture
def demo(shared):
    return shared / "data" / "recordings" / "demo-01.aedat4"


def figures(rehdr, *arguments):
    outcome = rehdr("calibrate-events", *arguments, "--json")
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def test_a_real_recording_tells_latency_thresholds_and_how_well_they_predict(rehdr, demo):
    found = figures(rehdr, demo, "--response", "1")
    assert found["sure"] and not found["causes"] and found["exposure_known"]
    assert 0.002 < found["event_latency"] < 0.008 and found["uncertainty"] < 0.002
    assert 0.25 < found["contrast_on"] < 0.5 and 0.25 < found["contrast_off"] < 0.5
    assert found["predicted"] > 0.75 and 0 < found["event_noise"] < 0.1
    for put_in in (0.02, -0.02):
        moved = figures(rehdr, demo, "--response", "1", "--event-time-offset", put_in)
        assert moved["event_latency"] - found["event_latency"] == pytest.approx(put_in, abs=0.003)


def test_another_meaning_of_the_stamps_moves_the_latency_by_as_much(rehdr, demo):
    stamps = ("start", "middle")
    start, middle = (figures(rehdr, demo, "--response", "1", "--stamp-is", stamp) for stamp in stamps)
    assert start["event_latency"] - middle["event_latency"] == pytest.approx(-0.01, abs=0.003)


def test_clocks_that_are_far_apart_go_into_the_offset(rehdr, demo):
    near = figures(rehdr, demo, "--response", "1")
    far = figures(rehdr, demo, "--response", "1", "--event-time-offset", "0.15", "--range", "0.2")
    assert far["calibrate_time"]["sure"] and abs(far["event_time_offset"]) < 0.01
    total = far["event_time_offset"] - far["event_latency"]
    assert total == pytest.approx(near["event_time_offset"] - near["event_latency"], abs=0.003)


def test_the_file_is_one_of_the_node_s_parameters(rehdr, demo, tmp_path):
    file = tmp_path / "events.yaml"
    given = ("--response", "1", "--event-roi", "0", "0", "346", "260")
    outcome = rehdr("calibrate-events", demo, *given, "-o", file)
    assert outcome.code == 0 and outcome.out.splitlines()[-1] == "sure"
    parameters = yaml.safe_load(file.read_text())["/**"]["ros__parameters"]
    config = PipelineConfig(**parameters)
    assert 0.002 < config.fixed_latency < 0.008 and config.stamp_is == "start"
    assert config.response == "1" and config.event_roi == (0, 0, 346, 260)  # by which it holds
    assert "# " in file.read_text() and "thresholds" in file.read_text()


def test_a_recording_that_tells_too_little_is_said_to_and_why(rehdr, shared, tmp_path):
    file = tmp_path / "events.yaml"
    outcome = rehdr("calibrate-events", shared / "data/recordings/davis346.aedat4", "-o", file)
    assert outcome.code == 0, outcome.err
    *_, doubts, causes = outcome.out.splitlines()
    assert doubts.startswith("unsure: ") and causes.startswith("likely causes: ")
    assert "registration" in causes and "response" in causes
    assert yaml.safe_load(file.read_text())["/**"]["ros__parameters"]["event_latency"] == "auto"


def test_where_no_pixel_tells_the_clocks_the_rest_is_told(rehdr, simulated_bag):
    """Of one frame."""
    found = figures(rehdr, simulated_bag, "--stop", "0.05")
    assert (found["calibrate_time"], found["sure"]) == (None, False)
    outcome = rehdr("calibrate-events", simulated_bag, "--stop", "0.05")
    assert outcome.code == 0 and "too few pixels are well exposed for calibrate-time" in outcome.out


def test_wrong_option(rehdr, demo, tmp_path):
    outcome = rehdr("calibrate-events", demo, "--range", "0")
    assert outcome.code == 2 and "--range" in outcome.err and len(outcome.err.splitlines()) == 1
    outcome = rehdr("calibrate-events", demo, "-o", tmp_path / "nowhere/events.yaml")
    assert outcome.code == 2 and "there is no folder" in outcome.err and not outcome.out
    with pytest.raises(InputError, match="event_latency"):
        PipelineConfig(event_latency="late")
