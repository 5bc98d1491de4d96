"""Whatever a file holds: `rehdr info` ends with 0 or, after one line, with 2."""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hostile import RECORDINGS, damage_one, make

from rehdr_ros.cli import main

SECONDS, MEGABYTES = 30, 1024


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_damaged_file_ends_in_a_report_or_in_one_line(name, tmp_path):
    codes = run(name, tmp_path / "recording", count=30, seed=0)
    assert set(codes) <= {0, 2} and codes.count(0) > 3


@pytest.mark.long
@pytest.mark.parametrize("name", RECORDINGS)
def test_two_thousand_damaged_files(name, tmp_path):
    """Over all formats; each within 30 s, and all of a format in a process of at most 1 GB."""
    words = [sys.executable, __file__, name, str(tmp_path / "recording"), "300", "1"]
    outcome = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    print(f"\n{name}: {outcome}")
    assert set(outcome["codes"]) <= {"0", "2"} and sum(outcome["codes"].values()) == 300
    assert outcome["megabytes"] < MEGABYTES


def run(name: str, folder: Path, count: int, seed: int) -> list[int]:
    """The exit codes of `count` damaged recordings; fails for a traceback, and for more than one line."""
    recording, options = make(name, folder)
    originals = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    random, codes = np.random.default_rng(seed), []
    for _ in range(count):
        damage_one(folder, originals, random)
        signal.alarm(SECONDS)
        with all_of_stderr() as errors, contextlib.redirect_stdout(io.StringIO()):
            codes.append(main(["info", str(recording), *options]))
        signal.alarm(0)
        lines = [line for line in errors if not line.endswith("done")]
        ours = [line for line in lines if line.startswith("rehdr info: ")]
        assert lines == ours if codes[-1] else not ours, lines  # where the run goes on, libpng may say why
        assert len(ours) == (codes[-1] != 0) and not any("Traceback" in line for line in lines), lines
    return codes


@contextlib.contextmanager
def all_of_stderr():
    """Its lines, afterwards; those of libraries below Python, too."""
    lines, before = [], os.dup(2)
    with tempfile.TemporaryFile("w+", errors="replace") as file, contextlib.redirect_stderr(file):
        os.dup2(file.fileno(), 2)
        try:
            yield lines
        finally:
            os.dup2(before, 2)
            os.close(before)
            file.flush()
            file.seek(0)
            lines += file.read().splitlines()


if __name__ == "__main__":
    name, folder, count, seed = sys.argv[1:]
    codes = run(name, Path(folder), int(count), int(seed))
    most = int(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1]) / 1024
    print(json.dumps({"codes": {code: codes.count(code) for code in set(codes)}, "megabytes": round(most)}))
