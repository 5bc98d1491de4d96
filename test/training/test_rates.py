"""One scene at two frame rates."""

import pytest

from rehdr_ros.network import load_checkpoint
from rehdr_ros.training import rates
from rehdr_ros.training.benchmark import cases


@pytest.fixture(scope="module")
def case():
    return next(cases(size=48))


def test_errors_of_pixels_that_clip_for_long_are_alike_at_both_rates(case):
    scores = rates.compare(case, {"ours": load_checkpoint("rehdr_s")}, 5)
    low, high, difference = scores["ours"].values()
    assert list(scores["ours"]) == ["clipped_log2_rmse_10_hz", "clipped_log2_rmse_40_hz", "difference"]
    assert difference == pytest.approx(max(low, high) / min(low, high) - 1)
    assert min(low, high) > 0.05 and difference < 0.5


def test_only_stamps_of_both_count(case):
    """Of frames between them what a network makes is of no consequence."""
    network, seen = load_checkpoint("rehdr_t"), []
    step = network.step

    def noted(*args):
        estimate, state = step(*args)
        wrong = 1 if len(seen) % 4 == 0 else 9
        seen.append(wrong)
        return estimate._replace(radiance=estimate.radiance * wrong), state

    expected = rates.compare(case, {"ours": network}, 5)["ours"]["clipped_log2_rmse_40_hz"]
    network.step = noted
    assert rates.compare(case, {"ours": network}, 5)["ours"]["clipped_log2_rmse_40_hz"] == pytest.approx(
        expected
    )
    assert len(seen) == 100
