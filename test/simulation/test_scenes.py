import numpy as np
import pytest

from rehdr_ros.recordings import write_exr
from rehdr_ros.simulation import SimulationConfig, simulate
from rehdr_ros.simulation.motion import Wander
from rehdr_ros.simulation.procedural import procedural_canvas
from rehdr_ros.simulation.scene import PanoramaScene, PlanarScene, load_radiance, make_scene


@pytest.mark.parametrize("seed", range(4))
def test_the_emitters_of_a_procedural_scene_spread_over_stops_above_white(seed):
    radiance = procedural_canvas(seed, 450, 600)
    assert radiance.shape == (450, 600, 3) and radiance.dtype == np.float32
    assert np.isfinite(radiance).all() and (radiance > 0).all()
    level = radiance.max(-1)
    above = np.log2(level / np.quantile(level, 0.8))
    assert above.max() > 3
    # Every stop from white to three above it is there.
    counts, _ = np.histogram(above, [0, 1, 2, 3, np.inf])
    assert (counts > 20).all()


def test_procedural_scenes_are_a_function_of_their_seed():
    np.testing.assert_array_equal(procedural_canvas(5, 80, 100), procedural_canvas(5, 80, 100))
    assert not np.allclose(procedural_canvas(5, 80, 100), procedural_canvas(6, 80, 100))


def directions(height):
    """A panorama of each direction's x, y and z, from 1 to 3: smooth on the whole sphere."""
    longitude = ((np.arange(2 * height) / (2 * height)) - 0.5) * 2 * np.pi
    latitude = ((np.arange(height) + 0.5) / height - 0.5) * np.pi
    lon, lat = np.meshgrid(longitude, latitude)
    rays = np.stack((np.cos(lat) * np.sin(lon), np.sin(lat), np.cos(lat) * np.cos(lon)), -1)
    return (rays + 2).astype(np.float32)


def test_a_panorama_has_no_seam():
    scene = make_scene(directions(32), 40, 64, speed=300.0, rng=np.random.default_rng(0))
    assert isinstance(scene, PanoramaScene)
    views = np.stack([scene.render(t) for t in np.linspace(0, 12, 120)])
    backwards = views[..., 2].min() < 1.03  # the camera has looked at the seam, where z is -1
    assert backwards
    assert np.abs(np.diff(views, axis=2)).max() < 0.06
    assert np.abs(np.diff(views, axis=1)).max() < 0.06


def test_a_panorama_is_seen_without_distortion():
    """A pixel's value is its direction: unit vectors, two pixels' angle the same whatever the camera does."""
    scene = make_scene(directions(256), 40, 64, speed=300.0, rng=np.random.default_rng(1))
    angles = []
    for t in np.linspace(0, 5, 10):
        rays = scene.render(t) - 2.0
        np.testing.assert_allclose(np.linalg.norm(rays, axis=-1), 1, atol=0.01)
        angles.append([(rays[5, 5] * rays[35, 60]).sum(), (rays[20, 0] * rays[20, 63]).sum()])
    assert np.ptp(angles, axis=0).max() < 0.02


def test_a_planar_scene_keeps_the_view_on_the_canvas():
    canvas = np.ones((90, 120, 3), np.float32)
    canvas[0], canvas[-1], canvas[:, 0], canvas[:, -1] = 2, 2, 2, 2
    scene = make_scene(canvas, 20, 30, speed=50.0, rng=np.random.default_rng(2))
    assert isinstance(scene, PlanarScene)
    views = np.stack([scene.render(t) for t in np.linspace(0, 20, 200)])
    assert views.min() >= 0.99 and (views > 1.01).mean() < 0.02


@pytest.mark.parametrize("size", [(300, 400), (20, 500)])
def test_a_view_larger_than_the_canvas_is_filled(size):
    scene = make_scene(procedural_canvas(1, 90, 120), *size, speed=50.0, rng=np.random.default_rng(0))
    view = scene.render(1.0)
    assert view.shape == (*size, 3) and (view > 0).all()


def test_the_camera_moves_smoothly_and_at_its_speed():
    """A plane of coordinates: its value is where a pixel looks."""
    x, y = np.meshgrid(np.arange(1200, dtype=np.float32), np.arange(900, dtype=np.float32))
    scene = make_scene(np.stack((x, y, x), -1), 48, 64, speed=60.0, rng=np.random.default_rng(0))
    where = np.stack([scene.render(t)[24, 32, :2] for t in np.arange(0, 20, 0.01)])
    steps = np.linalg.norm(np.diff(where, axis=0), axis=1) / 0.01
    assert 20 < steps.mean() < 180
    assert steps.max() < 400


def test_a_wander_stays_within_its_amplitude():
    wander = Wander(np.random.default_rng(3), amplitude=2.0, period=1.0)
    values = np.array([wander(t) for t in np.linspace(0, 60, 6000)])
    assert 1.0 < np.abs(values).max() <= 2.0
    assert abs(values.mean()) < 0.2


@pytest.mark.parametrize("name, kind", [("venice_1k.hdr", PanoramaScene), ("Desk.exr", PlanarScene)])
def test_scenes_from_files(shared, name, kind):
    file = shared / "data/hdri" / name
    radiance = load_radiance(file, 40, 60, seed=0)
    assert isinstance(make_scene(radiance, 40, 60, 60.0, np.random.default_rng(0)), kind)
    values = {"width": 60, "height": 40, "seconds": 0.6, "fps": 10, "renders": 60, "clipped": 0.2}
    config = SimulationConfig(scene=str(file), **values)
    samples = list(simulate(config))
    truth = np.stack([s.truth for s in samples])
    assert truth.shape == (6, 40, 60, 3) and np.isfinite(truth).all()
    assert (truth.max(-1) > 1).mean() == pytest.approx(0.2, abs=0.06)
    assert sum(len(s.events) for s in samples) > 1000


def test_a_procedural_canvas_that_is_twice_as_wide_as_high_is_no_panorama():
    radiance = load_radiance("procedural", 450, 900, seed=0)
    assert isinstance(make_scene(radiance, 450, 900, 60.0, np.random.default_rng(0)), PlanarScene)


def test_negative_radiance_counts_as_black(tmp_path):
    write_exr(tmp_path / "scene.exr", np.full((8, 9, 3), -1, np.float32))
    assert not load_radiance(tmp_path / "scene.exr", 4, 4, seed=0).any()


def test_what_is_no_scene_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="gone.hdr"):
        list(simulate(SimulationConfig(scene=str(tmp_path / "gone.hdr"))))
    (tmp_path / "text.hdr").write_text("no image")
    with pytest.raises(ValueError, match="text.hdr"):
        list(simulate(SimulationConfig(scene=str(tmp_path / "text.hdr"))))
