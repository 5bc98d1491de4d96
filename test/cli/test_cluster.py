"""rehdr reconstruct --cluster on a Ray cluster of two nodes, both on this machine."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from moving_wave import write_moving_wave

from rehdr_ros.recordings.results.folder import read_rows

pytestmark = pytest.mark.long
cluster_utils = pytest.importorskip("ray.cluster_utils", reason="no Ray here: pip install ray")

LENGTHS = (1500, 1500, 100, 100, 100, 100)  # frames: the first two take longer than it is between snapshots
PATIENCE = 300  # s
NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("recordings")
    return [write_moving_wave(folder / f"walk_{k}", n, seed=k, speed=k + 1) for k, n in enumerate(LENGTHS)]


@pytest.fixture
def cluster(monkeypatch):
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
    yield cluster
    cluster.shutdown()


@pytest.fixture
def start(tiny_weights):
    """A function that starts the reconstruction of recordings into a folder."""

    def start(recordings: list[Path], out: Path, *options) -> subprocess.Popen:
        network = ("--weights", tiny_weights, "--device", "cpu", "--engine", "pytorch")
        command = (sys.executable, "-m", "rehdr_ros.cli", "reconstruct", *recordings, "-o", out)
        words = map(str, (*command, *network, *options))
        return subprocess.Popen(list(words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    return start


def wait_for(there: list[Path]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not all(path.exists() for path in there):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def digests(out: Path) -> dict[str, str]:
    """Of all files, without times."""
    files = {str(p.relative_to(out)): p for p in out.rglob("*") if p.is_file()}
    return {name: hashlib.sha256(untimed(path)).hexdigest() for name, path in files.items()}


def untimed(path: Path) -> bytes:
    if path.name == "frames.csv":
        rows = [{k: v for k, v in row.items() if not k.endswith("_ms")} for row in read_rows(path.parent)]
        return json.dumps(rows).encode()
    if path.name == "summary.json":
        summary = json.loads(path.read_text())
        return json.dumps({k: v for k, v in summary.items() if not k.endswith("_ms")}).encode()
    return path.read_bytes()


def test_a_node_that_is_killed_leaves_no_trace(recordings, cluster, start, tmp_path):
    second = cluster.add_node(**NODE)
    run = start(recordings, tmp_path / "cluster", "--cluster", cluster.address)
    wait_for([tmp_path / "cluster" / path.name / "unfinished.safetensors" for path in recordings[:2]])
    second.kill_raylet()  # by SIGKILL
    out, _ = run.communicate(timeout=PATIENCE)
    assert run.returncode == 0, out
    assert "going on after" in out
    print("\n" + out[out.index("recording  ") :])

    alone = start(recordings, tmp_path / "alone")
    text, _ = alone.communicate(timeout=PATIENCE)
    assert alone.returncode == 0, text
    found = digests(tmp_path / "cluster")
    assert found == digests(tmp_path / "alone")
    print(f"{len(found)} files are the same as without a cluster")


def test_ctrl_c_ends_what_runs_on_the_cluster(recordings, cluster, start, tmp_path):
    out = tmp_path / "out"
    run = start(recordings, out, "--cluster", cluster.address)
    wait_for([out / recordings[0].name / "hdr" / "000100.exr"])
    run.send_signal(signal.SIGINT)
    text, _ = run.communicate(timeout=PATIENCE)
    assert run.returncode == 130, text
    assert "interrupted: 0 of 6 recordings are done" in text
    assert (out / recordings[0].name / "unfinished.safetensors").exists()
    assert os.listdir(out) == [recordings[0].name]


def test_a_recording_that_is_not_there_fails_alone(recordings, cluster, start, tmp_path):
    run = start([tmp_path / "nowhere", recordings[-1]], tmp_path / "out", "--cluster", cluster.address)
    text, _ = run.communicate(timeout=PATIENCE)
    assert run.returncode == 2, text
    assert f"{tmp_path / 'nowhere'} is not there on" in text
    assert "1 of 2 recordings are done" in text
