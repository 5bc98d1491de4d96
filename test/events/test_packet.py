import numpy as np
import pytest

from rehdr_ros.events import Events


@pytest.fixture
def events():
    return Events([10, 20, 30], [1, 2, 3], [4, 5, 6], [0, 1, 0])


def test_columns_have_the_dtypes_of_the_contract(events):
    assert [column.dtype for column in (events.t, events.x, events.y, events.p)] == [
        np.int64,
        np.uint16,
        np.uint16,
        np.uint8,
    ]


@pytest.mark.parametrize("which", [slice(1, None), np.array([False, True, True]), np.array([1, 2])])
def test_selection_keeps_the_columns_together(events, which, assert_same_events):
    assert_same_events(events[which], Events([20, 30], [2, 3], [5, 6], [1, 0]))


def test_concatenation(events, assert_same_events):
    assert_same_events(Events.concatenate([events[:1], Events.empty(), events[1:]]), events)
    assert_same_events(Events.concatenate([]), Events.empty())
    assert len(Events.empty()) == 0


def test_shift_leaves_the_original_alone(events):
    assert events.shifted(5).t.tolist() == [15, 25, 35]
    assert events.t.tolist() == [10, 20, 30]


@pytest.mark.parametrize("offset", [2**63, -(2**64) + 7, 10**30])
def test_no_shift_raises(events, offset):
    assert len(events.shifted(offset)) == 3
    assert events.shifted(2**64 + 5).t.tolist() == [15, 25, 35]


def test_columns_of_different_length_are_refused():
    with pytest.raises(ValueError, match="one length"):
        Events([1, 2], [1], [1, 2], [1, 2])
