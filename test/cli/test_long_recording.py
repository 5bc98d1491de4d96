"""Two and a half minutes of recording: the memory stays, and interruptions leave no trace."""

import hashlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from moving_wave import write_moving_wave

from rehdr_ros.recordings.results.folder import frame_files, read_rows

pytestmark = pytest.mark.long

FRAMES = 1500
WARM_UP = 300  # frames after which the memory counts
GROWTH = 0.05
STOPS = {400: signal.SIGINT, 900: signal.SIGKILL}  # frame -> how the run ends there


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    return write_moving_wave(tmp_path_factory.mktemp("long") / "bag", FRAMES)


def start(recording, folder) -> subprocess.Popen:
    program = [sys.executable, "-m", "rehdr_ros.cli"]
    command = map(str, [*program, "reconstruct", recording, "-o", folder, "--hdr-video", "--bag"])
    return subprocess.Popen(list(command), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def resident_kilobytes(process) -> int:
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return 0


def digests(folder) -> dict[str, str]:
    files = [p for p in folder.rglob("*") if p.is_file() and p.name not in ("frames.csv", "summary.json")]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def untimed(folder) -> list[dict[str, str]]:
    return [{k: v for k, v in row.items() if not k.endswith("_ms")} for row in read_rows(folder)]


def wait_for_frame(process, folder, number) -> None:
    while process.poll() is None and not (folder / "hdr" / f"{number:06d}.exr").exists():
        time.sleep(0.05)


def test_memory_stays_and_interruptions_leave_no_trace(recording, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    process, memory = start(recording, whole), {}
    wait_for_frame(process, whole, WARM_UP)
    while process.poll() is None:
        memory[len(frame_files(whole, "hdr"))] = resident_kilobytes(process)
        time.sleep(1)
    assert process.returncode == 0, process.stderr.read()
    during = {count: kilobytes for count, kilobytes in memory.items() if count < FRAMES}
    first, last = during[min(during)], during[max(during)]
    growth, highest = last / first - 1, max(during.values()) / first - 1
    print(f"\nresident: {first / 1e3:.1f} MB at frame {min(during)}", end=", ")
    print(f"{last / 1e3:.1f} MB at frame {max(during)}")
    written = max(memory.values()) / first - 1
    print(f"growth {growth:+.2%}, at most {highest:+.2%}; {written:+.2%} with videos and bag")
    assert max(during) > 0.9 * FRAMES and highest <= GROWTH

    for number, how in STOPS.items():
        process = start(recording, parts)
        wait_for_frame(process, parts, number)
        process.send_signal(how)
        assert process.wait() == (130 if how == signal.SIGINT else -how)
    process = start(recording, parts)
    assert process.wait() == 0, process.stderr.read()
    assert digests(parts) == digests(whole)
    assert untimed(parts) == untimed(whole) and len(untimed(whole)) == FRAMES
