import math

import numpy as np
import pytest
import torch

from rehdr_ros.luminance import BT709
from rehdr_ros.network import Rehdr, RehdrConfig
from rehdr_ros.training.baselines import BASELINES, complementary_filter, constant_lift
from rehdr_ros.training.metrics import fill_constant

PRIOR = 0.25  # contrast threshold that the integrator assumes before it has seen exposed pixels change


def row(*pixels):
    """One row of pixels (1, W, 3) uint8."""
    return np.array([pixels], np.uint8)


def counts(*values):
    """Signed event counts of one row, spread over 3 bins (3, 1, W)."""
    return np.float32([0.25, 0.5, 0.25])[:, None, None] * np.float32([values])


def linear(frame):
    return (frame.astype(np.float32) / 255) ** 2.2


def display(radiance):
    return np.rint(255 * np.clip(radiance, 0, 1) ** (1 / 2.2)).astype(np.uint8)


@pytest.mark.parametrize("name", ["ldr", "constant_fill", "grey_fill", "filter", "head_start"])
def test_every_baseline_keeps_exposed_pixels_exactly(name):
    rng = np.random.default_rng(0)
    ldr = list(rng.integers(0, 250, (3, 6, 7, 3), dtype=np.uint8))
    voxels = list(rng.integers(-9, 10, (3, 5, 6, 7)).astype(np.float32))
    frames = BASELINES[name](ldr, voxels)
    assert len(frames) == 3
    for frame, expected in zip(frames, map(linear, ldr), strict=True):
        assert frame.dtype == np.float32 and frame.shape == (6, 7, 3)
        np.testing.assert_array_equal(frame, expected)


def test_these_are_the_baselines():
    assert list(BASELINES) == ["ldr", "constant_fill", "grey_fill", "filter", "head_start"]


def test_the_ldr_is_linearised():
    (frame,) = BASELINES["ldr"]([row((255, 0, 128))], [counts(7)])
    np.testing.assert_allclose(frame, [[[1, 0, (128 / 255) ** 2.2]]], rtol=1e-6)


def test_the_constant_fill_is_that_of_the_measures():
    ldr = row((255, 100, 50), (249, 100, 50))
    (frame,) = BASELINES["constant_fill"]([ldr], [counts(1, 1)])
    np.testing.assert_array_equal(frame, fill_constant(ldr, linear(ldr)))
    assert frame[0, 0, 0] > 1


def test_the_grey_fill_keeps_the_luminance_of_clipped_pixels():
    ldr = row((255, 100, 50), (249, 100, 50))
    (frame,) = BASELINES["grey_fill"]([ldr], [counts(0, 0)])
    np.testing.assert_allclose(frame[0, 0], [linear(ldr)[0, 0] @ BT709] * 3, rtol=1e-6)
    np.testing.assert_array_equal(frame[0, 1], linear(ldr)[0, 1])


@pytest.mark.parametrize("contrast", [0.15, 0.4])
def test_the_filter_recovers_what_clips_while_its_events_are_exact(contrast):
    """Luminance from events, by a threshold found from exposed pixels; colour from before the clipping."""
    rng = np.random.default_rng(0)
    events = rng.integers(-2, 3, (4, 60, 60)).astype(np.float32)
    events[0] = 0
    events[:, 0, 0] = [0, 9, -3, -6]
    colour = rng.uniform(0.15, 0.3, (60, 60, 3))
    colour[0, 0] = 0.9, 0.7, 0.45
    radiance = colour * np.exp(contrast * events.cumsum(0))[..., None]
    frames = complementary_filter(list(display(radiance)), list(events[:, None]))
    # The middle two frames are clipped in all channels.
    for k in (1, 2):
        assert radiance[k, 0, 0].min() > 1
        np.testing.assert_allclose(frames[k][0, 0], radiance[k, 0, 0], rtol=0.02)
    for k in (0, 3):
        np.testing.assert_array_equal(frames[k][0, 0], linear(display(radiance))[k, 0, 0])


def test_the_filter_blends_each_channel_by_how_far_it_is_clipped():
    grey = (128, 128, 128)
    ldr = row((255, 128, 250), (253, 128, 128))
    _, frame = complementary_filter([row(grey, grey), ldr], [counts(0, 0), counts(10, 10)])
    plain = linear(ldr)[0]
    np.testing.assert_array_equal(frame[0, 0, 1:], plain[0, 1:])  # 250 is where clipping begins
    carried = linear(row(grey))[0, 0, 0] * math.exp(10 * PRIOR)
    assert frame[0, 0, 0] == pytest.approx(carried, rel=1e-4)
    share = (plain[1, 0] - linear(np.array(250))) / (1 - linear(np.array(250)))
    assert 0.5 < share < 0.7
    assert frame[0, 1, 0] == pytest.approx(plain[1, 0] + share * (carried - plain[1, 0]), rel=1e-4)


