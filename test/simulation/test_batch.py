"""The batched simulator end to end, and against the exact camera's events."""

from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
import torch

from rehdr_ros.events import voxel_grid
from rehdr_ros.simulation import EventCameraConfig, batch
from rehdr_ros.simulation.batch import Batch, BatchSimulator, Variety, below
from rehdr_ros.simulation.batch_scene import TEXTURE, Background, BatchScene, luminance_of
from rehdr_ros.simulation.batch_sensors import BatchEventCamera
from rehdr_ros.simulation.procedural import procedural_canvas
from rehdr_ros.simulation.sensors import EventCamera

SIZE, FRAMES = 24, 4
QUIET = Variety(  # nothing that disturbs a sensor
    exposure=(0.0005, 0.002),
    skew=(0, 0),
    mismatch=(0, 0),
    scatter=(0, 0),
    strays=(0, 0),
    readout=(1e9, 1e9),
    noise_rate=(0, 0),
    leak_rate=(0, 0),
    hot_pixels=(0, 0),
    bandwidth=(0, 0),
    latency=(0, 0),
    vignetting=(0, 0),
    distortion=(1, 1),
    mono=0,
    bayer=0,
    loses_packets=0,
    changes_exposure=0,
    walls=0,
    strange=0,
    glares=0,
)
NAMES = [field.name for field in fields(Batch)]


@pytest.fixture(scope="module")
def backgrounds():
    """A flat canvas before two panoramas: not in the order of the batch."""
    canvases = [torch.from_numpy(procedural_canvas(seed, *TEXTURE)) for seed in range(3)]
    return [Background(canvas, k > 0) for k, canvas in enumerate(canvases)]


def simulate(backgrounds, variety=QUIET, seed=0, size=SIZE, frames=FRAMES, bins=5, device="cpu"):
    simulator = BatchSimulator(size, frames, bins, torch.device(device), variety)
    return simulator(backgrounds, np.random.default_rng(seed))


def flat(n):
    """Backgrounds without detail: nothing changes in them unless their light flickers."""
    return [Background(torch.full((*TEXTURE, 3), 0.5), False)] * n


@dataclass
class Seen:
    """A scene of the batch, and the times (calls, N) at which it was looked at."""

    scene: BatchScene
    looks: list
    renders: list


@pytest.fixture
def seen(monkeypatch):
    """The scenes that the simulator makes, which note when they are looked at."""
    scenes = []

    class Noting(BatchScene):
        def __init__(self, *args):
            super().__init__(*args)
            scenes.append(Seen(self, [], []))

        def luminance(self, seconds):
            scenes[-1].looks.extend(np.atleast_2d(seconds))
            return super().luminance(seconds)

        def render(self, seconds):
            scenes[-1].renders.extend(np.atleast_2d(seconds))
            return super().render(seconds)

    monkeypatch.setattr(batch, "BatchScene", Noting)
    return scenes


@pytest.fixture
def just_fired(monkeypatch):
    """Every pixel starts as if it had just fired, as those of the exact camera do."""

    class JustFired(BatchEventCamera):
        def start(self, luminance, phase):
            super().start(luminance)

    monkeypatch.setattr(batch, "BatchEventCamera", JustFired)


def exact_grids(views, white, looks, contrast, refractory_us, dark, bins):
    """Grids (frames, bins, H, W) of the exact event camera, from views (looks, H, W, 3) of one scene."""
    config = EventCameraConfig(contrast, 0.0, refractory_us, 0.0, 0.0, dark=dark)
    camera = EventCamera(SIZE, SIZE, config, np.random.default_rng(0))
    times = np.rint(looks * 1e9).astype(int)
    camera.step(times[0], views[0] / white)
    steps = (len(times) - 1) // (FRAMES - 1)
    grids = [np.zeros((bins, SIZE, SIZE), np.float32)]
    for first in range(1, len(times), steps):
        total = np.zeros_like(grids[0])
        for k in range(first, first + steps):
            events = camera.step(times[k], views[k] / white)
            total += voxel_grid(events, times[first - 1], times[first + steps - 1], bins, SIZE, SIZE)
        grids.append(total)
    return np.stack(grids)


