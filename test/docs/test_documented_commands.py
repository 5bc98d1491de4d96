"""The commands and the Python of README.md and docs/, run in their order, a document in a folder of its own.

In small (placeholders.py): frames of 64x48, trainings of two steps. What is not run, and why: checks.py.
"""

import re
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from documents import DOCUMENTS, ROOT, Block, Command, blocks, commands
from placeholders import SMALL, placeholder, smaller

from rehdr_ros.cli import main
from rehdr_ros.network import Rehdr, RehdrConfig
from rehdr_ros.recordings import BagRecording
from rehdr_ros.training import benchmark

pytestmark = pytest.mark.docs

WITH_ROS = ("replay", "demo")
SMALL_TRAINING = {"steps": 2, "batch": 1, "frames": 4, "size": 32, "save_every": 1}
PATIENCE = 120.0  # s


@pytest.fixture(scope="session")
def given(tmp_path_factory, simulated_bag, tiny_weights) -> dict[str, Path]:
    """What placeholders stand for that no command of the document has made."""
    folder = tmp_path_factory.mktemp("given")
    panorama = np.random.default_rng(0).lognormal(0, 1, (64, 128, 3)).astype(np.float32)
    (folder / "radiance").mkdir()
    cv2.imwrite(str(folder / "radiance" / "scene.hdr"), cv2.GaussianBlur(panorama, (0, 0), 3))
    published = Rehdr(RehdrConfig(base_channels=4, fusion="published", radiance="relative"))
    theirs = {name.removeprefix("body."): value for name, value in published.state_dict().items()}
    torch.save({"params": theirs}, folder / "published.pth")
    arguments = ["reconstruct", simulated_bag, "-o", folder / "out", "--weights", tiny_weights]
    assert main([str(each) for each in arguments]) == 0
    return {
        "RECORDING": simulated_bag,
        "BAG": simulated_bag,
        "OUT": folder / "out",
        "FOLDER": folder / "radiance",
        "WEIGHTS": tiny_weights,
        "published.safetensors": tiny_weights,
        "PUBLISHED.pth": folder / "published.pth",
    }


