"""Help, and wrong usage or input: exit code 2 and one line that says what is wrong."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from rehdr_ros import cli
from rehdr_ros.cli import VERBS
from rehdr_ros.cli.verbs.demo import make_folder
from rehdr_ros.recordings import BagRecording, BagWriter


@pytest.fixture(scope="module")
def bags(simulated_bag, tmp_path_factory) -> dict[str, Path]:
    """The simulated bag, and what is wrong with others."""
    folder = tmp_path_factory.mktemp("bags")
    source = BagRecording(simulated_bag)
    for name, topic in (("without_images", source.events_topic), ("without_events", source.image_topic)):
        with BagWriter(folder / name) as bag:
            for _, stamp_ns, raw in source.raw_messages({topic}):
                bag.write_raw(topic, source.topics[topic].type, raw, stamp_ns)
    (folder / "damaged.mcap").write_bytes(np.random.default_rng(0).bytes(1000))
    (folder / "no_bag").mkdir()
    return {"good": simulated_bag, "nowhere": folder / "nowhere", **{p.stem: p for p in folder.iterdir()}}


def said_in_one_line(outcome, *words: object) -> bool:
    assert outcome.code == 2
    (line,) = outcome.err.splitlines()
    return all(str(word) in line for word in words)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(rehdr, verb):
    outcome = rehdr(verb, "--help")
    assert outcome.code == 0
    assert outcome.out.startswith(f"usage: rehdr {verb}")
    assert outcome.err == ""


def test_ctrl_c_while_a_verb_is_imported_is_said_in_one_line(rehdr, monkeypatch):
    def interrupted(name):  # by no signal: a script's background, where tests may run, ignores it
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "import_module", interrupted)
    outcome = rehdr("train", "small.yaml", "-o", "run")
    assert (outcome.code, outcome.err) == (130, "rehdr train: interrupted\n")


def test_help_lists_every_verb(rehdr):
    outcome = rehdr("--help")
    assert outcome.code == 0
    assert set(VERBS) <= {line.split()[0] for line in outcome.out.splitlines() if line.startswith("    ")}


def test_command_is_installed_and_exits_with_its_code():
    command = Path(sys.executable).with_name("rehdr")
    if not command.exists():
        pytest.skip(f"the package is not installed in {sys.prefix}")
    result = subprocess.run([command, "replay", "/nowhere"], capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.splitlines() == ["rehdr replay: /nowhere does not exist"]


@pytest.mark.parametrize("verb", ["reconstruct", "replay"])
@pytest.mark.parametrize("bag", ["nowhere", "damaged", "no_bag"])
def test_wrong_bag(rehdr, bags, tmp_path, verb, bag):
    options = ["-o", tmp_path / "out"] if verb == "reconstruct" else []
    assert said_in_one_line(rehdr(verb, bags[bag], *options), bags[bag])


@pytest.mark.parametrize(
    ("bag", "missing"),
    [("without_images", "sensor_msgs/msg/Image"), ("without_events", "event_camera_msgs/msg/EventPacket")],
)
def test_bag_that_lacks_frames_or_events(rehdr, bags, tmp_path, tiny_weights, bag, missing):
    outcome = rehdr("reconstruct", bags[bag], "-o", tmp_path / "out", "--weights", tiny_weights)
    assert said_in_one_line(outcome, bags[bag], missing)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--weights", "/nowhere/net.safetensors"),
        ("--device", "cuda:7"),
        ("--device", "toaster"),
        ("--precision", "float7"),
        ("--tonemap", "sepia"),
        ("--response", "/nowhere/response.txt"),
        ("--frame-clock", "cuckoo"),
        ("--registration", "magic"),
        ("--registration", "camera_info"),
        ("--hot-pixel-threshold", "0.5"),
        ("--max-frame-gap", "long"),
        ("--image", "/nobody"),
        ("--events", "/camera/image_raw"),
    ],
)
def test_wrong_option_of_reconstruct(rehdr, bags, tmp_path, tiny_weights, option, value):
    options = {"--weights": tiny_weights, "--device": "cpu", option: value}
    words = (word for option in options.items() for word in option)
    outcome = rehdr("reconstruct", bags["good"], "-o", tmp_path / "out", *words)
    assert said_in_one_line(outcome, value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--size", "640"),
        ("--size", "0x0"),
        ("--size", "wide"),
        ("--seconds", "0"),
        ("--fps", "-1"),
        ("--scene", "/nowhere/photo.exr"),
        ("--encoding", "morse"),
        ("--clipped", "2"),
    ],
)
def test_wrong_option_of_simulate(rehdr, tmp_path, option, value):
    outcome = rehdr("simulate", "-o", tmp_path / "bag", option, value)
    assert said_in_one_line(outcome)
    assert not (tmp_path / "bag").exists()


def test_simulate_leaves_an_existing_bag_alone(rehdr, bags):
    before = {p: p.read_bytes() for p in bags["good"].iterdir()}
    assert said_in_one_line(rehdr("simulate", "-o", bags["good"], "--seconds", "0.1"), bags["good"])
    assert {p: p.read_bytes() for p in bags["good"].iterdir()} == before


@pytest.mark.skipif(find_spec("rclpy") is None, reason="no ROS 2 here")
def test_demo_leaves_a_folder_alone_that_is_no_demo(rehdr, tmp_path):
    (tmp_path / "mine").write_text("precious")
    assert said_in_one_line(rehdr("demo", "-o", tmp_path), tmp_path)
    assert (tmp_path / "mine").read_text() == "precious"


def test_replay_of_an_unknown_topic_says_which_there_are(rehdr, bags):
    outcome = rehdr("replay", bags["good"], "--topics", "/nobody")
    assert said_in_one_line(outcome, "/nobody", "/camera/image_raw")


def test_replay_backwards(rehdr, bags):
    assert said_in_one_line(rehdr("replay", bags["good"], "--rate", "-1"), "--rate")


def test_evaluate_of_what_is_no_reconstruction(rehdr, bags, tmp_path):
    assert said_in_one_line(rehdr("evaluate", "--predicted", tmp_path, "--truth", bags["good"]), tmp_path)


def test_training_without_a_configuration(rehdr, tmp_path):
    outcome = rehdr("train", "/nowhere/train.yaml", "-o", tmp_path / "run")
    assert said_in_one_line(outcome, "/nowhere/train.yaml")


@pytest.mark.parametrize("package", ["rosbags", "mcap", "av", "OpenEXR"])
def test_a_package_that_is_not_installed_is_named(bags, tmp_path, package):
    program = f"import sys; sys.modules[{package!r}] = None; from rehdr_ros.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "reconstruct", bags["good"], "-o", tmp_path / "out"]
    outcome = subprocess.run(command, capture_output=True, text=True)
    (line,) = outcome.stderr.splitlines()
    assert outcome.returncode == 2 and not (tmp_path / "out").exists()
    assert line.startswith("rehdr reconstruct: ") and f"`pip install {package}`" in line


@pytest.mark.parametrize("arguments", [[], ["develop"], ["reconstruct"], ["replay", "bag", "--backwards"]])
def test_wrong_usage(rehdr, arguments):
    assert said_in_one_line(rehdr(*arguments), "--help")


def test_demo_replaces_what_an_interrupted_demo_left(tmp_path):
    folder = tmp_path / "demo"
    make_folder(folder)
    (folder / "input").mkdir()
    make_folder(folder)
    assert not (folder / "input").exists()
