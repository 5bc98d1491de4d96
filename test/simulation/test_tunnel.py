import numpy as np
import pytest

from rehdr_ros.simulation.april_tags import HAS_TAGS, tag_finder
from rehdr_ros.simulation.tunnel import TunnelExit

if not HAS_TAGS:
    pytest.skip("this OpenCV knows no AprilTags; 4.7 does", allow_module_level=True)


def tags(radiance, white):
    shown = (255 * np.clip(radiance.mean(-1) / white, 0, 1) ** (1 / 2.2)).astype(np.uint8)
    return [number for number, _ in tag_finder()(shown)]


@pytest.mark.parametrize("seed", [0, 1])
def test_the_tag_is_read_in_the_exposure_of_the_sun_and_not_in_the_tunnels(seed):
    scene = TunnelExit(seed, 120, 160, 1.0)
    inside, outside = (scene.render(t) for t in (0.6, 1.0))
    assert tags(outside, np.quantile(outside, 0.9)) == [scene.tag]
    assert tags(inside, np.quantile(inside, 0.9)) == [scene.tag]
    assert tags(inside, 2 * np.quantile(inside, 0.25)) == []


def test_a_drive_begins_inside_and_ends_outside():
    scene = TunnelExit(3, 60, 80, 1.0)
    assert scene.pose(0.0).position[2] < -10 < 0 < scene.pose(1.0).position[2]
    start, end = (np.median(scene.render(t)) for t in (0.0, 1.0))
    assert end > 16 * start
    np.testing.assert_array_equal(TunnelExit(3, 60, 80, 1.0).render(0.3), scene.render(0.3))
