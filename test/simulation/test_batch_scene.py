"""Geometry and light of the batched scenes."""

import numpy as np
import pytest
import torch

from rehdr_ros.luminance import BT709
from rehdr_ros.simulation.batch_scene import TEXTURE, Background, BatchScene, Flicker
from rehdr_ros.simulation.procedural import procedural_canvas
from rehdr_ros.simulation.scene import PanoramaScene

SIZE = 40


def directions():
    """A panorama of each direction's x, y and z, from 1 to 3: smooth on the whole sphere."""
    height, width = TEXTURE
    longitude = ((np.arange(width) / width) - 0.5) * 2 * np.pi
    latitude = ((np.arange(height) + 0.5) / height - 0.5) * np.pi
    lon, lat = np.meshgrid(longitude, latitude)
    rays = np.stack((np.cos(lat) * np.sin(lon), np.sin(lat), np.cos(lat) * np.cos(lon)), -1)
    return Background(torch.from_numpy((rays + 2).astype(np.float32)), True)


def coordinates():
    """A flat canvas of each pixel's x, y."""
    y, x = np.mgrid[: TEXTURE[0], : TEXTURE[1]].astype(np.float32)
    return Background(torch.from_numpy(np.stack((x, y, np.ones_like(x)), -1)), False)


def uniform(level):
    return Background(torch.full((*TEXTURE, 3), level), False)


def make(backgrounds, things=0, speed=100.0, scale=1.0, seed=0, size=SIZE):
    """A scene under steady light."""
    n = len(backgrounds)
    rng = np.random.default_rng(seed)
    speeds, scales = np.full(n, speed), np.full(n, scale)
    scene = BatchScene(backgrounds, size, speeds, scales, things, rng, torch.device("cpu"))
    scene.light = [Flicker(rng, 0.0) for _ in backgrounds]
    return scene


def view_pixels():
    """(SIZE, SIZE, 3): x, y, 1."""
    y, x = np.mgrid[:SIZE, :SIZE]
    return np.stack((x, y, np.ones_like(x)), -1)


def test_a_panorama_is_seen_where_each_pixel_looks():
    scene = make([directions()] * 3)
    for t in np.linspace(0, 20, 7):
        views = scene.render(np.array([t, t + 1, t + 2])).permute(0, 2, 3, 1).numpy()
        for view, camera, seconds in zip(views, scene.cameras, (t, t + 1, t + 2), strict=True):
            rays = view_pixels() @ camera(seconds).T
            rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
            np.testing.assert_allclose(view - 2, rays, atol=2e-4)


def test_a_panorama_is_seen_as_in_the_exact_scene():
    """Of the same pose; the detail and its pixels agree to the eighths of a pixel that OpenCV rounds to."""
    panorama = np.log1p(procedural_canvas(3, *TEXTURE))
    batch = make([Background(torch.from_numpy(panorama), True)])
    exact = PanoramaScene(panorama, SIZE, SIZE, 100.0, np.random.default_rng(0))
    camera = batch.cameras[0]
    rays = view_pixels() @ camera.rays.T
    exact.rays = (rays / np.linalg.norm(rays, axis=-1, keepdims=True)).astype(np.float32)
    exact.orientation = camera.orientation
    for t in (0.0, 0.7, 5.0, 11.0):
        view = batch.render(np.array([t]))[0].permute(1, 2, 0).numpy()
        assert np.abs(view - exact.render(t)).mean() < 0.02 * view.std()


def test_a_panorama_has_no_seam():
    scene = make([directions()], speed=300.0, scale=6.0)
    views = torch.cat([scene.render(np.array([t])) for t in np.linspace(0, 12, 120)])
    assert views[:, 2].min() < 1.001  # a camera has looked at the seam, where z is -1
    for dim in (2, 3):
        assert views.diff(dim=dim).abs().max() < 1.5 * 6 * 2 * np.pi / TEXTURE[1]


def test_every_column_beside_the_seam_is_interpolated():
    ramp = torch.zeros(*TEXTURE, 3)
    ramp[:, 0], ramp[:, -1] = 1.0, 3.0  # half a pixel left of the first column: 2
    scene = make([Background(ramp, True)])
    wanted = np.array([-1.0, -0.75, -0.5, -0.25, 0.0, 0.5]) / TEXTURE[1] * 2 * np.pi + np.pi
    places = torch.from_numpy(np.stack((np.sin(wanted), np.zeros(6), np.cos(wanted)), -1)).float()
    places = places.repeat(1, SIZE * SIZE, 1)[:, : SIZE * SIZE]
    values = scene.sample(scene.texture, places)[0, 0].flatten()[:6]
    np.testing.assert_allclose(values, [3.0, 2.5, 2.0, 1.5, 1.0, 0.5], atol=2e-3)


@pytest.mark.parametrize("scale", [0.7, 1.6])
def test_the_scale_is_in_texture_pixels_a_view_pixel(scale):
    """A panorama's z is the cosine of the angle from its middle; a canvas' value is where a pixel looks."""
    panorama, canvas = make([directions(), coordinates()], scale=scale).render(np.array([0.3, 0.3])) - 2
    rays = panorama / panorama.norm(dim=0)
    apart = torch.arccos((rays[:, 20, 19] * rays[:, 20, 20]).sum()) / (2 * np.pi / TEXTURE[1])
    assert apart.item() == pytest.approx(scale, rel=0.05)
    assert (canvas[:2, 20, 19] - canvas[:2, 20, 20]).norm().item() == pytest.approx(scale, rel=0.15)  # zoom


