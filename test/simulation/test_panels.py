import numpy as np
import pytest

from rehdr_ros.simulation.motion import rotation
from rehdr_ros.simulation.panels import Panel, PanelRenderer, Pose

AHEAD = Pose(np.eye(3), np.zeros(3))


def wall(depth, size=8.0, texels=64, value=None):
    """Parallel to the image, in its middle; its radiance is where it is unless it is one value."""
    half = size / 2
    radiance = np.zeros((texels, texels, 3), np.float32)
    corner, across, down = np.array([-half, -half, depth]), np.array([size, 0, 0]), np.array([0, size, 0])
    panel = Panel(corner, across, down, radiance)
    radiance[:] = panel.places() if value is None else value
    return panel


@pytest.mark.parametrize(
    "pose",
    [
        AHEAD,
        Pose(rotation(0.2, -0.1, 0.3), np.array([0.5, -0.3, 1.0])),
        Pose(rotation(-0.4, 0.0, 0.0), np.array([0.0, 0.2, 2.0])),
    ],
)
def test_a_pixel_shows_what_its_ray_meets(pose):
    height, width, focal = 40, 60, 50.0
    view = PanelRenderer([wall(4.0)], height, width, focal).render(pose)
    y, x = np.mgrid[:height, :width]
    rays = np.stack(((x - (width - 1) / 2) / focal, (y - (height - 1) / 2) / focal, np.ones_like(x)), -1)
    rays = rays @ pose.rotation.T
    expected = pose.position + rays * ((4.0 - pose.position[2]) / rays[..., 2:])
    inside = (abs(expected[..., :2]) < 3.8).all(-1)
    assert inside.mean() > 0.3
    np.testing.assert_allclose(view[inside], expected[inside], atol=0.01)


def test_the_nearest_hides_what_is_behind_it():
    for panels in (
        [wall(2.0, 1.0, value=7), wall(4.0, value=1)],
        [wall(4.0, value=1), wall(2.0, 1.0, value=7)],
    ):
        view = PanelRenderer(panels, 40, 60, 50.0).render(AHEAD)[..., 0]
        # 1 m at 2 m is 25 px.
        assert (view[9:31, 19:41] == 7).all() and (view[:5] == 1).all() and (view[:, :15] == 1).all()


def test_nothing_is_seen_behind_the_camera_or_beside_the_panel():
    assert not PanelRenderer([wall(-2.0, value=1)], 20, 30, 25.0).render(AHEAD).any()
    view = PanelRenderer([wall(4.0, 1.0, value=1)], 20, 30, 25.0).render(AHEAD)
    assert view[10, 15, 0] == 1 and not view[:5].any()


def test_a_panel_that_the_camera_passes_is_seen_on_one_side():
    """The ground: everything below the horizon, nothing above."""
    ground = Panel(
        np.array([-50.0, 1, -50]), np.array([100.0, 0, 0]), np.array([0, 0, 100.0]), np.ones((8, 8, 3))
    )
    view = PanelRenderer([ground], 40, 60, 50.0).render(AHEAD)[..., 0]
    assert (view[21:] == 1).all() and not view[:19].any()


def test_an_edge_moves_by_parts_of_a_pixel():
    """1/10 px a step: the sum of the image grows with the panel, a column has no jumps."""
    renderer = PanelRenderer([wall(4.0, 2.0, value=1)], 30, 60, 50.0)
    shifts = np.arange(11) * 0.1 * 4.0 / 50.0
    views = [renderer.render(Pose(np.eye(3), np.array([shift, 0, 0])))[15, :, 0] for shift in shifts]
    left = [view[:30].sum() for view in views]
    np.testing.assert_allclose(np.diff(left), 0.1, atol=0.002)


def test_fine_texture_far_away_is_its_mean():
    """Without the averaging a pixel would show one stripe or the other."""
    radiance = np.zeros((512, 512, 3), np.float32)
    radiance[:, ::2] = 1
    panel = Panel(np.array([-4.0, -4, 20]), np.array([8.0, 0, 0]), np.array([0, 8.0, 0]), radiance)
    view = PanelRenderer([panel], 40, 60, 50.0).render(AHEAD)[14:26, 24:36, 0]
    np.testing.assert_allclose(view, 0.5, atol=0.01)
