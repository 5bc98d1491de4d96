"""How rehdr_node starts and ends, as a process."""

import signal
import time

import pytest

from rehdr_ros.node.transport import shared_file

READY = "waiting for events"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_signal_ends_it_with_zero_and_a_last_line_that_says_how_it_went(start_node, number):
    node = start_node().wait_for(READY)
    assert node.end(number) == 0
    assert "stopped after 0 frames; lost: nothing" in node.log.splitlines()[-1]


def test_second_signal_while_it_ends_changes_nothing(start_node):
    node = start_node().wait_for(READY)
    while node.alive():  # ros2 launch repeats the terminal's Ctrl-C
        node.process.send_signal(signal.SIGINT)
        time.sleep(0.02)
    assert node.wait() == 0, node.log
    assert "Traceback" not in node.log
    assert "stopped after" in node.log.splitlines()[-1]


WRONG = {
    "weights that are not there": ({"weights": "/nowhere/net.safetensors"}, "/nowhere/net.safetensors"),
    "device that is not there": ({"device": "cuda:7"}, "cuda:7"),
    "text for a number": ({"event_timeout": "soon"}, "event_timeout"),
}


@pytest.mark.parametrize(("parameters", "said"), WRONG.values(), ids=WRONG)
def test_wrong_parameter_ends_it_with_two_and_one_line(start_node, parameters, said):
    node = start_node(**parameters)
    assert node.wait() == 2, node.log
    (line,) = node.log.splitlines()
    assert said in line


def test_it_starts_with_the_shipped_parameter_file(start_node):
    node = start_node("--params-file", str(shared_file("config/rehdr.yaml"))).wait_for(READY)
    assert node.end() == 0
