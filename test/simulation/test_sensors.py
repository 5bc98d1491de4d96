import numpy as np
import pytest

from rehdr_ros.events import Events
from rehdr_ros.simulation import EventCameraConfig
from rehdr_ros.simulation.sensors import EventCamera, FrameCamera

MS = 1_000_000
S = 1000 * MS
IDEAL = {"mismatch": 0.0, "refractory_us": 0.0, "noise_rate": 0.0, "leak_rate": 0.0, "dark": 1e-6}


def grey(luminance):
    return np.repeat(np.asarray(luminance, np.float32)[..., None], 3, 2)


def event_camera(height, width, seed=0, **config):
    return EventCamera(height, width, EventCameraConfig(**{**IDEAL, **config}), np.random.default_rng(seed))


def signals(steps, height=12, width=16, swing=0.6, seed=0):
    """Log luminances (steps, height, width) that wander, some pixels by less than a threshold."""
    rng = np.random.default_rng(seed)
    pace = rng.uniform(0, swing, (height, width))
    return np.cumsum(rng.normal(0, 1, (steps, height, width)) * pace, 0) - 1


def film(camera, logs, step_ns=5 * MS):
    return [camera.step(k * step_ns, grey(np.exp(log))) for k, log in enumerate(logs)]


def polarity_sum(events, shape):
    total = np.zeros(shape)
    np.add.at(total, (events.y, events.x), 2.0 * events.p - 1)
    return total


@pytest.mark.parametrize("contrast", [0.1, 0.25, 0.6])
def test_events_follow_the_log_luminance_within_a_threshold(contrast):
    logs = signals(40)
    camera = event_camera(*logs.shape[1:], contrast=contrast)
    total = np.zeros(logs.shape[1:])
    for log, events in zip(logs, film(camera, logs), strict=True):
        total += polarity_sum(events, total.shape)
        assert np.abs(log - logs[0] - contrast * total).max() < contrast * 1.001
    assert np.abs(total).max() > 5


def test_an_event_comes_when_the_signal_crosses_its_threshold():
    camera = event_camera(1, 2, contrast=0.2)
    camera.step(0, grey([[1.0, 1.0]]))
    events = camera.step(10 * MS, grey([[np.exp(0.7), np.exp(-0.5)]]))
    rising = [(k * 0.2 / 0.7 * 10 * MS, 0, 1) for k in (1, 2, 3)]
    expected = sorted(rising + [(k * 4 * MS, 1, 0) for k in (1, 2)])
    np.testing.assert_allclose(events.t, [t for t, _, _ in expected], atol=100)
    assert [(x, p) for x, p in zip(events.x, events.p, strict=True)] == [(x, p) for _, x, p in expected]


def test_a_still_scene_has_no_events():
    camera = event_camera(4, 5)
    assert not any(map(len, film(camera, np.zeros((10, 4, 5)))))


def test_the_first_look_only_sets_the_references():
    assert len(event_camera(4, 5).step(7 * S, grey(np.ones((4, 5))))) == 0


@pytest.mark.parametrize("config", [{}, {"refractory_us": 300.0}, {"noise_rate": 50.0, "hot_pixels": 0.1}])
def test_events_lie_in_their_step_in_order_and_in_bounds(config):
    logs = signals(20)
    for k, events in enumerate(film(event_camera(*logs.shape[1:], **config), logs)):
        assert isinstance(events, Events)
        assert (np.diff(events.t) >= 0).all()
        if len(events):
            assert (k - 1) * 5 * MS < events.t[0] and events.t[-1] <= k * 5 * MS
            assert events.x.max() < 16 and events.y.max() < 12 and events.p.max() == 1


def shortest_pause(logs, **config):
    events = Events.concatenate(film(event_camera(*logs.shape[1:], **config), logs))
    pixels = events.y.astype(int) * logs.shape[2] + events.x
    return min(np.diff(events.t[pixels == pixel]).min(initial=S) for pixel in np.unique(pixels))


@pytest.mark.parametrize("refractory_us", [400.0, 7000.0])
def test_a_pixel_is_blind_for_the_refractory_period(refractory_us):
    logs = signals(40, swing=3.0)
    assert shortest_pause(logs) < refractory_us * 1000 <= shortest_pause(logs, refractory_us=refractory_us)


def test_the_level_at_the_end_of_the_refractory_period_is_the_new_reference():
    """A ramp of one threshold a ms: with 1 ms of blindness every second threshold is missed."""
    camera = event_camera(1, 1, contrast=0.2, refractory_us=1000.0)
    camera.step(0, grey([[1.0]]))
    events = camera.step(10 * MS + 1, grey([[np.exp(2.0)]]))
    np.testing.assert_allclose(events.t, np.array([1, 3, 5, 7, 9]) * MS, atol=2000)