class Reader:
    """Somebody who does what a document says, in a folder of their own."""

    def __init__(self, folder: Path, given: dict[str, Path], environment: dict[str, str]):
        self._folder, self._paths, self._environment = folder, dict(given), environment
        self._node: subprocess.Popen | None = None
        self._listener: subprocess.Popen | None = None
        self._log = folder / "node.log"
        self._namespace = _of_a_recording(given["BAG"])
        _copy_configurations(folder / "config")

    def do(self, step: Command | Block) -> None:
        """Run a command or a piece of Python; nothing where it is not for running."""
        if isinstance(step, Block):
            self._python(step.text)
            return
        words = smaller(step.words)
        run: dict[str, Callable[[list[str]], None]] = {
            "rehdr": self._rehdr,
            "rehdr_node": self._start_node,
            "ffprobe": self._run_if_installed,
            "python": self._python_program,
            "python3": self._python_program,
        }
        program = Path(words[0]).name
        if program == "ros2" and words[1:3] == ["run", "rehdr_ros"]:
            program, words = words[3], words[3:]
        if program in run:
            run[program](words)

    def leave(self) -> None:
        """End the node with Ctrl-C, as a user does, once it has published a frame."""
        if self._node is not None:
            assert self._listener.wait(timeout=PATIENCE) == 0
            self._node.send_signal(signal.SIGINT)
            assert self._node.wait(timeout=PATIENCE) == 0, self._log.read_text()

    def give_up(self) -> None:
        """Leave no process behind."""
        for process in filter(None, (self._node, self._listener)):
            process.kill()
            process.wait()

    def _rehdr(self, words: list[str]) -> None:
        verb, *rest = words[1:]
        small = SMALL.get(" ".join(words[1:3])) or SMALL.get(verb, "")
        arguments = [verb, *small.split(), *self._substituted(rest)]
        if verb == "replay":
            arguments += ["--wait", str(PATIENCE) if self._node else "0.1"]
        if verb in WITH_ROS:  # only one in a process may use rclpy
            pytest.importorskip("rclpy", reason="no ROS 2 here: run make setup, or source one")
            self._run([sys.executable, "-m", "rehdr_ros.cli", *arguments])
        else:
            try:
                code = main(arguments)
            except SystemExit as end:
                code = end.code
            assert code == 0, arguments

    def _substituted(self, words: list[str]) -> list[str]:
        """With paths for placeholders; those behind -o and --pictures are new."""
        pairs = zip(["", *words], words, strict=False)
        return [self._path(word, new=before in ("-o", "--pictures")) for before, word in pairs]

    def _path(self, word: str, new: bool) -> str:
        name = placeholder(word)
        if name is None:
            return word
        if new:
            self._paths[name] = self._folder / f"{len(self._paths)}-{name}"
        assert name in self._paths, f"{name}: nothing has made it"
        return f"{self._paths[name]}{word.removeprefix(name)}"

    def _run(self, words: list[str]) -> None:
        subprocess.run(self._substituted(words), check=True, env=self._environment, timeout=PATIENCE)

    def _run_if_installed(self, words: list[str]) -> None:
        if shutil.which(words[0]):
            self._run(words)
        else:
            warnings.warn(f"not run, {words[0]} is not installed: {' '.join(words)}", stacklevel=1)

    def _python_program(self, words: list[str]) -> None:
        if words[1] == "-c":
            self._run([sys.executable, *words[1:]])
        elif words[1] == "-m":
            if words[2].startswith("rehdr_ros"):  # pip and venv change the machine
                small = SMALL.get(words[2], "").split()
                self._run([sys.executable, *words[1:3], *small, *words[3:]])
        else:
            small = SMALL.get(Path(words[1]).name, "").split()
            self._run([sys.executable, str(ROOT / words[1]), *small, *words[2:]])

    def _start_node(self, words: list[str]) -> None:
        pytest.importorskip("rclpy", reason="no ROS 2 here: run make setup, or source one")
        command = [sys.executable, str(ROOT / "scripts" / "rehdr_node"), *words[1:]]
        with open(self._log, "w") as log:
            output = {"stdout": log, "stderr": subprocess.STDOUT}
            self._node = subprocess.Popen(command, env=self._environment, **output)
        deadline = time.monotonic() + PATIENCE
        while "waiting for events" not in self._log.read_text():
            assert self._node.poll() is None and time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.1)
        script = Path(__file__).with_name("first_frame.py")
        self._listener = subprocess.Popen(
            [sys.executable, script], env=self._environment, stdout=subprocess.PIPE, text=True
        )
        assert self._listener.stdout.readline() == "listening\n"

    def _python(self, text: str) -> None:
        if "launch_ros" in text and not find_spec("launch_ros"):
            return  # it comes with a ROS distribution, not from PyPI
        text = re.sub(r"\b346\b", "64", re.sub(r"\b260\b", "48", text))
        program = re.sub(r'"([A-Z]+)"', lambda quoted: repr(self._path(quoted[1], new=False)), text)
        exec(program, self._namespace)


@pytest.fixture
def reader(tmp_path, monkeypatch, given, ros_environment):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(benchmark, "PROCEDURAL", 1)  # scene
    monkeypatch.setattr(benchmark, "CLIPPED", benchmark.CLIPPED[:1])
    reader = Reader(tmp_path, given, ros_environment)
    yield reader
    reader.give_up()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_says_works(path, reader):
    python = [block for block in blocks(path) if block.language == "python"]
    for step in sorted([*commands(path), *python], key=lambda step: step.line):
        try:
            reader.do(step)
        except Exception as error:
            pytest.fail(f"{path.relative_to(ROOT)}:{step.line}: {step.text}\n{error!r}")
    reader.leave()


def _of_a_recording(bag: Path) -> dict:
    """What the Python of the documents takes for given."""
    recording = BagRecording(bag)
    frame = next(iter(recording.frames()))
    return {"packet": next(iter(recording.packets())), "stamp_ns": frame.stamp_ns, "image": frame.image}


def _copy_configurations(folder: Path) -> None:
    """config/ of the repository, its trainings cut short."""
    shutil.copytree(ROOT / "config", folder)
    for path in folder.glob("*.yaml"):
        values = yaml.safe_load(path.read_text())
        if "steps" in values:
            path.write_text(yaml.safe_dump({**values, **SMALL_TRAINING}))
