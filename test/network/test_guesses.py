"""What one pixel shows of a guess, others take: a lamp's level from the end that gets exposed."""

import pytest
import torch

from rehdr_ros.network.event_fit import initial_sums, read
from rehdr_ros.network.head_start.guesses import GUESSED, LEAST, SHARE, UNKNOWN, guessed, shared
from rehdr_ros.network.head_start.pyramid import PASSED_ON
from rehdr_ros.network.head_start.reference import LOG_LIMIT, advance, initial_state

SIZE = 32
SECONDS = torch.full((1,), 0.05)
PER_EVENT = read(initial_sums(torch.zeros(1))).off.item()


def lamp(left, right):
    """A frame whose columns from `left` to `right` clip."""
    frame = torch.full((1, 3, SIZE, SIZE), 0.2)
    frame[..., left:right] = 1
    return frame


def events(value, left, right):
    grid = torch.zeros(1, 1, SIZE, SIZE)
    grid[..., left:right] = value
    return grid


def seen(*steps, explained=0.95):
    """The state after them; explained: R^2 of the events before."""
    state = initial_state(steps[0][0])
    sums = 1e5 * torch.tensor([[1, 1, 0, PER_EVENT, -PER_EVENT, 1, 1 - explained, 5]])
    state = state._replace(fit=sums)
    for frame, grid in steps:
        state, _ = advance(frame, grid, state, SECONDS)
    return state


@pytest.mark.parametrize("falls", [8, 12])
def test_the_receding_end_of_a_lamp_tells_the_level_of_the_rest(falls):
    """Its left columns were never exposed, get dark by that many events, and are seen to be at 0.2."""
    first, grid = (lamp(8, 24), events(0, 0, 0)), events(-falls, 8, 12)
    state = seen(first, first, (lamp(12, 24), grid))
    inside = state.log_radiance[0, :, 16, 12:24]
    true = torch.tensor(0.2).log().item() + falls * PER_EVENT
    assert true > 0.3 and (inside > 0.5 * true).all() and (inside < 1.6 * true).all()
    assert (inside.diff(dim=1) <= 1e-5).all()  # less, the further away
    without = seen(
        first, first, (lamp(12, 24), events(0, 0, 0))
    )  # darkened without a word: it was a white wall
    assert (without.log_radiance[0, :, 16, 12:24] < 0.1).all()


def test_a_lamp_that_is_below_white_by_its_events_and_yet_clips_was_brighter():
    first = (lamp(8, 24), events(0, 0, 0))
    state = seen(first, first, (lamp(8, 24), events(-6, 8, 12)))
    assert (state.log_radiance[0, :, 16, 8:12] < 0.4).all()  # these are at white now, or little more
    assert (state.log_radiance[0, :, 16, 12:24] > 0.4 * 6 * PER_EVENT).all()


def test_what_events_have_carried_from_an_exposure_takes_nothing_of_it():
    """The right half was exposed once: its level is known, and that of the left half is no news to it."""
    known, still = lamp(8, 16), events(0, 0, 0)
    rises = (lamp(8, 24), events(12, 16, 24))
    before = seen((known, still), rises)
    after = seen((known, still), rises, (lamp(12, 24), events(-20, 8, 12)))
    change = (after.log_radiance - before.log_radiance)[0, :, 16]
    assert (change[:, 12:15] > 0.5).all() and change[:, 17:24].abs().max() < 0.05


def test_of_a_sensor_that_does_otherwise_nothing_is_taken():
    first, falls = (lamp(8, 24), events(0, 0, 0)), (lamp(12, 24), events(-8, 8, 12))
    inside = [
        seen(first, first, falls, explained=r).log_radiance[..., 12:24].mean() for r in (0.6, 0.8, 0.95)
    ]
    assert inside[0] < 1e-3 < 0.1 < inside[1] < 0.8 * inside[2]


def test_the_first_frame_is_no_correction_of_what_was_before_it():
    state = seen((lamp(8, 24), events(-9, 0, SIZE)))
    assert not state.log_radiance[..., 8:24].any()


def test_however_wrong_a_guess_was_the_radiance_stays_in_its_limits():
    first = (lamp(2, 30), events(0, 0, 0))
    state = seen(first, *[(lamp(k, 30), events(-500, 2, k)) for k in range(6, 24, 2)])
    assert state.log_radiance.isfinite().all() and state.log_radiance.max() <= LOG_LIMIT


def test_a_level_is_a_guess_by_its_variance():
    variance = torch.tensor([0.01, GUESSED[0], sum(GUESSED) / 2, GUESSED[1], 13.0, UNKNOWN])
    assert guessed(variance).tolist() == pytest.approx([0, 0, 0.5, 1, 1, 0])


@pytest.mark.parametrize("height, width", [(1, 1), (1, 9), (5, 6), (16, 21)])
def test_what_is_shared_is_the_mean_of_what_is_told(height, width):
    generator = torch.Generator().manual_seed(0)
    wrong = torch.randn((2, 1, height, width), generator=generator)
    tells = torch.ones_like(wrong)
    torch.testing.assert_close(shared(torch.full_like(wrong, 0.4), tells), tells * 0.4 * SHARE)
    tells[0] = 0
    assert not shared(wrong, tells)[0].any()


def test_further_away_less_is_shared():
    wrong, tells = torch.zeros((2, 1, 1, 64, 64))
    wrong[..., :4, :4], tells[..., :4, :4] = 1, 1
    told = shared(wrong, tells)[0, 0].diagonal()
    assert told[0].item() == pytest.approx(SHARE)
    assert (told.diff() <= 1e-6).all() and SHARE * PASSED_ON**4 - 1e-5 <= told[-1].item() < 0.8 * SHARE


def test_less_than_that_below_white_is_no_news():
    first, small = (lamp(8, 24), events(0, 0, 0)), -0.9 * LEAST / PER_EVENT
    state = seen(first, first, (lamp(8, 24), events(small, 8, 12)))
    assert not state.log_radiance[..., 8:24].any()
