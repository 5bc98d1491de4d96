import cv2
import numpy as np
import pytest

from rehdr_ros.errors import InputError
from rehdr_ros.events import Camera, Events, Registration, voxel_grid

MATRIX = (400.0, 0.0, 320.0, 0.0, 410.0, 235.0, 0.0, 0.0, 1.0)
DISTORTIONS = {
    "plumb_bob": (-0.3, 0.1, 0.001, -0.002, 0.0),
    "rational_polynomial": (0.2, 0.05, 0.001, 0.0, 0.01, 0.25, 0.06, 0.02),
    "equidistant": (0.05, -0.01, 0.002, 0.0),
    "": (),
}


def target(registration, x, y):
    """Frame pixel of an event pixel, or None."""
    number = registration.table[1 + y * registration.event_size[0] + x]
    return None if number < 0 else (number % registration.frame_size[0], number // registration.frame_size[0])


def grid_of(registration, x, y, p=1):
    """A grid of one bin from one event a pixel."""
    x, y = np.atleast_1d(x), np.atleast_1d(y)
    events = Events(np.ones(len(x)), x, y, np.full(len(x), p))
    return voxel_grid(events, 0, 1, 1, *registration.frame_size[::-1], registration=registration)[0]


def everywhere(size):
    y, x = np.mgrid[: size[1], : size[0]]
    return x.ravel(), y.ravel()


def turned(about_y, about_z=0.0):
    return tuple(
        cv2.Rodrigues(np.array([0.0, about_y, 0.0]))[0].ravel()
        if not about_z
        else (
            cv2.Rodrigues(np.array([0.0, 0.0, about_z]))[0] @ cv2.Rodrigues(np.array([0.0, about_y, 0.0]))[0]
        ).ravel()
    )


# Every kind says where pixels lie


def test_identity_changes_nothing():
    rng = np.random.default_rng(0)
    events = Events(rng.integers(1, 100, 5000), *(rng.integers(0, n, 5000) for n in (46, 33, 2)))
    plain = voxel_grid(events, 0, 99, 5, 33, 46)
    np.testing.assert_array_equal(
        voxel_grid(events, 0, 99, 5, 33, 46, registration=Registration.identity((46, 33))), plain
    )


@pytest.mark.parametrize(
    ("event_size", "frame_size", "roi", "pairs"),
    [
        ((40, 30), (20, 15), (), {(0, 0): (0, 0), (1, 1): (0, 0), (2, 3): (1, 1), (39, 29): (19, 14)}),
        ((20, 15), (40, 30), (), {(0, 0): (0, 0), (5, 5): (10, 10), (19, 14): (38, 28)}),
        ((40, 30), (20, 10), (10, 5, 20, 10), {(10, 5): (0, 0), (29, 14): (19, 9)}),
        ((40, 30), (20, 10), (10, 5, 20, 10), {(9, 5): None, (10, 15): None}),
        ((40, 30), (10, 10), (10, 5, 20, 20), {(10, 5): (0, 0), (13, 9): (1, 2), (30, 5): None}),
    ],
)
def test_scale_and_crop(event_size, frame_size, roi, pairs):
    registration = Registration.scaled(event_size, frame_size, roi)
    assert {pixel: target(registration, *pixel) for pixel in pairs} == pairs


def test_a_homography_maps_as_it_says():
    matrix = np.array([[0.9, -0.2, 30], [0.15, 1.1, -20], [1e-4, -2e-4, 1]])
    registration = Registration.from_homography((320, 240), (300, 260), list(matrix.ravel()))
    for x, y in ((100, 100), (0, 239), (319, 0), (160, 120)):
        u, v, w = matrix @ (x, y, 1)
        expected = round(u / w), round(v / w)
        inside = 0 <= expected[0] < 300 and 0 <= expected[1] < 260
        assert target(registration, x, y) == (expected if inside else None)


@pytest.mark.parametrize("scale", [1e-6, -1.0, 1e6])
def test_the_scale_of_a_homography_means_nothing(scale):
    matrix = np.array([[0.9, -0.2, 300], [0.15, 1.1, 200], [1e-4, -2e-4, 1]])
    sizes = (320, 240), (800, 600)
    expected = Registration.from_homography(*sizes, matrix).table
    actual = Registration.from_homography(*sizes, scale * matrix).table
    assert (actual != expected).sum() < 20  # where a pixel lies between two, but for rounding


def test_what_lies_beyond_the_horizon_is_left_out():
    registration = Registration.from_homography((300, 100), (300, 100), [1, 0, 0, 0, 1, 0, -1 / 200, 0, 1])
    assert target(registration, 10, 10) is not None
    assert all(target(registration, x, y) is None for x in range(201, 300) for y in range(0, 100, 7))


@pytest.mark.parametrize("event_model", DISTORTIONS)
@pytest.mark.parametrize("frame_model", ["plumb_bob", "equidistant"])
def test_two_cameras_see_the_same_direction_at_registered_pixels(event_model, frame_model):
    rotation = np.array(turned(0.05, 0.1)).reshape(3, 3)
    events = Camera(640, 480, MATRIX, DISTORTIONS[event_model], event_model)
    matrix, distortion = (500, 0, 400, 0, 500, 300, 0, 0, 1), DISTORTIONS[frame_model]
    frames = Camera(800, 600, matrix, distortion, frame_model, tuple(rotation.ravel()))
    registration = Registration.between_cameras(events, frames)
    checked = 0
    for direction in np.random.default_rng(0).uniform((-0.5, -0.4, 1), (0.5, 0.4, 1), (200, 3)):
        seen, wanted = see(direction, events), see(rotation.T @ direction, frames)
        pixel = np.rint(seen).astype(int)
        outside = (pixel < 0).any() or pixel[0] >= 640 or pixel[1] >= 480
        if outside or target(registration, *pixel) is None:
            continue
        assert np.hypot(*(np.array(target(registration, *pixel)) - wanted)) < 2.2  # both round
        checked += 1
    assert checked > 100


def see(direction, camera):
    """Pixel of a direction in the camera's own frame, by OpenCV's models."""
    matrix, distortion = np.array(camera.matrix, float).reshape(3, 3), np.array(camera.distortion)
    point = (direction / direction[2])[None, None]
    if camera.model == "equidistant":
        return cv2.fisheye.distortPoints(point[..., :2], matrix, distortion)[0, 0]
    distortion = distortion if len(distortion) else None
    return cv2.projectPoints(point, np.zeros(3), np.zeros(3), matrix, distortion)[0][0, 0]


def test_what_a_distortion_folds_back_into_the_image_is_left_out():
    strong = Camera(640, 480, MATRIX, (-0.6, 0.0, 0.0, 0.0))
    wide = Camera(640, 480, (120, 0, 320, 0, 120, 240, 0, 0, 1))
    registration = Registration.between_cameras(wide, strong)
    assert target(registration, 320, 240) is not None
    assert target(registration, 0, 0) is None and target(registration, 639, 479) is None


def test_what_the_event_camera_does_not_see_is_not_filled_from_elsewhere():
    events = Camera(640, 480, MATRIX, (-0.3, 0.0, 0.0, 0.0, 0.0))
    frames = Camera(640, 480, (250, 0, 320, 0, 250, 240, 0, 0, 1))
    registration = Registration.between_cameras(events, frames)
    assert len(registration.holes) > 1000
    hole, donor = (np.stack((n % 640, n // 640)) for n in (registration.holes, registration.donors))
    assert np.abs(hole - donor).max() < 10  # the view is stretched towards its border


# What a grid becomes


@pytest.mark.parametrize("scale", [1.0, 2.0, 2.5, 0.5, 0.3])
@pytest.mark.parametrize("angle", [0.0, 0.3])
def test_one_event_in_every_pixel_is_one_event_everywhere(scale, angle):
    size = (64, 48)
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    frame_size = (int(64 * scale), int(48 * scale))
    middle = np.array(frame_size) / 2
    matrix = [[c, -s, middle[0] - c * 32 + s * 24], [s, c, middle[1] - s * 32 - c * 24], [0, 0, 1]]
    grid = grid_of(Registration.from_homography(size, frame_size, matrix), *everywhere(size))
    inner = grid[frame_size[1] // 4 : -frame_size[1] // 4, frame_size[0] // 4 : -frame_size[0] // 4]
    np.testing.assert_allclose(inner, 1, rtol=1e-6)
    assert set(np.unique(grid.round(5))) <= {0.0, 1.0}


def test_no_event_is_lost_where_the_frame_is_coarser():
    registration = Registration.scaled((40, 30), (20, 15))
    grid = grid_of(registration, [0, 1, 0], [0, 0, 1])
    assert grid[0, 0] == pytest.approx(3 / 4) and grid.sum() == pytest.approx(3 / 4)


def test_pixels_outside_the_event_camera_are_ignored():
    registration = Registration.identity((10, 8))
    assert grid_of(registration, [10, 0, 65535, 9], [0, 8, 65535, 7]).sum() == 1


def test_masked_pixels_are_left_out_and_the_others_keep_their_weight():
    masked = np.zeros((30, 40), bool)
    masked[0, 0] = masked[20, 20] = True
    registration = Registration.scaled((40, 30), (20, 15)).without(masked)
    grid = grid_of(registration, *everywhere((40, 30)))
    np.testing.assert_allclose(grid, 1, rtol=1e-6)
    assert grid_of(registration, 0, 0).sum() == 0
    grid = grid_of(Registration.identity((40, 30)).without(masked), *everywhere((40, 30)))
    assert grid.sum() == 40 * 30 - 2


def test_polarity_and_time_are_as_without():
    registration = Registration.scaled((40, 30), (20, 15), (0, 0, 20, 15))
    events = Events([25, 50, 100], [3, 3, 19], [2, 2, 14], [1, 0, 1])
    grid = voxel_grid(events, 0, 100, 5, 15, 20, registration=registration)
    np.testing.assert_array_equal(grid, voxel_grid(events, 0, 100, 5, 15, 20))


# What is refused


@pytest.mark.parametrize(
    "matrix", [[1, 0, 0], np.zeros(9), [1, 0, 0, 0, 1, 0, 0, 0, np.nan], [1, 2, 3, 2, 4, 6, 0, 0, 1]]
)
def test_what_is_no_homography(matrix):
    with pytest.raises(InputError, match="homography"):
        Registration.from_homography((4, 4), (4, 4), matrix)


def test_views_that_never_meet():
    with pytest.raises(InputError, match="no event pixel"):
        Registration.from_homography((40, 30), (40, 30), [1, 0, 1000, 0, 1, 0, 0, 0, 1])
    with pytest.raises(InputError, match="no event pixel"):
        behind = Camera(64, 48, MATRIX, rectification=turned(np.pi))
        Registration.between_cameras(Camera(64, 48, MATRIX), behind)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"matrix": (0.0,) * 9}, "not calibrated"),
        ({"width": 0}, "not calibrated"),
        ({"model": "mirror"}, "mirror"),
        ({"distortion": (0.1,) * 6}, "distortion"),
        ({"distortion": (0.1, 0.2)}, "distortion"),
        ({"distortion": (float("nan"), 0.0, 0.0, 0.0)}, "distortion"),
        ({"model": "equidistant", "distortion": (0.1,) * 5}, "distortion"),
    ],
)
def test_cameras_that_can_not_be(given, said):
    with pytest.raises(InputError, match=said):
        Camera(**{"width": 640, "height": 480, "matrix": MATRIX, **given})


def test_a_region_without_area():
    with pytest.raises(InputError, match="event_roi"):
        Registration.scaled((40, 30), (40, 30), (0, 0, 0, 10))


def test_a_grid_of_another_size_is_refused():
    with pytest.raises(ValueError, match="registration"):
        voxel_grid(Events.empty(), 0, 1, 5, 48, 64, registration=Registration.identity((64, 47)))
