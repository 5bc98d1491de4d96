"""tools/: which Python an environment beside .venv is made with; without one it is skipped, and why."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOOLS = runpy.run_path(str(ROOT / "tools" / "environments.py"))
interpreter, ENVIRONMENTS = TOOLS["interpreter"], TOOLS["ENVIRONMENTS"]
PYTHON = sys._base_executable  # noqa: SLF001 - Python has no other name for it
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A folder on the PATH, and one of pyenv, in which alone Pythons are."""
    for folder in ("bin", "pyenv"):
        (tmp_path / folder).mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    return tmp_path


def wanted(machine, *versions):
    return ENVIRONMENTS["jazzy"]._replace(folder=machine / "venv", pythons=versions)


def shim(path: Path) -> None:
    """As pyenv has them for versions that aren't active."""
    path.write_text("#!/bin/sh\nexit 127\n")
    path.chmod(0o755)


def test_a_shim_that_leads_nowhere_is_no_python(machine):
    shim(machine / "bin" / "python3.99")
    assert interpreter(wanted(machine, "3.99", "3.98")) is None


@pytest.mark.parametrize("place", ["bin/python{}", "pyenv/versions/{}.7/bin/python"])
def test_the_first_version_that_is_here_is_taken(machine, place):
    shim(machine / "bin" / "python3.99")
    python = machine / place.format(VERSION)
    python.parent.mkdir(parents=True, exist_ok=True)
    python.symlink_to(PYTHON)
    found = interpreter(wanted(machine, "3.99", VERSION))
    assert found and os.path.samefile(found, PYTHON)


def test_an_environment_that_is_there_keeps_its_python(machine):
    (machine / "venv" / "bin").mkdir(parents=True)
    (machine / "venv" / "bin" / "python").symlink_to(PYTHON)
    assert os.path.samefile(interpreter(wanted(machine, "3.99")), PYTHON)


@pytest.mark.parametrize("name", ["jazzy", "humble-libraries"])
def test_it_is_skipped_with_the_reason_where_another_ros_is_sourced(name):
    command = [sys.executable, ROOT / "tools" / "setup_venv.py", name, "-c", "print('run')"]
    said = subprocess.check_output(command, env={**os.environ, "ROS_DISTRO": "rolling"}, text=True)
    assert said.startswith(f"setup: {name} skipped: ROS rolling is sourced") and "run" not in said.split()
