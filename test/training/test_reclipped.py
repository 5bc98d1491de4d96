import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from rehdr_ros.errors import InputError
from rehdr_ros.events import Events
from rehdr_ros.network import Rehdr, RehdrConfig
from rehdr_ros.training.evaluation import compare
from rehdr_ros.training.footage import Footage, Timing, read_footage
from rehdr_ros.training.reclipped import Reclipped, lift, reclipped

CLIPPED = (250 / 255) ** 2.2


@pytest.fixture
def ramp():
    """Two frames, each pixel of its own level from 0.01 to 0.8, and one saturated pixel."""
    linear = torch.linspace(0.01, 0.8, 200).reshape(2, 1, 10, 10).repeat(1, 3, 1, 1)
    linear[0, :, 0, 0] = 1
    saturated = (linear == 1).any(1)
    at = np.arange(1, 41) * 1_000_000
    events = Events(at, at * 0 + 3, at * 0 + 4, at * 0 + 1)
    return Footage("ramp", linear, saturated, np.array([0, 40_000_000]), np.array([0.01, 0.01]), events)


@pytest.mark.parametrize("share", [0.15, 0.3])
def test_the_share_of_all_the_recordings_pixels_exceeds_white(ramp, share):
    sequence = reclipped(ramp, share, bins=5)
    truth = sequence.truth[:, 0]
    assert torch.isnan(truth).nonzero().tolist() == [[0, 0, 0]], "saturated in the original: nobody knows"
    above = torch.nan_to_num(truth, nan=9) > 1
    assert float(above.float().mean()) == pytest.approx(share, abs=0.006)
    assert not above[0].flatten()[1:].any() and above[1].any(), "one factor for both frames"
    known = ~torch.isnan(truth)
    ratio = (truth / ramp.linear[:, 0])[known]
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio))


def test_the_frame_is_what_an_8_bit_camera_shows_of_the_truth(ramp):
    sequence = reclipped(ramp, 0.3, bins=5)
    truth, ldr = torch.nan_to_num(sequence.truth, nan=9.0), sequence.ldr
    assert (ldr[truth >= 1] == 1).all()
    levels = 255 * ldr ** (1 / 2.2)
    torch.testing.assert_close(levels, levels.round(), atol=1e-3, rtol=0)
    assert (levels - 255 * truth.clamp(0, 1) ** (1 / 2.2)).abs().max() < 0.501
    assert sequence.gain.tolist() == [1, 1]


def test_events_stay_as_they_are(ramp):
    sequence = reclipped(ramp, 0.3, bins=5, timing=Timing("start"))
    assert sequence.voxel.shape == (2, 5, 10, 10) and not sequence.voxel[0].any()
    assert sequence.voxel[1].sum() == sequence.voxel[1, :, 4, 3].sum() == 40
    assert reclipped(ramp, 0.3, 5, Timing("middle")).voxel.sum() == 35, "from 5 ms on"


def test_shares_that_cannot_be(ramp):
    with pytest.raises(InputError, match="between 0 and 1"):
        reclipped(ramp, 1.0, 5)
    with pytest.raises(InputError, match="ramp: the brightest 0.1 % of its pixels are saturated already"):
        reclipped(ramp, 0.001, 5)
    with pytest.raises(InputError, match="less than 30 % of its pixels have any light"):
        reclipped(replace(ramp, linear=0 * ramp.linear), 0.3, 5)


def test_the_lift_is_the_mean_log_ratio_of_clipped_pixels_in_scored_frames(ramp):
    sequence = reclipped(ramp, 0.3, bins=5)
    truth, ldr = sequence.truth[1, 0].numpy(), sequence.ldr[1, 0].numpy()
    clipped = ldr >= CLIPPED
    assert lift(sequence) == pytest.approx(np.log2(truth / ldr)[clipped].mean(), rel=1e-4)
    assert 0.1 < lift(sequence) < 0.5


@pytest.fixture
def three(ramp):
    """Recordings of other contrast; the last one's events come twice as often."""
    twice = Events(ramp.events.t // 2, ramp.events.x, ramp.events.y, ramp.events.p)
    square = replace(ramp, name="square", linear=ramp.linear**2)
    return [ramp, square, replace(ramp, name="busy", events=twice)]


def rows_of(footages, **settings):
    shares = [0.2, 0.4]
    return dict(Reclipped(footages, shares, 5, Timing("start"), **settings).comparisons({}))


def test_recordings_are_compared_at_every_share_from_the_second_frame_on(three):
    sequences = Reclipped(three, [0.2, 0.4], 5, Timing("start"))
    comparisons = dict(sequences.comparisons({}))
    names = [f"{name} {share}%" for name in ("ramp", "square", "busy") for share in (20, 40)]
    assert list(comparisons) == names and len(sequences) == len(names)
    assert {comparison.skipped for comparison in comparisons.values()} == {1}
    assert all(math.isfinite(c.scores()["ldr"]["clipped_log2_rmse"]) for c in comparisons.values())


def test_the_constant_lift_is_best_on_the_other_recordings(three):
    lifts = [np.mean([lift(reclipped(f, share, 5)) for share in (0.2, 0.4)]) for f in three]
    for name, others in (("ramp", lifts[1:]), ("square", lifts[::2]), ("busy", lifts[:2])):
        comparison = rows_of(three)[f"{name} 40%"]
        ratio = comparison.rows["constant_lift"][1] / comparison.rows["ldr"][1]
        assert ratio.max() == pytest.approx(2 ** np.mean(others), rel=1e-5)
    assert "constant_lift" not in rows_of(three[:1])["ramp 40%"].rows, "a single recording has no others"


def test_wrong_events_are_those_of_the_busiest_other_recording_and_late_ones(three):
    torch.manual_seed(0)
    network = Rehdr(RehdrConfig(base_channels=2, scales=1)).eval()
    timing, (ramp, _, busy) = Timing("start"), three
    wrong = {", another recording's events": ramp.with_events_of(busy)}
    wrong[", events 50 ms late"] = ramp.late(0.05)
    wrong = {name: footage.grids(5, timing) for name, footage in wrong.items()}
    assert [float(grid.sum()) for grid in wrong.values()] == [79, 0], (
        "40 in 20 ms, and in 40 ms what is late isn't there"
    )
    expected = compare(reclipped(ramp, 0.4, 5, timing), {"x": network}, others=wrong).rows
    comparisons = Reclipped(three, [0.4], 5, timing, wrong_events=True).comparisons({"x": network})
    rows = dict(comparisons)["ramp 40%"].rows
    assert {*rows} - {"constant_lift"} == {*expected}
    for name in wrong:
        np.testing.assert_array_equal(rows["x" + name], expected["x" + name])
    complaint = "ramp: another recording's events need another recording of the same size"
    with pytest.raises(InputError, match=complaint):
        list(Reclipped(three[:1], [0.4], 5, timing, wrong_events=True).comparisons({}))


@pytest.mark.parametrize("name", ["davis346", "demo-01", "street"])
def test_real_recordings(shared, name):
    footage = read_footage(shared / f"data/recordings/{name}.aedat4")
    sequence = reclipped(footage, 0.3, bins=5)
    assert len(sequence) == len(footage)
    above = torch.nan_to_num(sequence.truth.amax(1), nan=9) > 1
    clipped = sequence.ldr.amax(1) >= CLIPPED
    assert 0.25 < float(above.float().mean()) <= 0.3, "values of 8 bit: as near as they go"
    assert (clipped | ~above).all()
    assert torch.equal(sequence.truth.isnan().all(1), footage.saturated)
