"""Binning and region of interest of a CameraInfo, as sensor_msgs defines them."""

import numpy as np
import pytest

from rehdr_ros.errors import InputError
from rehdr_ros.events import Registration
from rehdr_ros.recordings.bag_types import CAMERA_INFO, typestore
from rehdr_ros.wire.camera import camera_from_bytes

STORE = typestore()
TYPES = STORE.types
K = (200.0, 0.0, 127.0, 0.0, 210.0, 95.0, 0.0, 0.0, 1.0)


def message(binning=(0, 0), roi=(0, 0, 0, 0), do_rectify=False, **changed):
    x, y, width, height = roi
    fields = {
        "header": TYPES["std_msgs/msg/Header"](TYPES["builtin_interfaces/msg/Time"](1, 2), "lens"),
        "width": 256,
        "height": 192,
        "k": np.array(K),
        "d": np.array([0.1, 0.0, 0.0, 0.0, 0.0]),
        "r": np.zeros(9),
        "p": np.zeros(12),
        "distortion_model": "plumb_bob",
        "binning_x": binning[0],
        "binning_y": binning[1],
        "roi": TYPES["sensor_msgs/msg/RegionOfInterest"](x, y, height, width, do_rectify),
    }
    return TYPES[CAMERA_INFO](**fields | changed)


def camera_from(message, little_endian=True):
    return camera_from_bytes(STORE.serialize_cdr(message, CAMERA_INFO, little_endian=little_endian))


@pytest.mark.parametrize(
    "options, size, expected",
    [
        ({}, (256, 192), (200, 127, 210, 95)),
        ({"binning": (1, 1)}, (256, 192), (200, 127, 210, 95)),
        ({"binning": (2, 2)}, (128, 96), (100, 63.5, 105, 47.5)),
        ({"binning": (2, 0)}, (128, 192), (100, 63.5, 210, 95)),
        ({"binning": (1, 4)}, (256, 48), (200, 127, 52.5, 23.75)),
        ({"roi": (100, 50, 120, 80)}, (120, 80), (200, 27, 210, 45)),
        ({"roi": (0, 0, 256, 192)}, (256, 192), (200, 127, 210, 95)),
        ({"roi": (0, 0, 128, 96)}, (128, 96), (200, 127, 210, 95)),
        ({"roi": (100, 50, 120, 80), "binning": (2, 4)}, (60, 20), (100, 13.5, 52.5, 11.25)),
        ({"roi": (100, 50, 120, 80), "do_rectify": True}, (120, 80), (200, 27, 210, 45)),
    ],
)
def test_size_and_matrix_are_those_of_the_pixels_that_come(options, size, expected):
    camera = camera_from(message(**options))
    assert (camera.width, camera.height) == size
    f_x, c_x, f_y, c_y = expected
    assert camera.matrix == (f_x, 0, c_x, 0, f_y, c_y, 0, 0, 1)
    assert camera.distortion == (0.1, 0, 0, 0, 0)  # of directions, whatever the pixels


def test_a_binned_camera_sees_what_the_whole_one_sees():
    events, frames = camera_from(message()), camera_from(message((2, 2), (64, 48, 128, 96)))
    table = Registration.between_cameras(events, frames).table[1:].reshape(192, 256)
    rows, columns = np.nonzero(table >= 0)
    y, x = np.divmod(table[rows, columns], 64)
    assert (len(set(y)), len(set(x))) == (48, 64)
    assert np.abs((columns - 64) / 2 - x).max() <= 0.5 and np.abs((rows - 48) / 2 - y).max() <= 0.5


def test_frames_of_the_whole_sensor_are_seen_by_its_whole_camera():
    camera = camera_from(message((2, 2), (64, 48, 128, 96)))
    assert camera.of_size((64, 48)) is camera
    assert camera.of_size((256, 192)) == camera_from(message())
    assert camera.of_size((128, 96)) is None is camera_from(message()).of_size((1, 1))


@pytest.mark.parametrize(
    "model, distortion", [("equidistant", [0.1] * 4), ("", []), ("plumb_bob", [0.0] * 5)]
)
@pytest.mark.parametrize("little_endian", [True, False])
def test_every_field_is_read_from_the_bytes(model, distortion, little_endian):
    info = message(distortion_model=model, d=np.array(distortion), r=np.arange(9.0))
    camera = camera_from(info, little_endian)
    assert (camera.width, camera.height, camera.matrix) == (256, 192, K)
    assert (camera.model, camera.distortion, camera.rectification) == (model, (*distortion,), (*range(9),))


def test_every_cut_is_noticed():
    raw = bytes(STORE.serialize_cdr(message(), CAMERA_INFO))
    for length in range(len(raw) - 4):  # its last field and its padding tell nothing
        with pytest.raises(InputError, match="CameraInfo"):
            camera_from_bytes(raw[:length])


@pytest.mark.parametrize(
    "roi", [(200, 0, 100, 192), (0, 100, 256, 100), (300, 0, 0, 0), (0, 0, 2**32 - 1, 1)]
)
def test_a_roi_beyond_the_sensor_is_refused(roi):
    with pytest.raises(InputError, match="ROI of .* of 256x192|without size"):
        camera_from(message(roi=roi))


@pytest.mark.parametrize("changed", [{"binning_x": 1000}, {"roi": None}, {"k": np.zeros(9)}])
def test_what_leaves_no_pixel_or_is_no_calibration_is_refused(changed):
    empty = message(roi=(5, 5, 0, 0)) if "roi" in changed else message(**changed)
    with pytest.raises(InputError, match="not calibrated"):
        camera_from(empty)
