"""rehdr replay, as a process."""

import signal
import subprocess
import time

import pytest
from live import PATIENCE, console
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image

from rehdr_ros.recordings import BagRecording


@pytest.fixture
def replay(simulated_bag):
    """A function that starts the replay of the simulated bag."""
    started = []

    def replay(*options: str) -> subprocess.Popen:
        command = [*console("rehdr"), "replay", str(simulated_bag), *options]
        started.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield replay
    for process in started:
        process.kill()
        process.communicate()


def test_clock_and_chosen_topics_are_published_until_the_end_of_the_bag(client, replay, simulated_bag):
    process = replay("--clock", "--topics", "/camera/image_raw", "--wait", str(PATIENCE))
    images = client.collect(Image, "/camera/image_raw")
    clock = client.collect(Clock, "/clock")
    assert client.wait_until(lambda: process.poll() is not None)
    assert process.returncode == 0
    assert len(images) == len(list(BagRecording(simulated_bag).frames()))
    assert client.wait_until(lambda: clock and clock[-1].clock == images[-1].header.stamp)
    assert client.count_publishers("/event_camera/events") == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_signals_end_a_loop_with_zero(client, replay, simulated_bag, number):
    process = replay("--loop", "--rate", "20", "--topics", "/camera/image_raw", "--wait", str(PATIENCE))
    images = client.collect(Image, "/camera/image_raw")
    assert client.wait_until(lambda: len(images) > 2 * len(list(BagRecording(simulated_bag).frames())))
    while process.poll() is None:
        process.send_signal(number)
        time.sleep(0.02)
    assert process.returncode == 0
    assert "Traceback" not in process.stderr.read()


def test_ros_that_cannot_start_is_one_line(replay, monkeypatch):
    monkeypatch.setenv("ROS_LOG_DIR", "/dev/null/log")
    process = replay()
    assert process.wait(timeout=PATIENCE) == 2
    (line,) = process.stderr.read().splitlines()
    assert line.startswith("rehdr replay: cannot start ROS: ") and "/dev/null/log" in line


def test_it_says_for_whom_it_waits(client, replay):
    client.forget()
    process = replay("--topics", "/camera/image_raw", "--wait", "12")
    assert process.wait(timeout=PATIENCE) == 0
    said = process.stderr.read()
    assert "waiting, 12 s at most, for a subscriber of /camera/image_raw" in said
    assert "nobody subscribes to /camera/image_raw" in said
