import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from configparser import ConfigParser
from pathlib import Path

import pytest

import rehdr_ros

ROOT = Path(__file__).resolve().parent.parent
# Only with this hash does the message reach the drivers and bags that exist.
EVENT_PACKET_HASH = "RIHS01_d6fa176260b1f37e5a40845305315e150a0f18191241eb64f407442aa29844aa"


def test_one_version_everywhere():
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    package = ElementTree.parse(ROOT / "package.xml").getroot()
    assert package.get("format") == "3"
    assert package.findtext("name") == setup["metadata"]["name"] == "rehdr_ros"
    assert package.findtext("version") == setup["metadata"]["version"] == rehdr_ros.__version__
    assert package.findtext("member_of_group") == "rosidl_interface_packages"


def test_pinned_is_what_is_asked_for():
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = setup["options.extras_require"]
    asked = " ".join([setup["options"]["install_requires"], *extras.values()])
    asked = re.sub(r">=[\d.]+", "", asked).split()
    assert set(asked) <= pinned("constraints.txt")


@pytest.mark.parametrize("name", ["jazzy", "humble-libraries"])
def test_the_environments_of_other_distributions_are_pinned(name):
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    asked = re.sub(r">=[\d.]+", "", setup["options"]["install_requires"]).split()
    asked = {*asked, "hypothesis", "pytest", "pytest-xdist", "safetensors"}
    assert asked <= pinned(f"constraints-{name}.txt")


def pinned(constraints: str) -> set[str]:
    return set(re.findall(r"^(.+?)==", (ROOT / constraints).read_text(), re.MULTILINE))


def test_messages_have_their_fields():
    messages = pytest.importorskip("rehdr_ros.msg", reason="the messages are not built: run make setup")
    assert messages.FrameInfo.get_fields_and_field_types() == {
        "header": "std_msgs/Header",
        "index": "uint64",
        "events": "uint64",
        "dropped_events": "uint64",
        "lost_packets": "uint64",
        "skipped_frames": "uint64",
        "clipped_fraction": "float",
        "latency": "float",
        "stages": "sequence<string>",
        "stage_durations": "sequence<float>",
        "reset_reason": "string",
        "radiance": "string",
        "late_events": "uint64",
        "refused_messages": "uint64",
        "tonemapped_clipped_fraction": "float",
        "state_age": "float",
        "event_latency": "float",
        "contrast_on": "float",
        "contrast_off": "float",
        "event_noise": "float",
        "explained": "float",
        "source": "string",
        "frame_age": "float",
    }
    assert messages.Exposure.get_fields_and_field_types() == {
        "header": "std_msgs/Header",
        "exposure_time": "float",
        "gain": "float",
    }


def test_event_packet_is_the_drivers_message():
    msg = pytest.importorskip("event_camera_msgs.msg", reason="the messages are not built: run make setup")
    for folder in Path(msg.__file__).parents:
        described = folder / "share" / "event_camera_msgs" / "msg" / "EventPacket.json"
        if described.exists():
            break
    else:
        pytest.skip("this ROS distribution has no type hashes")
    entries = json.loads(described.read_text())["type_hashes"]
    hashes = {entry["type_name"]: entry["hash_string"] for entry in entries}
    assert hashes["event_camera_msgs/msg/EventPacket"] == EVENT_PACKET_HASH


@pytest.mark.skipif(Path(sys.prefix) != ROOT / ".venv", reason="not run from the .venv that make setup made")
def test_second_setup_does_nothing():
    script = [sys.executable, ROOT / "tools" / "setup_venv.py"]
    assert subprocess.check_output(script, text=True) == "setup: .venv is up to date\n"
