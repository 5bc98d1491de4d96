import re
import shutil

import cv2
import numpy as np
import pytest

from rehdr_ros.recordings import BagRecording, RealHdrRecording, Recording, RecordingError, open_recording
from rehdr_ros.training.export import export_folder, grid_of, paired


@pytest.fixture(scope="module")
def exported(simulated_bag, tmp_path_factory):
    """A bag in RealHDR's layout, as `rehdr export` writes it, without the truth."""
    root = tmp_path_factory.mktemp("realhdr")
    export_folder(simulated_bag, root, "walk", 5)
    shutil.rmtree(root / "HDR")
    return root


@pytest.fixture
def root(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "root")


def test_frames_and_grids_are_those_of_the_bag(exported, simulated_bag):
    recording = open_recording(exported, fps=10)
    assert isinstance(recording, RealHdrRecording) and isinstance(recording, Recording)
    assert (recording.encoding, recording.event_size, list(recording.events())) == ("voxel_grid", None, [])
    expected = list(paired(BagRecording(simulated_bag)))
    frames = list(recording.messages(event_time_offset=1.0))
    assert [frame.stamp_ns for frame in frames] == [k * 10**8 for k in range(len(expected))]
    for read, job in zip(frames, expected, strict=True):
        np.testing.assert_array_equal(read.image, job.frame.image)
        assert (read.grid.shape, read.grid.dtype) == ((5, 48, 64), np.float32)
        np.testing.assert_array_equal(read.grid, grid_of(job, 5))
    assert any(np.abs(frame.grid).sum() > 100 for frame in frames)
    assert recording.notes == []


def test_the_ways_to_name_a_sequence(root):
    for path in (root, root / "LDR", root / "LDR" / "walk"):
        recording = open_recording(path)
        assert next(recording.frames()).image.shape == (48, 64, 3)
        assert "25 a second" in recording.notes[0]
    for kind in ("LDR", "event"):
        shutil.copytree(root / kind / "walk", root / kind / "run")
    with pytest.raises(RecordingError, match="2 sequences: run, walk; name one, as .*/LDR/run"):
        open_recording(root)
    assert len(list(open_recording(root / "LDR" / "run").frames())) == 10
    with pytest.raises(RecordingError, match="LDR/gone is not a folder"):
        open_recording(root / "LDR" / "gone")


def test_a_frame_that_cannot_be_used_is_left_out_counted_and_named(root):
    event, ldr = root / "event" / "walk", root / "LDR" / "walk"

    def complaint(match):
        recording = open_recording(root)
        assert len(list(recording.frames())) == 9
        assert recording.counters == {"refused_frames": 1}
        (note,) = (note for note in recording.notes if "refused" in note)
        assert re.search(match, note) and "\n" not in note

    grid = np.load(event / "000003.npy")
    np.save(event / "000003.npy", grid[:4])
    complaint(r"000003.npy holds \(4, 48, 64\), the first grid \(5, 48, 64\)")
    np.save(event / "000003.npy", np.where(grid == grid[0, 0, 0], np.nan, grid))
    complaint("000003.npy has values that are not finite")
    (event / "000003.npy").write_bytes(b"\x93NUMPY")
    complaint("000003.npy is not a readable .npy file")
    np.save(event / "000003.npy", grid)
    cv2.imwrite(str(ldr / "000002.png"), np.zeros((24, 64, 3), np.uint8))
    complaint("000002.png has 64x24 pixels, its grid 64x48")
    (ldr / "000002.png").write_bytes(b"")
    complaint("000002.png")


def test_what_is_wrong_is_said_in_one_line(root):
    (root / "event" / "walk" / "000003.npy").unlink()
    with pytest.raises(RecordingError, match="different numbers of frames: 10 in .*LDR/walk, 9 in") as error:
        open_recording(root)
    assert "\n" not in str(error.value)
    (root / "LDR" / "walk" / "000003.png").unlink()
    for path in (root / "event" / "walk").iterdir():
        path.write_bytes(b"\x93NUMPY")
    with pytest.raises(RecordingError, match="000000.npy is not a readable .npy file"):
        list(open_recording(root).frames())
    with pytest.raises(RecordingError, match="no calibration"):
        open_recording(root).messages(cameras=True)


def test_options_of_other_recordings(root):
    with pytest.raises(RecordingError, match="timestamps unit: this goes with a Prophesee RAW file"):
        open_recording(root, timestamps_unit="s")
