"""What a running node says on /diagnostics, and at the end of its log."""

import re
import time
from contextlib import contextmanager

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from live import Manager

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
PARTS = ["events", "frames", "reconstruction", "device"]
HZ = 10.0
SECONDS = 7  # after which the rates, of 5 s, know of nothing earlier


@pytest.fixture(scope="module")
def node(start_node):
    node = start_node(event_timeout=0.5, policy="all", input_timeout=2.0).wait_for("waiting for events")
    yield node
    assert node.end() == 0, node.log
    assert "Traceback" not in node.log


@pytest.fixture(scope="module")
def manager(client, node):
    return Manager(client)


@pytest.fixture(scope="module")
def filming(client, camera, node):
    """What happens HZ times a second while the client spins: a context that gives the times, monotonic s."""
    camera.wait_for_listener()

    @contextmanager
    def filming(happen=camera.frame):
        times = []

        def tick() -> None:
            times.append(time.monotonic())
            happen(at=camera.step(1 / HZ))

        timer = client.create_timer(1 / HZ, tick)
        try:
            yield times
        finally:
            client.destroy_timer(timer)

    return filming


def becomes(diagnosis, part: str, level: bytes, text: str) -> DiagnosticStatus:
    """Wait until a part is at the level and says the text."""
    deadline = time.monotonic() + 20.0
    while (status := diagnosis.says(part, text, seconds=20.0)).level != level:
        assert time.monotonic() < deadline, f"{part} stays at {status.level}: {status.message!r}"
    return status


def figure(status: DiagnosticStatus, key: str) -> float:
    return float(next(value.value for value in status.values if value.key == key))


def test_inputs_that_nobody_publishes_are_complained_of(diagnosis):
    becomes(diagnosis, "events", WARN, "nobody publishes")
    becomes(diagnosis, "frames", ERROR, "nobody publishes")


def test_good_stream_is_ok_and_its_rates_are_right_once_a_second(diagnosis, filming):
    for _ in range(5):  # a busy machine may stand still for some of the time
        with filming() as times:
            for _ in range(SECONDS):
                statuses = diagnosis.now()
            took = times[-1] - times[0]
        told = [
            figure(statuses["events"], "packets per second"),
            figure(statuses["frames"], "frames per second"),
            figure(statuses["reconstruction"], "frames per second"),
        ]
        rate = pytest.approx((len(times) - 1) / took, rel=0.2)
        if took == pytest.approx(SECONDS, abs=1.0) and told == [rate] * 3:
            break
    else:
        pytest.fail(f"rates {told} of {rate}, {SECONDS} times in {took} s")
    assert list(statuses) == PARTS
    assert {part: (status.level, status.message) for part, status in statuses.items()} == {
        "events": (OK, "ok"),
        "frames": (OK, "ok"),
        "reconstruction": (OK, "ok"),
        "device": (OK, "active"),
    }
    assert {status.name for status in statuses.values()} == {f"rehdr_node: {part}" for part in PARTS}
    assert figure(statuses["reconstruction"], "events per frame") == pytest.approx(1, abs=0.2)
    assert figure(statuses["reconstruction"], "latency, max (ms)") < 2000
    assert figure(statuses["device"], "memory (MB)") > 100


def test_frames_that_stop_are_an_error_and_good_again_when_they_come_back(diagnosis, camera, filming):
    with filming(lambda at: camera.events(at)):
        becomes(diagnosis, "frames", ERROR, "nothing arrives")
        assert diagnosis.now()["events"].level == OK
    with filming():
        becomes(diagnosis, "frames", OK, "ok")


def test_events_that_stop_are_a_warning(diagnosis, camera, filming):
    with filming(lambda at: camera.image(at, camera.grey(), "rgb8")):
        becomes(diagnosis, "events", WARN, "nothing arrives")
        assert diagnosis.now()["frames"].level == OK
    with filming():
        becomes(diagnosis, "events", OK, "ok")


@pytest.mark.parametrize("every, level", [(10, WARN), (2, ERROR)], ids=["10 %, a warning", "50 %, an error"])
def test_lost_packets_are_a_warning_or_an_error(diagnosis, camera, filming, every, level):
    def lossy(at: int) -> None:
        camera.frame(at=at)
        if camera.seq % every == every - 1:
            camera.seq += 1

    with filming(lossy):
        status = becomes(diagnosis, "events", level, "lost packets")
    assert figure(status, "lost packets") > 0
    with filming():
        becomes(diagnosis, "events", OK, "ok")


def test_latency_over_the_budget_is_a_warning_with_words(diagnosis, manager, node, filming):
    assert manager.set("latency_budget", 1e-6).successful
    with filming():
        becomes(diagnosis, "reconstruction", WARN, "over the latency budget")
    node.wait_for("use smaller frames, a smaller network or a GPU")
    assert manager.set("latency_budget", 0.0).successful
    with filming():
        becomes(diagnosis, "reconstruction", OK, "ok")


def test_second_node_of_the_same_name_is_a_warning(start_node, diagnosis):
    second = start_node(autostart="false")
    becomes(diagnosis, "reconstruction", WARN, "another node has the same name and namespace")
    assert second.end() == 0
    becomes(diagnosis, "reconstruction", OK, "ok")


def test_inactive_node_tells_only_of_its_device(diagnosis, manager):
    assert manager.change("deactivate")
    diagnosis.now()
    statuses = diagnosis.now()
    assert list(statuses) == ["device"]
    assert (statuses["device"].level, statuses["device"].message) == (OK, "inactive")


def test_counts_begin_anew_with_activation_and_end_in_the_log(client, diagnosis, manager, node, camera):
    assert manager.change("activate")
    assert diagnosis.counts()["events: lost packets"] == 0
    camera.wait_for_listener()
    for _ in range(5):
        camera.frame()
        client.spin(0.2)
        camera.seq += 1
    client.wait_until(lambda: diagnosis.counts()["events: lost packets"] == 4)
    assert node.end() == 0
    last = node.log.splitlines()[-1]
    assert re.search(r"stopped after 5 frames, mean latency \d+\.\d ms; lost: lost_packets 4$", last), last
