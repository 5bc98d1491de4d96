"""Bag files damaged by chance: one line or what is whole, within bounds of time and memory."""

import io
import json
import os
import re
import resource
import struct
import subprocess
import sys
import time
import tracemalloc
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import lz4.frame
import numpy as np
import pytest
from bag_files import COUNT, assert_begins_as_recorded, recorded, write_mcap, write_ros1, write_sqlite

from rehdr_ros.cli import main
from rehdr_ros.recordings import BagRecording, RecordingError
from rehdr_ros.recordings.zstd import zstd

BYTES, SECONDS = 1_000_000_000, 30
FORMATS = {
    "mcap": lambda path: write_mcap(path, recorded()),
    "mcap_lz4": lambda path: write_mcap(path, recorded(), "lz4"),
    "mcap_zstd": lambda path: write_mcap(path, recorded(), "zstd"),
    "mcap_runs": lambda path: write_mcap(path, recorded(), use_chunking=False),
    "sqlite": lambda path: write_sqlite(path, recorded()),
    "ros1": lambda path: write_ros1(path, recorded(ros1=True)),
    "ros1_lz4": lambda path: write_ros1(path, recorded(ros1=True), "lz4"),
    "ros1_bz2": lambda path: write_ros1(path, recorded(ros1=True), "bz2"),
}
LENGTHS = [
    0,
    1,
    0x7F,
    0xFF,
    0xFFFF,
    *(1 << k for k in (20, 28, 30, 31)),
    *((1 << k) - 1 for k in (32, 63, 64)),
]


def mutated(whole: bytes, random: np.random.Generator) -> bytes:
    """Bits, cuts, lengths, and bytes that are gone, twice there or zero; most of them near the ends."""
    data = bytearray(whole)
    for _ in range(random.integers(1, 4)):
        near = int(len(data) * random.random() ** 3)
        at = near if random.random() < 0.5 else len(data) - 1 - near
        kind = random.integers(6)
        if kind == 0:
            data[at] ^= 1 << random.integers(8)
        elif kind == 1:
            del data[max(at, 20) :]
        elif kind == 2:
            size, length = int(random.choice([2, 4, 8])), LENGTHS[random.integers(len(LENGTHS))]
            order = "little" if random.random() < 0.7 else "big"
            data[at : at + size] = (length & (1 << 8 * size) - 1).to_bytes(size, order)
        elif kind == 3:
            del data[at : at + random.integers(1, 50)]
        elif kind == 4:
            data[at:at] = data[at // 2 : at // 2 + random.integers(1, 200)]
        else:
            data[at : at + 50] = bytes(50)
    return bytes(data)


def attack(name: str, count: int, folder: Path) -> dict:
    """Runs `rehdr info` on `count` mutations and reads them; returns what came out."""
    whole, path = FORMATS[name](folder / "whole").read_bytes(), folder / "mutated"
    main(["info", str(folder / "whole")])  # imports and compiles
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, used + BYTES))
    codes, faults, slowest = {}, [], 0.0
    for k in range(count):
        path.write_bytes(mutated(whole, np.random.default_rng([k, len(name)])))
        out, err, started = io.StringIO(), io.StringIO(), time.monotonic()
        try:
            with redirect_stdout(out), redirect_stderr(err):
                code = main(["info", str(path)])
                read(path)
        except Exception as error:  # any is a fault
            faults.append(f"{k}: {type(error).__name__}: {error}")
            continue
        slowest = max(slowest, time.monotonic() - started)
        codes[code] = codes.get(code, 0) + 1
        told = [line for line in err.getvalue().splitlines() if line.startswith("rehdr info: ")]
        if code not in (0, 2) or len(told) != (code == 2):
            faults.append(f"{k}: {code} {err.getvalue()}")
    return {"codes": codes, "faults": faults, "slowest": slowest, "bytes": peak_bytes()}


def read(path: Path) -> None:
    try:
        recording = BagRecording(path)
        for _ in recording.raw_messages(set(recording.topics)):
            pass
        for _ in recording.messages():
            pass
    except RecordingError:
        pass


def check(name: str, count: int, folder: Path) -> None:
    script = [sys.executable, __file__, name, str(count), str(folder)]
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    outcome = subprocess.run(script, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})
    assert outcome.returncode == 0, outcome.stderr
    found = json.loads(outcome.stdout.splitlines()[-1])
    print(name, found)
    assert found["faults"] == []
    assert sum(found["codes"].values()) == count and set(found["codes"]) <= {"0", "2"}
    assert found["codes"].get("0", 0) > count // 4  # what is whole is read
    assert found["slowest"] < SECONDS and found["bytes"] < BYTES


def peak_bytes() -> int:
    """Of this process; getrusage tells the parent's, where that was larger when it started this one."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.search(r"VmHWM:\s*(\d+)", status)[1])


def with_chunk(folder: Path, compression: str, packed: bytes, size: int) -> Path:
    """A bag whose first chunk, before the others, holds something else."""
    whole = write_mcap(folder / "whole.mcap", recorded(), enable_crcs=False).read_bytes()
    content = struct.pack("<QQQII", 0, 1, size, 0, len(compression)) + compression.encode()
    content += struct.pack("<Q", len(packed)) + packed
    chunk = struct.pack("<BQ", 6, len(content)) + content
    path = folder / "bomb.mcap"
    path.write_bytes(whole[:8] + chunk + whole[8:-40])  # without an index, which would not know of it
    return path


@pytest.mark.parametrize("size", [1000, 1 << 24, 1 << 62])
@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_a_chunk_that_unpacks_to_more_than_a_machine_has(tmp_path, compression, size):
    packed = {"zstd": zstd.compress, "lz4": lz4.frame.compress}[compression](bytes(1 << 28))
    path = with_chunk(tmp_path, compression, packed, size)
    tracemalloc.start()
    try:
        recording = BagRecording(path)
        assert_begins_as_recorded(recording, least=COUNT)
        assert tracemalloc.get_traced_memory()[1] < 1 << 28
    finally:
        tracemalloc.stop()


def test_a_message_that_unpacks_to_more_than_a_machine_has(tmp_path):
    bomb = recorded()[0]._replace(raw=zstd.compress(bytes(1 << 29)))
    recording = BagRecording(write_mcap(tmp_path / "a.mcap", [bomb, *recorded()]))
    assert_begins_as_recorded(recording, least=COUNT)
    list(recording.packets())
    assert recording.counters == {"unreadable_parts": 1}


@pytest.mark.parametrize("name", ["mcap", "mcap_zstd", "sqlite", "ros1"])
def test_damaged_files(tmp_path, name):
    check(name, 40, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("name", FORMATS)
def test_many_damaged_files(tmp_path, name):
    """2,000 over all; `python test/recordings/test_hostile_bags.py NAME COUNT FOLDER` damages any number."""
    check(name, 2000 // len(FORMATS), tmp_path)


if __name__ == "__main__":
    print(json.dumps(attack(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))))
