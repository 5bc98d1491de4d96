"""What `rehdr_ros.recordings` imports on use."""

import subprocess
import sys

import pytest

# OpenCV's names for Bayer mosaics that came after 4.5.4, which is Ubuntu 22.04's.
WITHOUT_NEW_NAMES = (
    "import cv2, re; [delattr(cv2, n) for n in dir(cv2) if re.match('COLOR_Bayer[RGB]{4}2', n)];"
)
WITHOUT_AN_OLD_NAME = "import cv2; del cv2.COLOR_BGR2RGB;"


@pytest.mark.parametrize(
    ("before", "said"),
    [(WITHOUT_NEW_NAMES, None), (WITHOUT_AN_OLD_NAME, "'COLOR_BGR2RGB'")],
    ids=["old", "broken"],
)
@pytest.mark.parametrize("name", ["RawRecording", "BagRecording"])
def test_opencv_of_4_5_4_is_enough_and_what_is_missing_is_named(before, said, name):
    program = f"{before} from rehdr_ros.recordings import {name}"
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    if said is None:
        assert outcome.returncode == 0, outcome.stderr
    else:
        last = outcome.stderr.splitlines()[-1]
        assert last.startswith("ImportError: rehdr_ros.recordings.") and said in last
