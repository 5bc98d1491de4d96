import numpy as np
import pytest
import torch

from rehdr_ros.reconstruction.tonemap import ToneMapper

OPERATORS = ["reinhard", "mulaw", "gamma"]
S = 1_000_000_000


def ramp(peak=100.0, count=300):
    """Grey pixels whose luminance rises from left to right, from a thousandth to the peak."""
    return torch.logspace(-3, np.log10(peak), count).expand(1, 3, 4, count).contiguous()


@pytest.mark.parametrize("operator", OPERATORS)
def test_display_values_rise_with_the_luminance(operator):
    display = ToneMapper(operator)(ramp(), 0)
    assert (display.shape, display.dtype) == ((4, 300, 3), torch.uint8)
    row = display[0].int()
    assert (row.diff(dim=0) >= 0).all() and row[0].max() < 60 and row[-1].min() >= 250
    assert (row[:, 0] == row[:, 1]).all()
    levels = len(row[:, 0].unique())
    assert levels > 100


@pytest.mark.parametrize("operator", ["reinhard", "mulaw"])
def test_what_lies_above_white_is_told_apart(operator):
    display = ToneMapper(operator)(ramp(), 0)
    above = display[0, ramp()[0, 0, 0] > 1, 0]
    assert above[-1] - above[0] > 40


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("level", [0.0, 0.01, 0.5, 1.0, 1e5])
def test_constant_images(operator, level):
    display = ToneMapper(operator)(torch.full((1, 3, 5, 6), level), 0)
    assert (display == display[0, 0, 0]).all()
    assert (display.max() > 0) == (level > 0)


@pytest.mark.parametrize("operator", ["reinhard", "mulaw"])
@pytest.mark.parametrize("gain", [0.1, 10.0])
def test_a_jump_of_the_light_is_followed_smoothly(operator, gain):
    mapper = ToneMapper(operator)
    middle = (0, 150, 0)
    before = int(mapper(ramp(), 0)[middle])
    again = int(mapper(ramp(), S // 20)[middle])
    assert again == before
    after = [int(mapper(gain * ramp(), S // 20 * k)[middle]) for k in range(2, 100)]
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
        last = fast(10 * ramp(), k * S // 10)
    np.testing.assert_allclose(slow(10 * ramp(), S), last, atol=1)


@pytest.mark.parametrize("operator", ["reinhard", "mulaw"])
def test_a_reset_forgets_the_light(operator):
    mapper = ToneMapper(operator)
    expected = mapper(100 * ramp(), 0)
    mapper.reset()
    mapper(ramp(), 0)
    assert not torch.equal(mapper(100 * ramp(), S // 20), expected)
    mapper.reset()
    assert torch.equal(mapper(100 * ramp(), S // 10), expected)


@pytest.mark.parametrize("operator", OPERATORS)
def test_colours_stay_what_they_are(operator):
    radiance = torch.tensor([0.6, 0.3, 0.1]).view(1, 3, 1, 1) * ramp(1.0, 50)
    display = ToneMapper(operator)(radiance, 0)[0, 25].tolist()
    assert display[0] > display[1] > display[2]


def test_a_large_image_is_mapped_by_a_sample():
    display = ToneMapper()(ramp(count=1000).repeat(1, 1, 300, 1), 0)
    np.testing.assert_allclose(display[:4].float(), ToneMapper()(ramp(count=1000), 0).float(), atol=4)


def test_an_unknown_operator_is_refused():
    with pytest.raises(ValueError, match="'filmic'.*reinhard, mulaw, gamma"):
        ToneMapper("filmic")
