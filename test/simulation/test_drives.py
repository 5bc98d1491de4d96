import numpy as np

from rehdr_ros.simulation import SimulationConfig
from rehdr_ros.simulation.drives import Drive
from rehdr_ros.simulation.simulator import simulate_scene

SIZE = 48, 64


def test_a_drive_is_a_function_of_its_seed():
    views = [Drive(seed, *SIZE, 2.0, 20.0).render(0.7) for seed in (3, 3, 4)]
    np.testing.assert_array_equal(views[0], views[1])
    assert not np.allclose(views[0], views[2])


def test_near_things_move_further_than_far_ones():
    """Parallax: what one plane's homography explains of two views leaves something over."""
    drive = Drive(1, *SIZE, 2.0, 40.0)
    poses = [drive.pose(t) for t in (0.0, 1.0, 2.0)]
    way = np.linalg.norm(poses[2].position - poses[0].position)
    assert way > 0.5
    points = np.array([[0, 0, 4.0], [0, 0, 11.0]])
    moved = []
    for pose in poses[::2]:
        x, _, z = ((points - pose.position) @ pose.rotation).T
        moved.append(drive.focal * x / z)
    near, far = abs(moved[1] - moved[0])
    assert abs(near - far) > 2
    for pose in poses:
        np.testing.assert_allclose(pose.rotation @ pose.rotation.T, np.eye(3), atol=1e-12)


def test_a_drive_leads_into_the_sun_and_an_even_one_does_not():
    def levels(even):
        drive = Drive(2, *SIZE, 2.0, 30.0, even)
        return [np.median(drive.render(t)) for t in (0.0, 2.0)]

    start, end = levels(even=False)
    assert end > 8 * start
    start, end = levels(even=True)
    assert 1 / 3 < end / start < 3


def test_events_tell_the_way_of_the_light_on_a_drive():
    """From the first frame on: log radiance + thresholds times events, where nothing else disturbs it."""
    config = SimulationConfig(width=64, height=48, seconds=0.5, fps=10, clipped=0.5, renders=200)
    samples = list(simulate_scene(Drive(0, *SIZE, 0.5, 40.0), config))
    change = np.log(samples[-1].truth.mean(-1) + 1e-3) - np.log(samples[0].truth.mean(-1) + 1e-3)
    counted = np.zeros(SIZE)
    for sample in samples[1:]:
        np.add.at(counted, (sample.events.y, sample.events.x), np.where(sample.events.p, 0.25, -0.25))
    assert np.corrcoef(change.ravel(), counted.ravel())[0, 1] > 0.95
