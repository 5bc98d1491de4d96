import sys

import numpy as np
import pytest

from rehdr_ros.errors import InputError
from rehdr_ros.simulation.drives import Drive
from rehdr_ros.simulation.motion import rotation
from rehdr_ros.simulation.panels import Pose
from rehdr_ros.training.structure_from_motion import camera_poses
from rehdr_ros.training.trajectory import trajectory_error

TRUE = [Pose(rotation(0.1 * k, 0, 0), np.array([k, 0.2 * k**2, np.sin(k)])) for k in range(8)]


def moved(pose, shift=0.0):
    """In a frame and scale of its own."""
    turn = rotation(0.4, -0.2, 0.7)
    return Pose(turn @ pose.rotation, 0.3 * turn @ (pose.position + shift) + (5, -2, 1))


@pytest.fixture
def evo():
    return pytest.importorskip("evo", reason="evo is not installed")


def test_frame_and_scale_are_no_error(evo):
    assert trajectory_error({k: moved(pose) for k, pose in enumerate(TRUE)}, TRUE) < 1e-9
    some = {k: moved(TRUE[k]) for k in (1, 4, 5, 7)}
    assert trajectory_error(some, TRUE) < 1e-9


def test_an_error_is_told_over_the_length_of_the_way(evo):
    rng = np.random.default_rng(0)
    shifts = 0.01 * rng.standard_normal((8, 3))
    found = {k: moved(pose, shift) for k, (pose, shift) in enumerate(zip(TRUE, shifts, strict=True))}
    length = np.linalg.norm(np.diff([pose.position for pose in TRUE], axis=0), axis=1).sum()
    error = trajectory_error(found, TRUE)
    assert 0.3 * 0.01 * np.sqrt(3) / length < error < 1.2 * 0.01 * np.sqrt(3) / length


def test_too_few_poses_or_all_in_one_place_have_no_error(evo):
    assert np.isnan(trajectory_error({}, TRUE)) and np.isnan(trajectory_error({0: TRUE[0], 1: TRUE[1]}, TRUE))
    assert np.isnan(trajectory_error(dict.fromkeys(range(5), TRUE[0]), TRUE))


def test_the_way_of_a_drive_is_found_from_its_images(evo):
    pytest.importorskip("pycolmap", reason="pycolmap is not installed")
    drive = Drive(2, 180, 240, 1.5, 70.0, even=True)
    seconds = np.arange(8) * 0.2
    images = [np.uint8(255 * np.clip(drive.render(t)[..., 1] / 0.6, 0, 1) ** (1 / 2.2)) for t in seconds]
    found = camera_poses(images, drive.focal)
    assert list(found) == list(range(8))
    true = [drive.pose(t) for t in seconds]
    assert trajectory_error(found, true) < 0.03
    turned = [found[0].rotation.T @ pose.rotation for pose in found.values()]
    expected = [true[0].rotation.T @ pose.rotation for pose in true]
    np.testing.assert_allclose(turned, expected, atol=0.03)
    backwards = {7 - k: pose for k, pose in found.items()}
    assert trajectory_error(backwards, true) > 0.03
    assert camera_poses([np.full((180, 240), 255, np.uint8)] * 8, drive.focal) == {}


@pytest.mark.parametrize("module", ["evo.core", "pycolmap"])
def test_what_is_not_installed_is_named(monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=f"{module.split('.')[0]}.*pip install"):
        if module == "pycolmap":
            camera_poses([np.zeros((8, 8), np.uint8)], 5.0)
        else:
            trajectory_error({}, TRUE)
