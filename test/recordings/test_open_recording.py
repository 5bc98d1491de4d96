import subprocess
import sys

import numpy as np
import pytest

from rehdr_ros import recordings
from rehdr_ros.recordings import BagRecording, BagWriter, Recording, RecordingError, open_recording


def test_a_bag_is_opened_with_its_topics(tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        for topic in ("/left/image_raw", "/right/image_raw"):
            bag.write_image(topic, 0, "", np.zeros((4, 4), np.uint8), "mono8")
    recording = open_recording(tmp_path / "bag", image_topic="/right/image_raw")
    assert isinstance(recording, BagRecording) and isinstance(recording, Recording)
    assert recording.image_topic == "/right/image_raw"


@pytest.mark.parametrize("name", ["walk.raw", "walk.aedat4", "walk.bag", "walk"])
def test_a_bag_is_told_by_its_first_bytes(tmp_path, name):
    with BagWriter(tmp_path / "bag") as bag:
        bag.write_image("/image", 0, "", np.zeros((4, 4), np.uint8), "mono8")
    (file,) = (tmp_path / "bag").glob("*.mcap")
    assert isinstance(open_recording(file.rename(tmp_path / name)), BagRecording)


def test_nothing_there(tmp_path):
    with pytest.raises(RecordingError, match="does not exist"):
        open_recording(tmp_path / "gone")


def test_options_that_go_with_other_recordings(tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        bag.write_image("/image", 0, "", np.zeros((4, 4), np.uint8), "mono8")
    with pytest.raises(RecordingError, match="bag: frames: this goes with a Prophesee RAW file"):
        open_recording(tmp_path / "bag", frames=tmp_path)


@pytest.mark.parametrize("kind", ["raw", "aedat4", "realhdr"])
def test_topics_go_with_bags_alone(tmp_path, kind):
    path = tmp_path / f"walk.{kind}"
    if kind == "realhdr":
        for folder in ("LDR", "event"):
            (path / folder).mkdir(parents=True)
    else:
        path.write_bytes({"raw": b"% format EVT3\n", "aedat4": b"#!AER-DAT4.0\r\n"}[kind])
    for topic in ("events_topic", "image_topic"):
        with pytest.raises(RecordingError, match=f"{topic.replace('_', ' ')}: this goes with a bag"):
            open_recording(path, **{topic: "/left"})


@pytest.mark.parametrize("content", [b"\x89HDF\r\n\x1a\n", b"#!AER-DAT3.1\r\n", None], ids=str)
def test_what_is_of_another_kind_is_told_which_there_are(tmp_path, content):
    path = tmp_path / "walk"
    if content is None:  # a folder of images
        path.mkdir()
        (path / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    else:
        path.write_bytes(content)
    with pytest.raises(
        RecordingError, match=r"walk is none of what is read: bag .*\.aedat4, .* images, by --frames"
    ):
        open_recording(path)


def test_every_public_name_is_there():
    assert all(getattr(recordings, name) for name in recordings.__all__)
    with pytest.raises(AttributeError, match="Cassette"):
        _ = recordings.Cassette


def test_converting_images_needs_no_file_library():
    code = (
        "import sys; from rehdr_ros.recordings import Frame; from rehdr_ros.wire import image;"
        "print({'av', 'OpenEXR', 'rosbags', 'lz4', 'rclpy', 'torch'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


@pytest.mark.parametrize("name", ["empty.raw", "empty.aedat4"])
def test_an_empty_file_is_of_the_kind_of_its_name(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(RecordingError) as raised:
        open_recording(tmp_path / name)
    assert "bag" not in str(raised.value) and "goes with" not in str(raised.value)