def test_the_filter_is_never_below_the_ldr():
    exposed, white = (240, 120, 60), (255, 255, 255)
    _, frame = complementary_filter([row(exposed), row(white)], [counts(0), counts(-30)])
    luminance = linear(row(exposed))[0, 0] @ BT709
    expected = linear(row(exposed))[0, 0, 0] / luminance  # of luminance 1
    assert frame[0, 0, 0] == pytest.approx(expected, rel=1e-4)
    np.testing.assert_array_equal(frame[0, 0, 1:], 1)


def test_the_filter_makes_grey_what_was_never_exposed_or_black():
    white = (255, 255, 255)
    frames = complementary_filter([row(white, (0, 0, 0)), row(white, white)], [counts(0, 0), counts(4, 40)])
    np.testing.assert_array_equal(frames[0][0], [[1, 1, 1], [0, 0, 0]])
    np.testing.assert_allclose(frames[1][0, 0], [math.exp(4 * PRIOR)] * 3, rtol=1e-4)
    np.testing.assert_allclose(frames[1][0, 1], [2**-10 * math.exp(40 * PRIOR)] * 3, rtol=1e-4)


def test_the_filter_remembers_colour_through_black_and_clipping():
    orange, black, white = (200, 100, 50), (0, 0, 0), (255, 255, 255)
    ldr = [row(orange), row(black), row(white), row(white)]
    frames = complementary_filter(ldr, [counts(0), counts(0), counts(60), counts(0)])
    colour = linear(row(orange))[0, 0]
    for frame in frames[2:]:
        np.testing.assert_allclose(frame[0, 0] / frame[0, 0, 0], colour / colour[0], rtol=1e-4)


def test_the_filter_refuses_frames_without_their_events():
    with pytest.raises(ValueError):
        complementary_filter([row((1, 2, 3))] * 2, [counts(0)])


def test_the_head_start_is_what_an_untrained_network_gives():
    rng = np.random.default_rng(4)
    ldr = [rng.integers(100, 240, (16, 24, 3), dtype=np.uint8)] * 2
    brighter = ldr[0].copy()
    brighter[4:12, 4:12] = 255
    ldr += [brighter, brighter]
    voxels = [np.zeros((5, 16, 24), np.float32) for _ in ldr]
    voxels[2][2, 4:12, 4:12] = 8  # what brightened so that it clips
    network = Rehdr(RehdrConfig(base_channels=2, scales=1)).eval()
    frames = (
        torch.from_numpy(np.stack(list(map(linear, ldr)))).permute(0, 3, 1, 2),
        torch.from_numpy(np.stack(voxels)),
    )
    state, expected = None, []
    with torch.no_grad():
        for image, voxel in zip(*frames, strict=True):
            radiance, state = network(image[None], voxel[None], state)
            expected.append(radiance[0].permute(1, 2, 0).numpy())
    actual = np.stack(BASELINES["head_start"](ldr, voxels))
    np.testing.assert_allclose(actual, np.stack(expected), rtol=1e-5)
    assert np.abs(actual - np.stack(list(map(linear, ldr)))).max() > 0.1, "events have moved something"


@pytest.mark.parametrize(("name", "off"), [("filter", 1e-4), ("head_start", 0.1)])
def test_what_events_tell_stays_as_the_exposure_changes(name, off):
    """In units of the new white; the head start's guess of unknown pixels follows the tones of the frame."""
    white, grey, darker = (255, 255, 255), (128, 128, 128), (116, 116, 116)
    first = [row((200, 200, 200), grey), row(white, grey)]
    voxels = [counts(0, 0), counts(6, 0), counts(0, 0)]
    kept = BASELINES[name]([*first, row(white, grey)], voxels)[-1][0, 0]
    changed, untold = (
        BASELINES[name]([*first, row(white, darker)], voxels, gains)[-1][0, 0] / 0.8
        for gains in ([1.0, 1.0, 0.8], None)
    )
    np.testing.assert_allclose(changed, kept, rtol=off)
    assert untold.min() > 1.2 * kept.max() > 1.8


def test_a_lift_multiplies_clipped_pixels_alone():
    ldr = row((255, 100, 50), (249, 100, 50))
    (frame,) = constant_lift([ldr], [counts(1, 1)], factor=1.5)
    np.testing.assert_allclose(frame, linear(ldr) * np.float32([[[1.5], [1]]]), rtol=1e-6)
    assert frame.dtype == np.float32