@pytest.mark.parametrize("background", [directions(), coordinates()], ids=["panorama", "flat"])
def test_a_camera_moves_smoothly_at_about_its_speed(background):
    speed, step = 80.0, 0.01
    scene = make([background] * 6, speed=speed)
    centres = torch.stack([scene.render(np.full(6, t))[:, :, 20, 20] for t in np.arange(0, 5, step)])
    moved = centres[..., : 3 if background.is_panorama else 2].diff(dim=0).norm(dim=-1) / step
    if background.is_panorama:
        moved /= 2 * np.pi / TEXTURE[1]
    assert 0.3 * speed < moved.mean() < 2.5 * speed
    assert moved.max() < 6 * speed


def test_a_flat_canvas_fills_the_view():
    background, options = coordinates(), {"scale": 1.6, "size": 128}
    times = np.arange(0, 20, 0.5)
    views = torch.cat([make([background], **options).render(np.array([t])) for t in times])
    x, y = views[:, 0], views[:, 1]
    assert x.min() >= 0 and y.min() >= 0 and x.max() <= TEXTURE[1] - 1 and y.max() <= TEXTURE[0] - 1
    inside = (x > 0) & (x < TEXTURE[1] - 1) & (y > 0) & (y < TEXTURE[0] - 1)
    assert inside.float().mean() > 0.99


@pytest.mark.parametrize("things", [0, 2])
def test_luminance_is_that_of_the_colours(things):
    canvas = torch.from_numpy(procedural_canvas(1, *TEXTURE))
    scene = make([directions(), Background(canvas, True), Background(canvas, False)], things=things)
    for t in (0.0, 1.3):
        colours = scene.render(np.full(3, t)).permute(0, 2, 3, 1).numpy()
        grey = scene.luminance(np.full(3, t))
        assert grey.shape == (3, 1, SIZE, SIZE) and grey.dtype == torch.float32
        np.testing.assert_allclose(grey[:, 0], colours @ BT709, rtol=1e-3, atol=1e-5)


def test_scenes_have_a_time_of_their_own():
    scene = make([directions(), directions(), coordinates()], things=1)
    mixed = scene.render(np.array([0.5, 2.0, 4.0]))
    for n, t in enumerate((0.5, 2.0, 4.0)):
        torch.testing.assert_close(mixed[n], scene.render(np.full(3, t))[n], rtol=1e-5, atol=1e-5)


def test_things_cover_the_background_and_leave():
    scene = make([uniform(0.5)] * 8, things=1, speed=150.0)
    scene.things[0].flicker = [Flicker(np.random.default_rng(0), 0.0)] * 8
    views = torch.stack([scene.render(np.full(8, t)) for t in np.arange(0, 6, 0.1)])[:, :, 0]
    covered = ((views - 0.5).abs() > 1e-3).float().mean((2, 3))  # times, scenes
    assert ((covered.amax(0) > 0.01) & (covered.amin(0) < 0.5 * covered.amax(0))).sum() >= 6
    assert (covered == 0).any(0).sum() >= 3
    assert covered.max() < 0.9


def test_a_thing_hides_what_is_behind_it():
    """Before two backgrounds, in its opaque part the view is the same."""
    dark, bright = (make([uniform(0.5)] * 4, things=1) for _ in range(2))
    bright.texture = bright.texture * 100
    times = [np.full(4, t) for t in np.arange(0, 6, 0.25)]
    a, b = (torch.stack([scene.render(t) for t in times]) for scene in (dark, bright))
    same = torch.isclose(a, b)
    assert 0.01 < same.float().mean() < 0.9
    assert torch.isclose(b, 100 * a).any() and (b >= a - 1e-6).all()


def test_a_light_s_flicker_scales_all_it_falls_on():
    scene = make([uniform(0.5), directions()])
    steady = [scene.render(np.full(2, t)) for t in np.arange(0, 1, 0.03)]
    light = Flicker(np.random.default_rng(2), 0.5)
    scene.light[0] = light
    gains = []
    for t, before in zip(np.arange(0, 1, 0.03), steady, strict=True):
        gains.append(light(t))
        view = scene.render(np.full(2, t))
        torch.testing.assert_close(view[0], before[0] * gains[-1])
        assert torch.equal(view[1], before[1])
    assert 0.5 <= min(gains) < 0.6 and 1.4 < max(gains) <= 1.5


def test_a_thing_s_flicker_scales_the_thing_alone():
    scene = make([uniform(0.0)] * 4, things=1, seed=1)
    scene.things[0].patches["colour"][:, :3] = scene.things[0].patches["colour"][:, 3:]  # white shapes
    steady, flickering = Flicker(np.random.default_rng(0), 0.0), Flicker(np.random.default_rng(2), 0.5)
    for t in np.arange(0, 3, 0.3):
        scene.things[0].flicker = [steady] * 4
        before = scene.render(np.full(4, t))
        scene.things[0].flicker = [flickering] * 4
        torch.testing.assert_close(scene.render(np.full(4, t)), before * flickering(t), rtol=1e-5, atol=1e-7)


def test_a_scene_is_a_function_of_its_generator():
    backgrounds = [directions(), coordinates()]
    first, again, other = (make(backgrounds, things=2, seed=s).render(np.ones(2)) for s in (5, 5, 6))
    assert torch.equal(first, again) and not torch.allclose(first, other)


@pytest.mark.parametrize("things", [0, 2])
def test_views_of_many_times_are_those_of_each(things):
    scene = make([directions(), coordinates()], things=things)
    scene.light = [Flicker(np.random.default_rng(seed), 0.5) for seed in range(2)]
    times = np.array([[0.0, 0.3], [1.0, 5.0], [0.2, 0.1]])
    scene.foresee(times[1:])
    for look in (scene.render, scene.luminance):
        views = look(times)
        for view, t in zip(views, times, strict=True):
            torch.testing.assert_close(view, look(t), rtol=1e-5, atol=1e-5)