@pytest.mark.parametrize("steps", [1, 50])
@pytest.mark.parametrize("name, rate, on_share", [("noise_rate", 3.0, 0.5), ("leak_rate", 2.0, 1.0)])
def test_noise_and_leak_have_their_rates(name, rate, on_share, steps):
    camera = event_camera(40, 50, **{name: rate})
    view = grey(np.ones((40, 50)))
    events = Events.concatenate([camera.step(k * 2 * S // steps, view) for k in range(steps + 1)])
    expected = rate * 2000 * 2
    assert abs(len(events) - expected) < 5 * expected**0.5
    assert events.p.mean() == pytest.approx(on_share, abs=0.03)
    assert len(np.unique(events.y.astype(int) * 50 + events.x)) > 1900
    assert abs(np.mean(events.t) / S - 1) < 0.05


def test_hot_pixels_are_few_and_fire_often():
    camera = event_camera(100, 100, hot_pixels=0.004)
    camera.step(0, grey(np.ones((100, 100))))
    events = camera.step(S, grey(np.ones((100, 100))))
    counts = np.bincount(events.y.astype(int) * 100 + events.x, minlength=10_000)
    hot = counts > 0
    assert 15 < hot.sum() < 70
    assert abs(counts[hot].mean() - 200) < 10 and counts[hot].min() > 120


def test_thresholds_differ_by_the_mismatch():
    """A slow ramp over ten thresholds: how many events come tells the pixel's threshold."""
    camera = event_camera(50, 50, contrast=0.1, mismatch=0.1)
    camera.step(0, grey(np.ones((50, 50))))
    events = camera.step(S, grey(np.full((50, 50), np.exp(10.0))))
    counts = np.bincount(events.y.astype(int) * 50 + events.x, minlength=2500)
    thresholds = 10.0 / (counts + 0.5)
    assert thresholds.mean() == pytest.approx(0.1, rel=0.03)
    assert thresholds.std() / thresholds.mean() == pytest.approx(0.1, rel=0.1)


def test_below_the_dark_level_the_sensor_sees_little():
    camera = event_camera(1, 1, dark=0.1)
    camera.step(0, grey([[1e-4]]))
    assert len(camera.step(S, grey([[1e-2]]))) == 0
    assert len(camera.step(2 * S, grey([[1.0]]))) > 5


def step_response(light, bandwidth, seconds, step_ns=100_000):
    """The log change that the events after a jump to `light` tell, from far below, to one threshold."""
    contrast = 0.01
    camera = event_camera(1, 1, contrast=contrast, bandwidth=bandwidth)
    camera.step(0, grey([[light / np.e]]))
    times = np.arange(step_ns, int(seconds * S) + 1, step_ns)
    events = Events.concatenate([camera.step(int(t), grey([[light]])) for t in times])
    return contrast * (2.0 * events.p - 1).sum()


@pytest.mark.parametrize("light", [1.0, 0.1])
@pytest.mark.parametrize("seconds", [0.002, 0.005, 0.02])
def test_a_pixel_s_low_pass_is_of_the_first_order_and_slower_in_the_dark(light, seconds):
    expected = 1 - np.exp(-2 * np.pi * 50.0 * light * seconds)
    assert step_response(light, 50.0, seconds) == pytest.approx(expected, abs=0.011)


def test_the_low_pass_does_not_depend_on_the_renders():
    fine, coarse = (step_response(1.0, 50.0, 0.004, step_ns) for step_ns in (50_000, 4 * MS))
    assert fine == pytest.approx(coarse, abs=0.011)


def test_below_a_thousandth_of_white_a_pixel_gets_no_slower():
    assert step_response(1e-4, 2000.0, 0.05) == pytest.approx(1 - np.exp(-2 * np.pi * 2.0 * 0.05), abs=0.02)


def test_without_a_bandwidth_a_pixel_follows_at_once():
    logs = signals(20)
    unlimited, fast, slow = (
        Events.concatenate(film(event_camera(*logs.shape[1:], bandwidth=b), logs)) for b in (0.0, 1e9, 5.0)
    )
    for name in "xyp":
        np.testing.assert_array_equal(getattr(unlimited, name), getattr(fast, name))
    np.testing.assert_allclose(unlimited.t, fast.t, rtol=0, atol=1000)
    assert len(slow) < 0.7 * len(unlimited)


@pytest.mark.parametrize(
    "wrong",
    [{"contrast": 0.0}, {"contrast": -0.1}, {"contrast": float("nan")}, {"dark": 0.0}, {"mismatch": -0.1}]
    + [{"refractory_us": -1.0}, {"noise_rate": -1.0}, {"leak_rate": -1.0}, {"hot_pixels": -0.1}]
    + [{"bandwidth": -1.0}, {"bandwidth": float("nan")}],
)
def test_a_sensor_that_cannot_be_is_refused_by_name(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        EventCameraConfig(**wrong)


def test_a_frame_camera_clips_and_quantises():
    camera = FrameCamera(white=4.0, shot_noise=0.0, read_noise=0.0)
    radiance = grey([[0.0, 4 * (100.2 / 255) ** 2.2, 4.0, 400.0]])
    assert camera.expose(radiance, np.random.default_rng(0))[0, :, 0].tolist() == [0, 100, 255, 255]


def test_a_frame_s_noise_grows_with_the_light():
    camera = FrameCamera(white=2.0, shot_noise=1e-3, read_noise=5e-3)
    for signal in (0.1, 0.6):
        frame = camera.expose(grey(np.full((200, 200), 2 * signal)), np.random.default_rng(0))
        linear = (frame / 255.0) ** 2.2
        assert linear.mean() == pytest.approx(signal, rel=0.01)
        assert linear.std() == pytest.approx((1e-3 * signal + 5e-3**2) ** 0.5, rel=0.05)
