import numpy as np
import pytest
import torch

from rehdr_ros.network.head_start import edges
from rehdr_ros.network.head_start.edges import LEAST_VARIANCE, RECENT, levelled, motion, quiet_for
from rehdr_ros.network.head_start.reference import NEVER, advance, initial_state

SIZE, LONG = 48, 10 * RECENT
SECONDS = torch.full((1, 1, 1, 1), 0.05)
EVERYWHERE = torch.ones(1, 1, SIZE, SIZE, dtype=torch.bool)
COLUMNS = torch.arange(SIZE).expand(1, 1, SIZE, SIZE).float()
MIDDLE = SIZE // 2
STEP = (COLUMNS >= MIDDLE).float()  # of 1 nat
UNSURE = torch.full((1, 1, SIZE, SIZE), 2.0)
BINS = 5
SPEED, SPACING = 50.0, 12  # px/s, px


def edges_at(column):
    """s since the last event: edges pass to the right, and are at that column, and every SPACING px."""
    return torch.remainder(column - COLUMNS, SPACING) / SPEED


def along(x):
    return x.transpose(-1, -2)


@pytest.mark.parametrize("turned", [along, lambda x: x])
def test_speed_and_direction_are_told_by_how_late_neighbours_fired(turned):
    delay, moving, across, down = motion(turned(edges_at(5)), SECONDS, BINS)
    if turned is along:
        across, down = down, across
    # Where an edge is between two pixels these are further apart.
    assert delay.min() > 0.99 / SPEED and delay.max() < 2.5 / SPEED
    assert (moving == 1).all() and (across == 1).all() and down.max() < 0.01


def test_a_difference_without_events_is_levelled_and_a_moving_edge_is_not():
    ghost = STEP + levelled(STEP, UNSURE, edges_at(MIDDLE + 6), EVERYWHERE, SECONDS, BINS)
    assert ghost[..., MIDDLE].max() < 0.8 and ghost[..., MIDDLE - 1].min() > 0.2
    for column in (MIDDLE, MIDDLE - 1):
        assert not levelled(STEP, UNSURE, edges_at(column), EVERYWHERE, SECONDS, BINS).any()


def test_an_edge_along_the_motion_fires_nothing_and_stays():
    change = levelled(along(STEP), UNSURE, edges_at(5), EVERYWHERE, SECONDS, BINS)
    assert change.abs().max() < 0.02


def test_where_nothing_moves_everything_stays():
    stopped = edges_at(MIDDLE + 6) + 0.051
    noise = torch.full((1, 1, SIZE, SIZE), LONG)
    noise.view(-1)[::97] = 0.01
    for quiet in (torch.full_like(noise, LONG), stopped, noise):
        assert not levelled(STEP, UNSURE, quiet, EVERYWHERE, SECONDS, BINS).any()


def test_a_delay_that_the_grid_cannot_tell_levels_nothing():
    """All have fired in the last bins: a fast motion, or a texture that fires everywhere."""
    quiet = edges_at(MIDDLE + 6)
    assert levelled(STEP, UNSURE, quiet, EVERYWHERE, SECONDS, BINS).any()
    binned = 0.005 + 0.01 * (COLUMNS % 2 + COLUMNS.transpose(-1, -2) % 2 > 1)
    assert not levelled(STEP, UNSURE, binned, EVERYWHERE, SECONDS, BINS).any()


def test_what_is_known_better_gives_way_less():
    quiet = edges_at(MIDDLE + 6)
    changes = [
        levelled(STEP, variance * UNSURE, quiet, EVERYWHERE, SECONDS, BINS)[..., MIDDLE].mean()
        for variance in (0.05, 0.5, 5)
    ]
    assert 0 > changes[0] > changes[1] > changes[2]
    known = torch.where(COLUMNS < MIDDLE, LEAST_VARIANCE, 2.0)
    change = levelled(STEP, known, quiet, EVERYWHERE, SECONDS, BINS)
    assert change[..., :MIDDLE].abs().max() < 1e-4 and change[..., MIDDLE].max() < -0.2


def test_exposed_pixels_neither_change_nor_tell():
    quiet = edges_at(MIDDLE + 6)
    change = levelled(STEP, UNSURE, quiet, COLUMNS < MIDDLE, SECONDS, BINS)
    assert not change.any(), "all clipped ones are alike"


def test_quiet_is_counted_from_the_middle_of_the_last_bin_with_events():
    grid = torch.zeros(1, 5, 1, 4)
    grid[0, 0, 0, 0] = grid[0, 1, 0, 1] = 1
    grid[0, 4, 0, 1] = -2
    quiet = quiet_for(grid, torch.tensor([0.3, 0.3, 0.3, NEVER]).view(1, 1, 1, 4), torch.tensor(0.1), NEVER)
    np.testing.assert_allclose(quiet[0, 0, 0], [0.09, 0.01, 0.4, NEVER], rtol=1e-6)


@pytest.mark.parametrize("height, width", [(1, 1), (1, 9), (7, 10)])
def test_any_size(height, width):
    planes = torch.rand((4, 1, 1, height, width), generator=torch.Generator().manual_seed(0))
    log, variance, quiet, clipped = planes
    assert levelled(log, variance, RECENT * quiet, clipped > 0.2, SECONDS, BINS).isfinite().all()


def sign(seconds):
    """Log luminance of a pattern of squares above white, that moves by 20 px/s."""
    x, y = np.arange(64) - 20 * seconds + 0.5, np.arange(64)
    squares = (np.floor(x / 9)[None] * 5 + np.floor(y / 9)[:, None] * 3) % 7 < 3
    return 1 + 1.5 * squares


@torch.no_grad()
def correlation_with_the_sign(frames=12):
    white = torch.ones(1, 3, 64, 64)
    sums = torch.tensor([[1e5, 1e5, 0, 0.25e5, -0.25e5, 1e5, 1e3, 1e5]])
    state, seconds = initial_state(white), SECONDS.view(1)
    for k in range(frames):
        times = 0.05 * (k + np.linspace(-1, 0, 6))
        grid = np.diff([sign(max(t, 0)) for t in times], axis=0) / 0.25
        state, _ = advance(white, torch.from_numpy(grid[None]).float(), state._replace(fit=sums), seconds)
    seen, there = state.log_radiance.mean(1)[0].numpy(), sign(0.05 * (frames - 1))
    return np.corrcoef(seen[8:-8, 8:-8].ravel(), there[8:-8, 8:-8].ravel())[0, 1]


def test_a_sign_above_white_that_was_never_exposed_is_less_embossed(monkeypatch):
    ours = correlation_with_the_sign()
    monkeypatch.setattr(edges, "OWN", 1e9)  # all stay as they are
    assert ours > correlation_with_the_sign() + 0.04
