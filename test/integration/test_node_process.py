"""How rehdr_node starts and ends, as a process."""

import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from live import PATIENCE, console

from rehdr_ros.msg import FrameInfo
from rehdr_ros.node.transport import shared_file

READY = "waiting for events"
END_SECONDS = 5.0  # that a busy machine may take for what should take one


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


def test_nobody_sees_it_any_longer_once_it_has_ended(start_node, client):
    def seen() -> int:
        return client.get_node_names().count("rehdr_node")

    before = seen()  # nodes that other tests have killed are seen for 20 s
    node = start_node().wait_for(READY)
    assert client.wait_until(lambda: seen() > before)
    assert node.end() == 0
    assert client.wait_until(lambda: seen() <= before, END_SECONDS)


@pytest.mark.parametrize("seconds", [0.05, 0.2, 0.5, 0.8, 1.2, 1.7, 2.3, 3.0])
def test_signal_while_it_starts_ends_it_quietly(start_node, seconds):
    node = start_node()
    time.sleep(seconds)
    seen_to = catches(node.process.pid, signal.SIGTERM)
    started = time.monotonic()
    # Before our first line the signal is Python's.
    assert node.end() in ((0,) if seen_to else (0, -signal.SIGTERM)), node.log
    assert time.monotonic() - started < END_SECONDS
    assert not any(word in node.log for word in ("Traceback", "Exception", "terminate called")), node.log


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return bool(int(status["SigCgt"], 16) >> (number - 1) & 1)


def test_it_ends_long_before_a_slow_network_is_done(start_node, slow_weights, client, camera, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # slow on large machines too
    node = start_node(weights=slow_weights, precision="float32", event_timeout=0.01).wait_for(READY)
    camera.wait_for_listener()
    infos = client.collect(FrameInfo, "/rehdr_node/frame_info")
    camera.frame(np.full((480, 640, 3), 128, np.uint8))
    client.spin(0.5)
    started = time.monotonic()
    assert node.end() == 0, node.log
    took = time.monotonic() - started
    print(f"ended in {took:.2f} s")
    assert took < END_SECONDS
    assert not infos
    assert "stopped after 0 frames" in node.log.splitlines()[-1]


@pytest.fixture(scope="module")
def slow_weights(tmp_path_factory) -> Path:
    """An untrained network of which a frame takes seconds."""
    import torch

    from rehdr_ros.network import Rehdr, RehdrConfig, save_checkpoint

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "slow.safetensors"
    save_checkpoint(Rehdr(RehdrConfig(base_channels=64)), path)
    yield path
    path.unlink()  # 286 MB


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


ROS_REFUSES = {
    "log level": ("--log-level", "loud"),
    "parameter file that is not there": ("--params-file", "/nowhere/mine.yaml"),
    "parameter file that is malformed": ("--params-file", "MALFORMED"),
    "unknown argument": ("--loud", "--loud"),
    "node name": ("-r", "__node:=a-b"),
}


@pytest.mark.parametrize("arguments", ROS_REFUSES.values(), ids=ROS_REFUSES)
def test_what_ros_does_not_take_ends_it_with_two_and_one_line_of_ours(start_node, tmp_path, arguments):
    (tmp_path / "MALFORMED").write_text("rehdr_node: [policy")
    option, value = arguments[0], arguments[1].replace("MALFORMED", str(tmp_path / "MALFORMED"))
    node = start_node(*dict.fromkeys((option, value)))
    assert node.wait() == 2, node.log
    assert "Traceback" not in node.log
    (line,) = [line for line in node.log.splitlines() if "[rcl]" not in line]
    assert line.startswith("rehdr_node: cannot start ROS: ") and value in line
    assert " at /" not in line


@pytest.mark.parametrize("argument", ["--help", "-p policy:=all"])
def test_what_ros_would_ignore_ends_it_with_two_and_one_line_that_says_how(argument):
    command = [*console("rehdr_node"), *argument.split()]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert outcome.returncode == 2
    (line,) = [line for line in outcome.stderr.splitlines() if "[rcl]" not in line]
    assert line.startswith(f"rehdr_node: {argument.split()[0]}: ") and "--ros-args -p" in line


def test_log_folder_that_cannot_be_made_ends_it_with_two_and_one_line(start_node, monkeypatch):
    monkeypatch.setenv("ROS_LOG_DIR", "/dev/null/log")
    node = start_node()
    assert node.wait() == 2, node.log
    (line,) = node.log.splitlines()
    assert "/dev/null/log" in line


def test_parameters_that_it_does_not_have_are_warned_of_with_the_nearest_name(start_node):
    unknown = {
        "polcy": ("all", "policy"),
        "qos_overrides./hdr/image_raw.publisher.reliabilty": (
            "best_effort",
            "qos_overrides./hdr/image_raw.publisher.reliability",
        ),
        "xyzzy": (1, None),
    }
    node = start_node(
        policy="all",
        use_sim_time="false",
        **{"qos_overrides./hdr/image_raw.publisher.depth": 3},
        **{name: value for name, (value, _) in unknown.items()},
    ).wait_for(READY)
    assert node.end() == 0
    warnings = [line for line in node.log.splitlines() if "[WARN]" in line]
    assert len(warnings) == len(unknown)
    for name, (_, nearest) in unknown.items():
        (line,) = [line for line in warnings if f"no parameter {name}: " in line]
        assert line.endswith(f"did you mean {nearest}?" if nearest else "it has no effect")


def test_it_starts_with_the_shipped_parameter_file(start_node):
    node = start_node("--params-file", str(shared_file("config/rehdr.yaml"))).wait_for(READY)
    assert node.end() == 0