@pytest.mark.parametrize("bins", [1, 2, 5])
@pytest.mark.parametrize("refractory_us", [0.0, 500.0])
def test_grids_are_those_of_the_exact_event_camera(backgrounds, seen, just_fired, bins, refractory_us):
    contrast, dark = 0.2, 1e-3
    variety = replace(
        QUIET, contrast=(contrast, contrast), dark=(dark, dark), refractory_us=(refractory_us, refractory_us)
    )
    result = simulate(backgrounds, variety, seed=1, bins=bins)
    looks = np.stack(seen[0].looks)
    views = torch.stack([BatchScene.render(seen[0].scene, t) for t in looks]).permute(1, 0, 3, 4, 2).numpy()
    exposures = seen[0].renders[-3:]
    blurred = sum(BatchScene.render(seen[0].scene, t) for t in exposures) / 3
    white = (blurred / result.truth[:, -1]).mean((1, 2, 3)).numpy()
    for n in range(len(backgrounds)):
        exact = exact_grids(views[n], white[n], looks[:, n], contrast, refractory_us, dark, bins)
        grids = result.voxel[n].numpy()
        assert np.abs(exact).sum() > 300
        assert np.linalg.norm(grids - exact) < 1e-3 * np.linalg.norm(exact)


def test_the_truth_is_the_blurred_radiance_around_its_stamp_in_units_of_one_white(backgrounds, seen):
    exposure = 0.006
    result = simulate(backgrounds, replace(QUIET, exposure=(exposure, exposure), jitter=(0.4, 0.4)))
    looks = np.stack(seen[0].looks)
    stamps = looks[:: (len(looks) - 1) // (FRAMES - 1)]
    for k, stamp in enumerate(stamps):
        times = [stamp + share * exposure for share in (-1 / 3, 0, 1 / 3)]
        blurred = torch.stack([BatchScene.render(seen[0].scene, t) for t in times]).mean(0)
        ratio = blurred / result.truth[:, k]
        if k == 0:
            white = ratio.mean((1, 2, 3), keepdim=True)
        torch.testing.assert_close(ratio, white.expand_as(ratio), rtol=1e-4, atol=0)
    intervals = np.diff(stamps, axis=0)
    assert (intervals > 0).all() and np.ptp(intervals, axis=0).min() > 0  # jitter


@pytest.mark.parametrize("variety", [Variety(), QUIET], ids=["varied", "quiet"])
@pytest.mark.parametrize("bins", [1, 5])
def test_a_batch_has_its_shapes_and_is_finite(backgrounds, bins, variety):
    result = simulate(backgrounds, variety, bins=bins)
    shapes = {"ldr": (3, 4, 3, SIZE, SIZE), "truth": (3, 4, 3, SIZE, SIZE), "gain": (3, 4)}
    shapes |= {"voxel": (3, 4, bins, SIZE, SIZE), "seconds": (3, 4), "exposure": (3,)}
    shapes |= {"refractory": (3,), "levels": (3,)}
    for name in NAMES:
        value = getattr(result, name)
        assert (tuple(value.shape), value.dtype) == (shapes[name], torch.float32)
        assert value.isfinite().all()
    assert result.ldr.min() >= 0 and result.ldr.max() <= 1 and result.truth.min() >= 0
    assert not result.voxel[:, 0].any() and result.voxel[:, 1:].abs().sum() > 100


def test_what_was_drawn_is_told(backgrounds):
    variety = replace(QUIET, jitter=(0, 0), exposure=(0.002, 0.004), refractory_us=(300, 400))
    result = simulate(backgrounds, variety)
    assert len(set(result.exposure.tolist())) == len(set(result.refractory.tolist())) == 3
    assert ((result.exposure > 0.002) & (result.exposure < 0.004)).all()
    assert ((result.refractory > 300e-6) & (result.refractory < 400e-6)).all()
    fps = 1 / result.seconds[:, 1:]
    assert torch.equal(result.seconds[:, 0], result.seconds[:, 1]) and len(set(fps[:, 0].tolist())) == 3
    torch.testing.assert_close(fps, fps[:, :1].expand_as(fps), msg="there is no jitter")


def test_frames_show_the_truth_where_they_are_exposed(backgrounds):
    result = simulate(backgrounds, size=48)
    exposed = (result.truth < 0.8) & (result.truth > 0.02)
    error = (result.ldr - result.truth)[exposed]
    assert error.abs().mean() < 0.02 and error.abs().max() < 0.2 and error.mean().abs() < 2e-3
    assert (result.ldr[result.truth > 1.3] > 0.99).all()


@pytest.mark.parametrize("clipped", [0.05, 0.2, 0.5])
def test_as_many_pixels_clip_as_asked(backgrounds, clipped):
    variety = replace(QUIET, clipped=(clipped, clipped), speed=(20, 40))
    truth = simulate(backgrounds * 3, variety, frames=6).truth
    shares = (truth.amax(2) > 1).float().mean((1, 2, 3))
    assert shares.mean() == pytest.approx(clipped, abs=0.02 + 0.1 * clipped)


def test_a_batch_is_a_function_of_its_generator(backgrounds):
    first, again, other = (simulate(backgrounds, Variety(), seed=seed) for seed in (1, 1, 2))
    for name in NAMES:
        assert torch.equal(getattr(first, name), getattr(again, name))
    names = ("ldr", "truth", "voxel")
    assert not any(torch.equal(getattr(first, name), getattr(other, name)) for name in names)


@pytest.mark.parametrize("mono", [0, 1])
def test_grey_cameras_have_grey_frames_and_truths(backgrounds, mono):
    result = simulate(backgrounds, replace(Variety(), mono=mono, bayer=1))
    for frames in (result.truth, result.ldr):
        colour = (frames - frames[:, :, :1]).abs().amax((1, 2, 3, 4))
        assert (colour == 0).all() if mono else (colour > 0.01).all()


def test_only_cameras_of_colours_have_a_mosaic(backgrounds):
    def ldr(**shares):
        return simulate(backgrounds, replace(QUIET, **shares)).ldr

    assert torch.equal(ldr(mono=1, bayer=1), ldr(mono=1, bayer=0))
    assert ((ldr(mono=0, bayer=1) != ldr(mono=0, bayer=0)).float().mean((1, 2, 3, 4)) > 0.1).all()


def test_a_still_scene_changes_with_the_exposure_alone_and_has_no_events():
    sensor = {"dark": (1e-3, 1e-3), "contrast": (0.1, 0.1)}
    variety = replace(QUIET, changes_exposure=1, tells_exposure=1, things=0, **sensor)
    result = simulate(flat(16), variety, size=4, frames=10)
    still = result.voxel.abs().sum((1, 2, 3, 4)) == 0  # the others flicker
    assert still.sum() >= 8
    truth, gain = result.truth[still], result.gain[still]
    torch.testing.assert_close(
        truth[:, 1:] / truth[:, :-1], gain[:, 1:, None, None, None].expand_as(truth[:, 1:]), rtol=0.06, atol=0
    )
    assert ((gain != 1).sum(1) > 0).float().mean() > 0.5 and (gain[:, 0] == 1).all()


def test_gains_are_one_where_nothing_changes_or_nothing_is_told(backgrounds):
    def gain(**shares):
        return simulate(backgrounds * 4, replace(QUIET, **shares), frames=6, size=4).gain

    assert (gain(changes_exposure=0, tells_exposure=1) == 1).all()
    assert (gain(changes_exposure=1, tells_exposure=0) == 1).all()
    told = gain(changes_exposure=1, tells_exposure=1, gain=(0.3, 0.4))
    assert 0.03 < (told != 1).float().mean() < 0.4
    assert (told[told != 1] >= np.exp(0.3) - 1e-6).all() and (told[told != 1] <= np.exp(0.4) + 1e-6).all()


def test_the_exposure_step_is_in_the_frames_even_if_it_is_not_told(backgrounds):
    still = replace(QUIET, speed=(10, 10), fps=(40, 40), things=0, gain=(0.6, 0.6), changes_exposure=1)
    told, untold, without = (
        simulate(backgrounds * 2, replace(still, **change), frames=8)
        for change in ({"tells_exposure": 1}, {"tells_exposure": 0}, {"changes_exposure": 0})
    )
    assert torch.equal(told.truth, untold.truth) and torch.equal(told.voxel, without.voxel)
    expected = without.truth * told.gain.cumprod(1)[..., None, None, None]
    torch.testing.assert_close(told.truth, expected)
    assert told.gain.max() > 1.8


def test_lost_packets_take_their_share_of_the_events(backgrounds):
    def events(**changes):
        variety = replace(QUIET, contrast=(0.1, 0.1), **changes)
        result = simulate(backgrounds * 6, variety, frames=6, bins=1, size=16)
        return result.voxel.abs().sum((1, 2, 3, 4))

    all_of_them, fewer = events(), events(loses_packets=1, lost=(0.3, 0.3))
    assert 0.55 < fewer.sum() / all_of_them.sum() < 0.9
    some = events(loses_packets=0.5, lost=(0.6, 0.6)) / all_of_them
    assert 3 <= (some > 0.999).sum() <= 15  # those that lose none
    assert (events(loses_packets=1, lost=(1, 1)) == 0).all()


@pytest.mark.parametrize(
    "rates, mean, variance",
    [({"noise_rate": (50, 50)}, 0, 5), ({"leak_rate": (30, 30)}, 3, 3)],
    ids=["noise", "leak"],
)
def test_noise_has_its_rate_in_all_frames_but_the_first(just_fired, rates, mean, variance):
    insensitive = replace(QUIET, fps=(10, 10), jitter=(0, 0), contrast=(9, 9), **rates)
    voxel = simulate(flat(10), insensitive).voxel.sum(2)
    assert not voxel[:, 0].any()
    assert voxel[:, 1:].mean().item() == pytest.approx(mean, abs=0.1)
    assert voxel[:, 1:].var().item() == pytest.approx(variance, rel=0.1)


def test_most_sequences_have_few_hot_pixels(just_fired):
    insensitive = replace(QUIET, fps=(10, 10), contrast=(9, 9), hot_pixels=(0.2, 0.2))
    voxel = simulate(flat(20), insensitive, frames=6).voxel
    shares = voxel.abs().sum((1, 2)).gt(0).float().mean((1, 2))
    many = shares > 0.1
    assert 1 <= many.sum() <= 8
    assert shares[many].mean().item() == pytest.approx(0.2, abs=0.02) and shares[~many].mean() < 3e-3


def test_glare_fires_the_brightest_pixels_whatever_they_see(backgrounds):
    rates = {"glares": 1, "glare_rate": (400, 400), "glaring": (0.05, 0.05)}
    insensitive = replace(QUIET, fps=(10, 10), jitter=(0, 0), contrast=(9, 9), **rates)
    result = simulate(backgrounds * 4, insensitive, frames=4)
    events = result.voxel.sum(2)[:, 1:]
    fired = events > 10
    assert events.min() > -3 and 0.02 < fired.float().mean() < 0.1
    assert events[fired].mean().item() == pytest.approx(40, rel=0.05)
    brightness = result.truth[:, 1:].mean(2)
    for k, mask in enumerate(fired):
        assert brightness[k][mask].mean() > brightness[k].flatten().quantile(0.75)


def test_the_properties_of_the_event_camera_reach_it(backgrounds):
    def voxel(**changes):
        return simulate(backgrounds * 3, replace(QUIET, **{"contrast": (0.1, 0.1), **changes}), bins=1).voxel

    normal = voxel()
    activity = normal.abs().sum((1, 2, 3, 4))
    assert 2.5 < normal.abs().sum() / voxel(contrast=(0.4, 0.4)).abs().sum() < 7
    assert voxel(dark=(1, 1)).abs().sum() < 0.8 * normal.abs().sum()
    assert voxel(refractory_us=(1e5, 1e5)).abs().sum() < 0.8 * normal.abs().sum()
    changed = (voxel(mismatch=(0.1, 0.1)) - normal).abs().sum((1, 2, 3, 4))
    assert (changed[activity > 100] > 0).all()
    for name, value in (("bandwidth", (1, 1)), ("readout", (0.5, 0.5))):  # of sensors that aren't good, some
        fewer = voxel(good=0, **{name: value}).abs().sum((1, 2, 3, 4)) / voxel(good=0).abs().sum((1, 2, 3, 4))
        as_it_was = fewer[activity > 100] == 1
        assert 0 < as_it_was.sum() < len(as_it_was), name
        assert (fewer[activity > 100][~as_it_was] < 0.9).float().mean() > 0.8, name
        assert torch.equal(voxel(good=1, **{name: value}), voxel(good=1)), name
    skewed = voxel(skew=(1.5, 1.5))
    on, off = (x.clamp_min(0).sum((1, 2, 3, 4)) for x in (skewed, -skewed))
    on, off = on / normal.clamp_min(0).sum((1, 2, 3, 4)), off / (-normal).clamp_min(0).sum((1, 2, 3, 4))
    as_it_was = (on == 1)[activity > 100]
    ratio = (off / on)[activity > 100][~as_it_was]
    assert 0 < as_it_was.sum() < len(as_it_was) and (ratio > 2).all()
    assert ratio.median().item() == pytest.approx(np.exp(1.5), rel=0.3)


def test_frame_rate_exposure_and_things_are_within_their_limits(backgrounds, seen):
    for seed in range(6):
        variety = replace(QUIET, fps=(10, 20), exposure=(0.002, 0.003), jitter=(0, 0), things=1)
        simulate(backgrounds, variety, seed=seed, size=4)
        looks, renders = np.stack(seen[-1].looks), np.stack(seen[-1].renders[-3:])
        intervals = (looks[-1] - looks[0]) / (FRAMES - 1)
        assert (intervals >= 1 / 20).all() and (intervals <= 1 / 10).all()
        exposures = 1.5 * (renders[-1] - renders[0])
        assert (exposures > 0.00199).all() and (exposures < 0.00301).all()
    assert {len(s.scene.things) for s in seen} == {0, 1}


def test_long_exposures_blur(backgrounds, seen):
    """Renders over all of the exposure, about 2 px apart; and never longer than 0.9 of the interval."""
    fast = replace(QUIET, speed=(150, 150), fps=(20, 20), jitter=(0, 0), things=0)
    varieties = (replace(fast, exposure=(x, x)) for x in (0.001, 0.02, 0.11))
    sharp, blurred, longest = (simulate(backgrounds * 2, variety) for variety in varieties)

    def detail(result):
        return (result.truth + 1e-3).log().diff(dim=-1).abs().mean((1, 2, 3, 4))

    assert (detail(blurred) < detail(sharp)).all() and (detail(longest) < detail(blurred)).all()
    assert detail(longest).sum() < 0.95 * detail(sharp).sum()
    torch.testing.assert_close(longest.exposure, torch.full((6,), 0.9 / 20))
    for n, (scene, exposure, renders) in enumerate(zip(seen, (0.001, 0.02, 0.045), (3, 3, 4), strict=True)):
        shutter = np.stack(scene.renders[-renders:])
        assert len(scene.renders) == 4 + FRAMES * renders, n
        np.testing.assert_allclose(shutter[-1] - shutter[0], exposure * (1 - 1 / renders))
        stamps = scene.looks[-1]  # the last view of the events is at the last frame's stamp
        np.testing.assert_allclose(shutter.mean(0), stamps)


@pytest.mark.parametrize("latency", [-0.004, 0.006])
def test_late_events_have_seen_what_was_so_much_earlier(backgrounds, seen, just_fired, latency):
    """In grids of the frames' own intervals; in sensors that aren't good alone."""
    late = replace(QUIET, good=0, latency=(latency, latency), contrast=(0.1, 0.1))
    simulate(backgrounds, late), simulate(backgrounds, replace(late, good=1))
    first, good = seen
    for scene, by in ((first, latency), (good, 0.0)):
        looks = np.stack(scene.looks)
        middles = np.stack(scene.renders[4:]).reshape(FRAMES, -1, 3).mean(1)
        np.testing.assert_allclose(looks[:: (len(looks) - 1) // (FRAMES - 1)], middles - by, atol=1e-12)


def test_pixels_start_on_their_way_to_an_event(backgrounds):
    """Events come from the first frame on; just fired, all pixels would have to pass the first threshold."""
    slow = replace(QUIET, contrast=(0.5, 0.5), speed=(20, 20), fps=(50, 50), jitter=(0, 0), things=0)
    voxel = simulate(backgrounds * 4, slow, frames=8, size=32).voxel.abs().sum((0, 2, 3, 4))
    assert not voxel[0] and voxel[1] > 0.5 * voxel[2:].mean() > 10


def test_twins_see_one_scene_by_the_same_sensors_at_two_frame_rates(backgrounds):
    usual = replace(Variety(), jitter=(0, 0), exposure=(0.002, 0.002), changes_exposure=0, distortion=(1, 1))
    alone, twins = (simulate(backgrounds * 2, replace(usual, twins=x), seed=3) for x in (1e-9, 1))
    rates = 1 / twins.seconds[:, 0]
    assert torch.equal(twins.seconds, alone.seconds) and len(set(rates.tolist())) == 6
    assert torch.equal(twins.refractory[1::2], twins.refractory[::2])
    torch.testing.assert_close(twins.truth[1::2, 0], twins.truth[::2, 0], rtol=1e-3, atol=1e-4)
    assert not torch.equal(twins.truth[1::2, 1], twins.truth[::2, 1])
    different = (alone.truth[1::2, 0] - alone.truth[::2, 0]).abs().mean()
    assert (twins.ldr[1::2, 0] - twins.ldr[::2, 0]).abs().mean() < 0.1 * different


def test_walls_bound_the_light_of_frames_and_events_alike(backgrounds, just_fired):
    bright = replace(QUIET, clipped=(0.4, 0.4), things=0, contrast=(0.1, 0.1))
    lamps, walls = (simulate(backgrounds * 2, replace(bright, walls=x, wall=(1.5, 1.5))) for x in (0, 1))
    y, y_walls = (luminance_of(x.truth.flatten(0, 1)) for x in (lamps, walls))
    assert y.max() > 1.8 and y_walls.max() <= 1.5 + 1e-6 and (y_walls <= y + 1e-5).all()
    ceiling = torch.full((1, 1, 1, 1), 1.5)
    still = y < 0.5  # blur mixes what is above the knee with what isn't
    torch.testing.assert_close(
        y_walls[still], below(ceiling, y[still].view(1, 1, 1, -1)).flatten(), rtol=0.02, atol=1e-3
    )
    assert walls.voxel.abs().sum() < 0.95 * lamps.voxel.abs().sum()
    dim = lamps.truth.amax((1, 2)) < 0.5  # never near the knee
    apart = (walls.voxel - lamps.voxel).abs().sum((1, 2))
    assert dim.any() and (apart[dim] == 0).float().mean() > 0.95


def test_a_ceiling_is_felt_from_08_on():
    ceiling = torch.tensor([1.05, 1.5, 4.0, float("inf")]).view(4, 1, 1, 1)
    light = torch.linspace(0, 50, 5001).view(1, 1, 1, -1).expand(4, 1, 1, -1)
    limited = below(ceiling, light)
    assert limited.isfinite().all() and (limited <= ceiling).all()
    assert torch.equal(limited[..., :80], light[..., :80])
    torch.testing.assert_close(limited[3], light[3])
    assert (limited.diff() >= 0).all() and (limited[..., :100].diff() > 0).all()
    assert (limited[:-1].flatten(1).diff(dim=0) >= 0).all(), "the higher the ceiling, the brighter"
    torch.testing.assert_close(limited[..., -1].flatten()[:3], ceiling.flatten()[:3], rtol=1e-4, atol=0)


def test_vignetting_and_a_wrong_response_change_frames_not_events(backgrounds):
    bad = replace(QUIET, good=0, clipped=(0.2, 0.2))
    plain, shaded, distorted = (
        simulate(backgrounds * 4, replace(bad, **change))
        for change in ({}, {"vignetting": (0.4, 0.4)}, {"distortion": (0.7, 0.7)})
    )
    assert torch.equal(plain.voxel, shaded.voxel) and torch.equal(plain.voxel, distorted.voxel)
    left = shaded.truth / plain.truth
    dark_corners = (left[:, 0, 0, 0, 0] - 0.6).abs() < 1e-3
    assert 2 <= dark_corners.sum() <= 10
    torch.testing.assert_close(left[~dark_corners], torch.ones_like(left[~dark_corners]))
    left = left[dark_corners].mean((0, 1, 2))
    assert left[12, 12] > 0.998 and (left[12:].diff(dim=0) < 0).all() and (left[:, 12:].diff(dim=1) < 0).all()
    torch.testing.assert_close(left, left.flip(0, 1))
    wrong = (distorted.truth - plain.truth).abs().amax((1, 2, 3, 4)) > 1e-3
    assert 2 <= wrong.sum() <= 10
    torch.testing.assert_close(distorted.truth[wrong], plain.truth[wrong] ** 0.7, rtol=1e-3, atol=1e-6)
    good = simulate(backgrounds * 4, replace(bad, good=1, vignetting=(0.4, 0.4)))
    assert torch.equal(good.truth, plain.truth)


def test_the_events_of_strange_sequences_are_no_help(backgrounds, just_fired):
    """A third each: none at all, those of the sequence before, and those of another time."""
    usual = replace(QUIET, contrast=(0.1, 0.1), fps=(20, 20), jitter=(0, 0), things=0)
    plain, strange = (simulate(backgrounds * 15, replace(usual, strange=x), size=16) for x in (0, 1))
    torch.testing.assert_close(plain.truth, strange.truth)
    none = strange.voxel.flatten(1).abs().sum(1) == 0
    same = [torch.equal(a, b) for a, b in zip(strange.voxel, plain.voxel.roll(1, 0), strict=True)]
    of_another = torch.tensor(same) & ~none
    same = [torch.equal(a, b) for a, b in zip(strange.voxel, plain.voxel, strict=True)]
    itself = torch.tensor(same) & ~none
    assert 8 <= none.sum() <= 22 and of_another.sum() >= 4 and itself.sum() <= 2
    some = simulate(backgrounds * 15, replace(usual, strange=0.3), size=16).voxel
    changed = (some - plain.voxel).flatten(1).any(1)
    assert 5 <= changed.sum() <= 22


def test_noise_grows_in_the_dark(just_fired):
    stripes = torch.full((*TEXTURE, 3), 1e-4)
    stripes[:, torch.arange(TEXTURE[1]) % 16 < 8] = 1.0
    camera = {"fps": (10, 10), "jitter": (0, 0), "contrast": (9, 9), "noise_rate": (20, 20)}
    noisy = replace(QUIET, speed=(1, 1), things=0, **camera)
    result = simulate([Background(stripes, False)] * 20, noisy)
    voxel = result.voxel.sum(2)[:, 1:]
    truth = luminance_of(result.truth.flatten(0, 1)).view(20, FRAMES, SIZE, SIZE)
    dark, bright = (truth < 0.001).all(1), (truth > 0.5).all(1)
    for where, variance in ((dark, 5 * 2), (bright, 2)):
        events = voxel.permute(0, 2, 3, 1)[where]
        assert events.var().item() == pytest.approx(variance, rel=0.1) and abs(events.mean().item()) < 0.1


@pytest.mark.parametrize(
    "wrong",
    [{"fps": wrong} for wrong in ((20, 10), 20, (1, 2, 3), ("a", "b"), (0, 10))]
    + [{"scale": (0, 1)}]
    + [{"fps": (0, 0)}, {"scale": (0, 0)}, {"contrast": (0, 0)}, {"dark": (0, 0)}, {"exposure": (0, 0)}]
    + [{"noise_rate": (0, 1)}, {"readout": (0, 9)}, {"wall": (0, 2)}]
    + [{"scatter": (-1, 0)}, {"strays": (-1, 0)}]
    + [{"vignetting": (0, 1.1)}, {"distortion": (-1, 1)}, {"latency": (0, float("inf"))}, {"skew": (0.1, 0)}]
    + [{"walls": 1.1}, {"good": -0.1}, {"strange": 2}, {"twins": -1}]
    + [{"speed": (-1, 1)}, {"exposure": (0, 0.1)}, {"contrast": (0, 0.1)}]
    + [{"dark": (0, 0.1)}, {"bandwidth": (0, 9)}]
    + [{"jitter": (0, 1.1)}, {"jitter": (-0.1, 0.1)}, {"clipped": (-0.1, 0.5)}, {"clipped": (0.5, 1.1)}]
    + [{"mismatch": (-0.1, 0)}, {"refractory_us": (-1, 1)}, {"noise_rate": (-1, 1)}, {"leak_rate": (-1, 1)}]
    + [{"hot_pixels": (-1, 0)}, {"hot_pixels": (0, 2)}, {"lost": (-0.1, 1)}, {"lost": (0, 1.1)}]
    + [{"gain": (0.1, float("nan"))}, {"gain": (0, float("inf"))}]
    + [{"things": -1}, {"things": 1.5}, {"mono": -0.1}, {"bayer": 1.1}, {"loses_packets": 2}, {"mono": "all"}]
    + [{"changes_exposure": float("nan")}, {"tells_exposure": -1}],
    ids=str,
)
def test_a_variety_that_cannot_be_is_refused_by_name(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Variety(**wrong)


def test_a_variety_takes_the_lists_of_a_file():
    assert Variety(fps=[10, 20]) == Variety(fps=(10, 20))


def test_a_property_that_is_none_leaves_the_others_as_they_are(backgrounds):
    rates = ((1e-9, 1e-9), (0, 0))
    with_it, without = (simulate(backgrounds, replace(QUIET, leak_rate=rate)) for rate in rates)
    for name in ("truth", "seconds", "exposure", "refractory"):
        assert torch.equal(getattr(with_it, name), getattr(without, name))


def test_what_can_be_none_or_negative():
    Variety(latency=(-0.01, -0.001), skew=(-1, -0.5), gain=(-1, -1))
    Variety(noise_rate=(0, 0), leak_rate=(0, 0), refractory_us=(0, 0), bandwidth=(0, 0))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_the_gpu_simulates_the_same_scenes(backgrounds):
    there = [replace(b, radiance=b.radiance.cuda()) for b in backgrounds]
    cpu, gpu = simulate(backgrounds, seed=1), simulate(there, seed=1, device="cuda")
    assert gpu.truth.is_cuda and gpu.voxel.is_cuda
    assert (gpu.truth.cpu() - cpu.truth).norm() < 0.01 * cpu.truth.norm()
    assert (gpu.voxel.cpu() - cpu.voxel).norm() < 0.1 * cpu.voxel.norm()
