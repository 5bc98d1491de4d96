import math

import numpy as np
import pytest
import torch

from rehdr_ros.luminance import BT709
from rehdr_ros.reconstruction.clipping import clipped_fraction
from rehdr_ros.reconstruction.levels import make_levels
from rehdr_ros.reconstruction.tonemap import ToneMapper

GLOBAL = ["reinhard", "mulaw", "gamma"]
OPERATORS = [*GLOBAL, "local", "highlights"]
S = 1_000_000_000


def ramp(peak=100.0, count=300):
    """Grey pixels whose luminance rises from left to right, from a thousandth to the peak."""
    return torch.logspace(-3, np.log10(peak), count)[:, None].repeat(4, 1, 3)


def scene(height=260, width=346):
    """Coloured pixels over twenty stops, black ones and very bright ones among them."""
    torch.manual_seed(0)
    radiance = torch.exp(2 * torch.randn(height, width, 3) - 1)
    radiance[0], radiance[1] = 0, 1e4
    return radiance


def expected(operator, radiance):
    """By the formulas, of a first frame, in double precision."""
    radiance = radiance.numpy().astype(np.float64)
    y = radiance @ BT709.astype(np.float64)
    sample = y.ravel()[:: max(1, y.size // 40_000)]
    middle, white = np.exp(np.log(np.maximum(sample, 1e-4)).mean()), np.quantile(sample, 0.999)
    if operator == "mulaw":
        display = np.log1p(5000 * np.minimum(radiance / white, 1)) / math.log1p(5000)
    else:
        if operator == "reinhard":
            scaled, peak = 0.18 / middle * y, max(0.18 / middle * white, 1)
            radiance = radiance * (0.18 / middle * (1 + scaled / peak**2) / (1 + scaled))[..., None]
        display = np.minimum(radiance, 1) ** (1 / 2.2)
    return (display * 255 + 0.5).astype(np.uint8)


@pytest.mark.parametrize("operator", GLOBAL)
@pytest.mark.parametrize("path", ["__call__", "by_torch"])
def test_levels_are_those_of_the_formulas(operator, path):
    pixels, clipped = getattr(ToneMapper(operator), path)(scene(), 0)
    assert (pixels.shape, pixels.dtype) == ((260, 346, 3), np.uint8)
    difference = np.abs(pixels.astype(int) - expected(operator, scene()))
    assert difference.max() <= 1  # the rounding of values on the border of two levels
    assert (difference > 0).mean() < 5e-4
    assert clipped == clipped_fraction(pixels, 255) > 0


@pytest.mark.parametrize("operator", OPERATORS)
def test_the_kernels_give_what_torch_gives(operator):
    kernels, by_torch = ToneMapper(operator), ToneMapper(operator)
    for k, gain in enumerate((1, 3, 0.2)):
        ours, theirs = (f(gain * scene(), S // 20 * k).pixels for f in (kernels, by_torch.by_torch))
        difference = np.abs(ours.astype(int) - theirs)
        assert difference.max() <= 1
        assert (difference > 0).mean() < 5e-4


@pytest.mark.parametrize("operator", GLOBAL)
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (3, 5), (1, 2048), (2, 2049)])
def test_every_pixel_is_mapped_at_every_size(operator, shape):
    radiance = scene(*shape) if shape[0] > 1 else scene(2, shape[1])[:1] + 1
    pixels = ToneMapper(operator)(radiance, 0).pixels
    np.testing.assert_allclose(pixels.astype(int), expected(operator, radiance), atol=1)


def test_radiance_of_any_layout_is_taken_and_not_written_to():
    radiance = scene()
    contiguous = ToneMapper()(radiance, 0).pixels
    planes = radiance.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    np.testing.assert_array_equal(ToneMapper()(planes, 0).pixels, contiguous)
    assert torch.equal(radiance, scene())


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("value", [math.nan, -math.nan, math.inf, -math.inf, -1.0, 3e38, 1e-45])
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning", "ignore:overflow:RuntimeWarning")
def test_no_value_ends_the_stream(operator, value):
    mapper = ToneMapper(operator)
    for stamp in (0, S // 20):
        assert mapper(torch.full((5, 6, 3), value), stamp).pixels.shape == (5, 6, 3)
    mapper.reset()
    np.testing.assert_array_equal(mapper(scene(), S // 10).pixels, ToneMapper(operator)(scene(), 0).pixels)


@pytest.mark.parametrize(
    "value, level", [(-1.0, 0), (-math.inf, 0), (0.0, 0), (1.0, 255), (2.0, 255), (math.inf, 255)]
)
def test_values_beyond_the_display_are_its_ends(value, level):
    assert (ToneMapper("gamma")(torch.full((1, 1, 3), value), 0).pixels == level).all()


def test_levels_too_close_to_each_other_are_refused():
    with pytest.raises(ValueError, match="one bin"):
        make_levels(lambda display: 0.5 + display / 1000)


@pytest.mark.parametrize("operator", GLOBAL)
def test_display_values_rise_with_the_luminance(operator):
    row = ToneMapper(operator)(ramp(), 0).pixels[0].astype(int)
    assert (np.diff(row, axis=0) >= 0).all() and row[0].max() < 60 and row[-1].min() >= 250
    assert (row[:, 0] == row[:, 1]).all()
    assert len(np.unique(row[:, 0])) > 100


@pytest.mark.parametrize("operator", ["reinhard", "mulaw"])
def test_what_lies_above_white_is_told_apart(operator):
    display = ToneMapper(operator)(ramp(), 0).pixels
    above = display[0, ramp()[0, :, 0].numpy() > 1, 0].astype(int)
    assert above[-1] - above[0] > 40


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("level", [0.0, 0.01, 0.5, 1.0, 1e5])
def test_constant_images(operator, level):
    display = ToneMapper(operator)(torch.full((5, 6, 3), level), 0).pixels
    assert (display == display[0, 0, 0]).all()
    assert (display.max() > 0) == (level > 0)


@pytest.mark.parametrize("operator", ["reinhard", "mulaw"])
@pytest.mark.parametrize("gain", [0.1, 10.0])
def test_a_jump_of_the_light_is_followed_smoothly(operator, gain):
    mapper = ToneMapper(operator)
    middle = (0, 150, 0)
    before = int(mapper(ramp(), 0).pixels[middle])
    again = int(mapper(ramp(), S // 20).pixels[middle])
    assert again == before
    after = [int(mapper(gain * ramp(), S // 20 * k).pixels[middle]) for k in range(2, 100)]
    assert abs(after[0] - before) > 10  # the jump is seen
    steps = np.abs(np.diff(after))
    assert steps.max() < abs(after[0] - before) / 2
    assert abs(after[-1] - before) <= 3  # and adapted to
    assert (np.diff(after) * np.sign(before - after[0]) >= 0).all()


def test_the_time_between_frames_decides_not_their_number():
    slow, fast = ToneMapper(), ToneMapper()
    slow(ramp(), 0)
    fast(ramp(), 0)
    for k in range(1, 11):
        last = fast(10 * ramp(), k * S // 10).pixels.astype(int)
    np.testing.assert_allclose(slow(10 * ramp(), S).pixels.astype(int), last, atol=1)


@pytest.mark.parametrize("operator", ["reinhard", "mulaw"])
def test_a_reset_forgets_the_light(operator):
    mapper = ToneMapper(operator)
    first = mapper(100 * ramp(), 0).pixels
    mapper.reset()
    mapper(ramp(), 0)
    assert not np.array_equal(mapper(100 * ramp(), S // 20).pixels, first)
    mapper.reset()
    np.testing.assert_array_equal(mapper(100 * ramp(), S // 10).pixels, first)


@pytest.mark.parametrize("operator", OPERATORS)
def test_colours_stay_what_they_are(operator):
    radiance = torch.tensor([0.6, 0.3, 0.1]) * ramp(1.0, 50)
    display = ToneMapper(operator)(radiance, 0).pixels[0, 25].tolist()
    assert display[0] > display[1] > display[2]


def halves(bright, height=96, width=192):
    """A wall of level 1 beside one of level `bright`, both with the same grain of a tenth."""
    radiance = torch.ones(height, width, 3)
    radiance[:, width // 2 :] = bright
    radiance[::2, ::2] *= 1.1
    return radiance


@pytest.mark.parametrize("path", ["__call__", "by_torch"])
@pytest.mark.parametrize("bright", [1.0, 16.0])
def test_local_adapts_to_the_surroundings(path, bright):
    """Away from the border the surroundings are the wall's own level."""
    display = getattr(ToneMapper("local"), path)(halves(bright), 0).pixels[..., 0].astype(float)
    key = 0.36 / (math.sqrt(bright) * 1.1**0.25)  # of the log-average
    for column, level in ((8, 1.0), (184, bright)):
        scaled = key * level
        expected = 255 * (scaled / (1 + 3 * scaled * 1.1**0.25)) ** (1 / 2.2)
        assert display[49, column] == pytest.approx(expected, abs=1)
        assert display[48, column] == pytest.approx(1.1 ** (1 / 2.2) * expected, abs=1.5)


def test_local_keeps_the_detail_of_what_is_bright():
    def grain(operator):
        radiance = halves(1.0)
        radiance[:, 144:] *= 50
        radiance[:8, -8:] = 2000  # a lamp: the wall is not the brightest
        display = ToneMapper(operator)(radiance, 0).pixels[..., 0].astype(float)
        return display[48, 184] - display[49, 184]

    assert grain("local") > 2 * grain("reinhard")


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (3, 5), (1, 2048), (33, 2), (260, 346)])
def test_local_maps_images_of_every_size(shape):
    radiance = torch.full((*shape, 3), 0.7)
    display = ToneMapper("local")(radiance, 0).pixels
    assert display.shape == radiance.shape
    assert (display == round(255 * (0.36 / (1 + 3 * 0.36)) ** (1 / 2.2))).all()


def lamp(level=8.0, height=120, width=160):
    """A dark wall with a grain of a tenth and, on it, a striped lamp of that level; and where the lamp is."""
    radiance = torch.full((height, width, 3), 0.1)
    radiance[::2, ::2] *= 1.1
    inside = torch.zeros(height, width, dtype=torch.bool)
    inside[40:80, 60:100] = True
    radiance[inside] = level
    radiance[:, 60:100:8][40:80] *= 0.6
    radiance[:, 61:100:8][40:80] *= 0.6
    return radiance, inside.numpy()


def highlights(radiance, *others):
    return ToneMapper("highlights")(radiance, 0, *others).pixels.astype(int)


def test_highlights_leave_a_frame_in_which_nothing_clips_as_it_is():
    radiance = torch.rand(100, 130, 3, generator=torch.Generator().manual_seed(0))
    np.testing.assert_array_equal(highlights(radiance), ToneMapper("gamma")(radiance, 0).pixels)


@pytest.mark.parametrize("level", [2.0, 8.0, 60.0])
def test_highlights_show_what_is_above_white_and_leave_the_wall_beside_it(level):
    radiance, inside = lamp(level)
    display, camera = highlights(radiance), ToneMapper("gamma")(radiance, 0).pixels
    np.testing.assert_array_equal(display[~inside], camera[~inside])
    assert np.ptp(camera[inside]) == 0
    assert display[60, 80, 0] - display[60, 77, 0] > 20  # a stripe away from the rim
    assert display[inside].min() > camera[~inside].max()


def test_highlights_keep_the_margin_of_a_sign_beside_a_window():
    """The sign is dark print on paper below white; what lies behind is four stops above."""
    radiance = torch.full((120, 160, 3), 16.0)
    radiance[:, 80:] = 0.2
    radiance[40:80, 70:110], radiance[46:74, 76:104] = 0.6, 0.15
    display, camera = highlights(radiance), ToneMapper("gamma")(radiance, 0).pixels.astype(int)
    margin, ink = (slice(47, 73), slice(71, 75)), (slice(50, 70), slice(80, 100))
    np.testing.assert_array_equal(display[ink], camera[ink])
    contrast = (display[margin] - display[ink].mean()).min()
    assert contrast > 0.7 * (camera[margin] - camera[ink].mean()).min()


def test_highlights_of_bright_colours_are_told_apart_too():
    radiance, inside = lamp()
    radiance[torch.from_numpy(inside)] *= torch.tensor([1.0, 0.6, 0.3])
    display = highlights(radiance)[60, 64]
    assert display[0] > display[1] > display[2]


def test_highlights_of_what_is_uncertain_are_flat():
    radiance, inside = lamp()

    def contrast(sigma):
        display = highlights(radiance, torch.full(radiance.shape[:2], sigma))[60, 60:100, 0]
        return display.max() - display.min()

    certain, doubtful, unknown = map(contrast, (0.0, 0.35, math.inf))
    assert certain > 1.2 * doubtful > 1.2 * unknown


def test_highlights_follow_the_cameras_white_smoothly():
    radiance, _ = lamp()
    np.testing.assert_array_equal(highlights(8 * radiance, None, 8.0), highlights(radiance))
    mapper = ToneMapper("highlights")
    before = mapper(radiance, 0).pixels[5, 5, 0]
    levels = [int(mapper(radiance, S // 20 * k, None, 4.0).pixels[5, 5, 0]) for k in range(1, 60)]
    assert before > levels[0] > levels[10] > levels[-1]
    assert np.abs(np.diff([before, *levels])).max() < 10
    assert levels[-1] == pytest.approx(255 * (0.1 / 4) ** (1 / 2.2), abs=1)


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (33, 2), (65, 70), (129, 64), (260, 347)])
def test_highlights_by_torch_at_every_size(shape):
    radiance, sigma = torch.exp(2 * torch.randn(*shape, 3)), torch.rand(shape)
    by_torch = ToneMapper("highlights").by_torch(radiance, 0, sigma, 1.5).pixels
    difference = np.abs(highlights(radiance, sigma, 1.5) - by_torch)
    assert difference.max() <= 1 and (difference > 0).mean() < 1e-3


@pytest.mark.parametrize("operator, most", [("reinhard", 6), ("local", 3)])
def test_a_lamp_that_enters_hardly_moves_the_rest(operator, most):
    """Levels a frame at 20 Hz, away from a lamp that goes on and off over a quarter of the picture."""
    mapper = ToneMapper(operator)
    levels = []
    for k in range(40):
        radiance = halves(1.0)
        if 10 <= k < 25:
            radiance[:, 144:] *= 50
        levels.append(mapper(radiance, S // 20 * k).pixels[:, :48].astype(float).mean())
    assert np.abs(np.diff(levels)).max() <= most
    assert np.ptp(levels) > 2  # it does adapt


def test_a_lamp_that_enters_moves_nothing_of_the_rest_with_highlights():
    mapper = ToneMapper("highlights")
    away = mapper(0.2 * lamp(0.1)[0], 0).pixels[:, :50]
    np.testing.assert_array_equal(mapper(0.2 * lamp(500.0)[0], S // 20).pixels[:, :50], away)


def test_a_large_image_is_mapped_by_a_sample():
    display = ToneMapper()(ramp(count=1000).repeat(300, 1, 1), 0).pixels
    exact = ToneMapper()(ramp(count=1000), 0).pixels
    np.testing.assert_allclose(display[:4].astype(int), exact.astype(int), atol=4)


def test_an_unknown_operator_is_refused():
    with pytest.raises(ValueError, match="'filmic'.*reinhard, mulaw, gamma, local, highlights"):
        ToneMapper("filmic")


@pytest.mark.parametrize("every", [1, 16, 20, 2000])
def test_white_is_a_quantile_wherever_what_is_bright_lies(every):
    radiance = torch.rand(100, 200, 3, generator=torch.Generator().manual_seed(0))
    radiance.view(-1, 3)[::every] += 5
    mapper = ToneMapper()
    mapper(radiance, 0)
    white = np.quantile(radiance.view(-1, 3).numpy() @ BT709, 0.999)
    assert mapper.exposure[1] == pytest.approx(white, rel=1e-5)
