"""rehdr_node where what Ubuntu and rosdep don't have is not installed."""

import os

import pytest
from live import Camera

from rehdr_ros.msg import FrameInfo

NOT_IN_APT = (
    "av",
    "mcap",
    "onnx",
    "onnxruntime",
    "OpenEXR",
    "openvino",
    "rosbags",
    "safetensors",
    "tensorboard",
)


@pytest.fixture
def customise(monkeypatch, tmp_path):
    """A function that lets every Python that is started run a line first."""

    def customise(line: str) -> None:
        (tmp_path / "sitecustomize.py").write_text(f"import sys; {line}\n")
        monkeypatch.setenv(
            "PYTHONPATH", os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
        )

    return customise


def test_the_node_configures_activates_and_reconstructs_a_frame(start_node, client, customise):
    customise(f"sys.modules.update(dict.fromkeys({NOT_IN_APT}))")
    node = start_node(weights="rehdr_t", event_timeout=0.01).wait_for("waiting for events")
    infos = client.collect(FrameInfo, "/rehdr_node/frame_info")
    camera = Camera(client)
    camera.wait_for_listener()
    camera.frame()
    assert client.wait_until(lambda: infos), "no frame came back"
    assert infos[0].radiance == "ldr_white"
    assert node.end() == 0
    assert "Traceback" not in node.log and "No module" not in node.log
    client.forget()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("sys.modules['torch'] = None", "torch"),
        ("sys.modules['numba'] = None", "numba"),
        ("import torch; torch.__version__ = '1.8.1'", "PyTorch 1.8.1 is too old, 1.13 is needed"),
    ],
)
def test_what_is_missing_or_too_old_is_said_in_one_line(start_node, customise, line, said):
    customise(line)
    node = start_node()
    assert node.wait() == 2, node.log
    (line,) = node.log.splitlines()
    assert line.startswith("rehdr_node: ") and said in line and "pip install" in line
