import math

import pytest

from rehdr_ros.training.odometry import KINDS, Run
from rehdr_ros.training.odometry_results import summary, table

CLIPPED = list(KINDS)[-1]


def runs(variant, errors, found=1.0):
    """One a drive, two seeds."""
    return [
        Run(drive, CLIPPED, seed, variant, found, error + 0.001 * seed)
        for drive, error in enumerate(errors)
        for seed in range(2)
    ]


def test_medians_shares_and_ratios():
    ldr = [
        *runs("LDR", [0.04, 0.05, 0.06]),
        Run(3, CLIPPED, 0, "LDR", 0.5, 0.001),
        Run(3, CLIPPED, 1, "LDR", 0.9, 0.05),
    ]
    ours = runs("HDR, local", [0.02, 0.025, 0.03, 0.025])
    report = summary([*ldr, *ours])
    assert report["all clipped"] == report[CLIPPED]
    assert list(report) == [CLIPPED, "all clipped"] and list(report[CLIPPED]) == ["LDR", "HDR, local"]
    mine, theirs = report[CLIPPED]["HDR, local"], report[CLIPPED]["LDR"]
    assert (theirs["drives"], theirs["runs"], theirs["lost"], mine["lost"]) == (4, 8, 0.125, 0)
    assert theirs["median_error"] == pytest.approx((0.05 + 0.051) / 2), "the lost one is the worst"
    assert theirs["error_over_ldr"] == 1 and theirs["interval"] == (1, 1)
    low, high = mine["interval"]
    assert 0.4 < low <= mine["error_over_ldr"] <= high < 0.6
    assert mine["lost_over_ldr"] == 0


def test_where_all_are_lost_there_is_no_ratio():
    report = summary([*runs("LDR", [0.01], found=0.79), *runs("HDR, local", [0.01], found=0.8)])
    ours, ldr = report[CLIPPED]["HDR, local"], report[CLIPPED]["LDR"]
    assert ldr["lost"] == 1 and ours["lost"] == 0
    assert math.isinf(ldr["median_error"]) and math.isnan(ours["error_over_ldr"])
    row = table(report).splitlines()[4]
    assert row == "| LDR | 1.00 | lost | nan (nan to nan) | 1.00 |"


def test_noise_without_a_difference_has_one_in_its_interval():
    ldr = runs("LDR", [0.02, 0.05, 0.03, 0.04, 0.06])
    other = runs("HDR, local", [0.03, 0.04, 0.05, 0.02, 0.06])
    low, high = summary([*ldr, *other])[CLIPPED]["HDR, local"]["interval"]
    assert low < 1 < high
