"""Mutated messages: read, or refused with an InputError; nothing else, and in flat memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import mutated_messages
import pytest

MOST_MB = 100  # a JPEG's decoder takes its room before it sees that the file ends


def test_thousands_of_mutated_messages():
    outcome = mutated_messages.run(5000, seed=1)
    assert outcome.pop("memory_mb") < MOST_MB
    assert len(outcome) > 25 and min(outcome.values()) > 0  # of each kind some were read and some refused


@pytest.mark.long
@pytest.mark.parametrize("seed, checks_bounds", [(2, False), (3, False), (4, False), (5, True)])
def test_a_hundred_thousand_mutated_messages(tmp_path, seed, checks_bounds):
    checked = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)} if checks_bounds else {}
    command = [sys.executable, Path(mutated_messages.__file__), "100000", str(seed)]
    done = subprocess.run(command, env={**os.environ, **checked}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    print(done.stdout)
    assert json.loads(done.stdout)["memory_mb"] < MOST_MB
