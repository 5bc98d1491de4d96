import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehdr_ros.events import Events, voxel_grid

HEIGHT, WIDTH = 6, 9


def contract(events, t0, t1, bins):
    """The voxel grid as its definition says, in float64."""
    grid = np.zeros((bins, HEIGHT, WIDTH))
    used = events[(events.t > t0) & (events.t <= t1) & (events.x < WIDTH) & (events.y < HEIGHT)]
    position = (bins - 1) * (used.t - t0) / (t1 - t0)
    for b in range(bins):
        weight = np.maximum(0, 1 - np.abs(position - b))
        np.add.at(grid[b], (used.y, used.x), weight * (2.0 * used.p - 1))
    return grid


EVENT = st.tuples(st.integers(-50, 1050), st.integers(0, WIDTH), st.integers(0, HEIGHT), st.integers(0, 1))
EPOCH = 1_700_000_000 * 10**9


@given(st.lists(EVENT, min_size=1, max_size=80), st.integers(1, 7), st.sampled_from([1, 1000, 40_000_000]))
def test_it_is_what_the_contract_says(rows, bins, unit):
    t, x, y, p = np.array(rows).T
    events = Events(EPOCH + t * unit, x, y, p)
    grid = voxel_grid(events, EPOCH, EPOCH + 1000 * unit, bins, HEIGHT, WIDTH)
    assert grid.dtype == np.float32
    np.testing.assert_allclose(grid, contract(events, EPOCH, EPOCH + 1000 * unit, bins), atol=1e-4)


@pytest.fixture
def events():
    random = np.random.default_rng(0)
    columns = (random.integers(0, n, 5000) for n in (WIDTH, HEIGHT, 2))
    return Events(np.sort(random.integers(1, 1001, 5000)), *columns)


@pytest.mark.parametrize("bins", [1, 2, 5])
def test_polarity_is_conserved(events, bins):
    grid = voxel_grid(events, 0, 1000, bins, HEIGHT, WIDTH)
    assert grid.sum(dtype=np.float64) == pytest.approx(2 * events.p.sum(dtype=int) - len(events), abs=1e-2)
    assert np.abs(grid).max() > 1


def test_an_event_belongs_to_the_interval_that_it_ends():
    event = Events([100], [2], [1], [1])
    assert voxel_grid(event, 0, 100, 5, HEIGHT, WIDTH)[4, 1, 2] == 1
    assert not voxel_grid(event, 100, 200, 5, HEIGHT, WIDTH).any()


@pytest.mark.parametrize("t0, t1", [(500, 500), (501, 500)])
def test_an_empty_interval_is_zero(events, t0, t1):
    assert not voxel_grid(events, t0, t1, 5, HEIGHT, WIDTH).any()


def test_no_events_are_zero():
    grid = voxel_grid(Events.empty(), 0, 1000, 5, HEIGHT, WIDTH)
    assert grid.shape == (5, HEIGHT, WIDTH) and not grid.any()


def test_a_given_buffer_is_overwritten(events):
    out = np.full((5, HEIGHT, WIDTH), 7, np.float32)
    assert voxel_grid(events, 0, 1000, 5, HEIGHT, WIDTH, out=out) is out
    np.testing.assert_array_equal(out, voxel_grid(events, 0, 1000, 5, HEIGHT, WIDTH))
    assert not voxel_grid(Events.empty(), 0, 1000, 5, HEIGHT, WIDTH, out=out).any()


@pytest.mark.parametrize(
    "out",
    [
        np.zeros((4, HEIGHT, WIDTH), np.float32),
        np.zeros((5, HEIGHT, WIDTH)),
        np.zeros((5, WIDTH, HEIGHT), np.float32).transpose(0, 2, 1),
    ],
)
def test_an_unfit_buffer_is_refused(events, out):
    with pytest.raises(ValueError, match="out must be"):
        voxel_grid(events, 0, 1000, 5, HEIGHT, WIDTH, out=out)


def test_a_grid_without_bins_is_refused(events):
    with pytest.raises(ValueError, match="bin"):
        voxel_grid(events, 0, 1000, 0, HEIGHT, WIDTH)


def test_events_within_an_exposure_are_shared_with_the_next_interval(events):
    exposures = (200, 300, 100)  # around 0, 1000 and 2000
    later = Events(events.t + 1000, events.x, events.y, events.p)
    stream = Events.concatenate([events, later])
    grids = [
        voxel_grid(stream, t0, t0 + 1000, 5, HEIGHT, WIDTH, exposures=exposures[k : k + 2])
        for k, t0 in enumerate((0, 1000))
    ]

    def passed(t, middle, length):
        return np.clip((t - (middle - length // 2)) / length, 0, 1)

    for k, (grid, t0) in enumerate(zip(grids, (0, 1000), strict=True)):
        share = passed(stream.t, t0, exposures[k]) - passed(stream.t, t0 + 1000, exposures[k + 1])
        expected = np.zeros((HEIGHT, WIDTH))
        np.add.at(expected, (stream.y, stream.x), share * (2.0 * stream.p - 1))
        np.testing.assert_allclose(grid.sum(0), expected, atol=1e-4)
    # Between the outer exposures: in the two grids together once.
    middle = (stream.t > 100) & (stream.t <= 1950)
    alone = stream[middle]
    total = sum(
        voxel_grid(alone, t0, t0 + 1000, 1, HEIGHT, WIDTH, exposures=exposures[k : k + 2])
        for k, t0 in enumerate((0, 1000))
    )
    np.testing.assert_allclose(total, voxel_grid(alone, 0, 2000, 1, HEIGHT, WIDTH), atol=1e-4)


def test_an_event_beyond_the_middle_of_an_exposure_counts_in_the_outer_bin():
    early, late = Events([-40], [2], [1], [1]), Events([1050], [2], [1], [1])
    grid = voxel_grid(early, 0, 1000, 5, HEIGHT, WIDTH, exposures=(100, 0))
    assert grid[:, 1, 2] == pytest.approx([0.1, 0, 0, 0, 0])
    grid = voxel_grid(late, 0, 1000, 5, HEIGHT, WIDTH, exposures=(0, 200))
    assert grid[:, 1, 2] == pytest.approx([0, 0, 0, 0, 0.25])


def test_the_order_of_many_events_does_not_matter():
    """One event a pixel: in the order of time most blocks lie between the exposures, shuffled none does."""
    height, width = 150, 200
    random = np.random.default_rng(1)
    y, x = np.divmod(random.permutation(height * width), width)
    t = np.sort(random.integers(-100, 1200, len(x)))
    x[:50], y[50:100] = width, height
    events = Events(t, x, y, random.integers(0, 2, len(x)))
    grids = [
        voxel_grid(e, 0, 1000, 5, height, width, exposures=(80, 120))
        for e in (events, events[random.permutation(len(x))])
    ]
    np.testing.assert_array_equal(*grids)
    used = events[100:][(events.t[100:] > -40) & (events.t[100:] <= 1060)]
    assert np.count_nonzero(np.abs(grids[0]).sum(0)) > 0.98 * len(used)
    whole = (events.t > 40) & (events.t <= 940) & (events.x < width) & (events.y < height)
    total = grids[0].sum(0, dtype=np.float64)[events.y[whole], events.x[whole]]
    np.testing.assert_allclose(total, 2.0 * events.p[whole] - 1, atol=1e-6)
