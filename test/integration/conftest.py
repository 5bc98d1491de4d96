import fcntl
import os
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

_HELD = []  # until this process ends


def _free_domain() -> int:
    """A ROS domain that no other run of these tests on this machine has."""
    for domain in range(60, 100):
        with suppress(OSError):
            lock = open(Path(tempfile.gettempdir()) / f"rehdr_ros_test_domain_{domain}", "a")  # noqa: SIM115
            _HELD.append(lock)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return domain
    pytest.exit("every ROS domain from 60 to 99 is in use by another run of these tests")


# Before rclpy starts: nobody else's nodes, and not those of another run or process of these tests.
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["ROS_DOMAIN_ID"] = str(_free_domain())


@pytest.fixture(scope="session")
def client():
    """One ROS node for all tests."""
    import live
    import rclpy

    live.use_large_shared_memory()
    rclpy.init()
    node = live.Client()
    yield node
    node.destroy_node()
    rclpy.try_shutdown()


@pytest.fixture(scope="module")
def start_node(tmp_path_factory, tiny_weights):
    """A function that starts rehdr_node as its own process, by default with the tiny weights on the CPU."""
    import live

    started = []

    def start(*arguments: str, **parameters) -> live.NodeProcess:
        log = tmp_path_factory.mktemp("node") / "log"
        parameters = {"weights": tiny_weights, "device": "cpu", **parameters}
        started.append(live.NodeProcess(log, arguments, parameters))
        return started[-1]

    yield start
    for node in started:
        node.kill()


@pytest.fixture(scope="module")
def node(start_node):
    """One running node for the module's tests; a frame waits long for its events, on a busy machine too."""
    node = start_node(event_timeout=3.0).wait_for("waiting for events")
    yield node
    assert node.end() == 0, node.log


@pytest.fixture(scope="module")
def stream(node, client, camera):
    """Frames in, HDR frames out, one by one."""
    import live

    return live.Stream(client, camera)


@pytest.fixture(scope="module")
def diagnosis(node, client):
    """What the module's node says on /diagnostics."""
    import live

    return live.Diagnosis(client)


@pytest.fixture
def record_frames_until_good(record_property):
    """A function that takes how many frames a fault was felt, to be shown at the end of the run."""
    return lambda count: record_property(FRAMES_UNTIL_GOOD, count)


@pytest.fixture
def assert_recovers(record_frames_until_good):
    """A function that fails unless good frames come back soon."""

    def assert_recovers(stream, node) -> None:
        record_frames_until_good(stream.frames_until_good())
        assert node.alive()

    return assert_recovers


@pytest.fixture
def assert_withstands(stream, node, diagnosis, assert_recovers):
    """A function that lets a fault happen to the running stream."""

    def assert_withstands(fault) -> None:
        stream.frames_until_good()
        before, first = stream.infos[-1], len(stream.infos)
        counts = diagnosis.counts() if fault.diagnosed else {}
        fault.happen(stream)
        assert_recovers(stream, node)
        infos = stream.infos[first:]
        assert {n: getattr(infos[-1], n) - getattr(before, n) for n in fault.counted} == fault.counted
        if fault.diagnosed:
            now = diagnosis.counts()
            moved = {key: now[key] - counts[key] for key in fault.diagnosed}
            assert all(moved[key] >= least for key, least in fault.diagnosed.items()), moved
        reasons = [info.reset_reason for info in infos if info.reset_reason]
        assert len(reasons) == len(fault.resets), reasons
        assert all(map(str.startswith, reasons, fault.resets)), reasons
        assert stream.steps_back(first) == fault.back

    return assert_withstands


@pytest.fixture(scope="module")
def camera(client):
    """A camera on /camera/image_raw and /event_camera/events whose time only goes forward."""
    import live

    return live.Camera(client)


@pytest.fixture(scope="module", autouse=True)
def leave_nothing_to_the_next_module(client):
    """Ends what the module published and subscribed to."""
    yield
    client.forget()


FRAMES_UNTIL_GOOD = "frames until good output"


def pytest_terminal_summary(terminalreporter):
    """How long each fault was felt."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == FRAMES_UNTIL_GOOD:
                terminalreporter.write_line(f"{value:3d} {name}: {report.nodeid}")
