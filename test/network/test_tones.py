import math

import numpy as np
import pytest
import torch

from rehdr_ros.network.head_start.tones import BELOW, MEMORY, MOST, SHARE, excess, initial_tones, update
from rehdr_ros.network.integrator import CLIPPED

LONG = torch.tensor([100.0]).view(1, 1, 1, 1)


def frame(radiance):
    """(1, 3, H, W), grey, of (H, W)."""
    return torch.as_tensor(radiance, dtype=torch.float32).expand(1, 3, -1, -1).clamp_max(1).contiguous()


def likely(*frames, seconds=LONG):
    tones = initial_tones(frames[0])
    for each in frames:
        tones = update(tones, each, CLIPPED, seconds)
    return excess(tones)


@pytest.mark.parametrize("mean", [0.1, 0.4, 0.7])
def test_an_exponential_tail_gives_its_share_of_its_mean(mean):
    """log radiance beyond some level below white falls off exponentially, by quantiles."""
    quantiles = (np.arange(160_000) + 0.5) / 160_000
    log = -0.5 - mean * np.log1p(-quantiles)
    found = likely(frame(np.exp(log).reshape(400, 400))).item()
    width = -math.log(BELOW)  # over which the density falls off, too
    assert found == pytest.approx(SHARE * width / math.expm1(width / mean), rel=0.02)


def test_a_gap_below_white_is_that_of_lamps_and_none_above_it_gives_nothing():
    lamps = np.full((8, 8), 0.3)
    lamps[2:4] = 9
    assert likely(frame(lamps)).item() == pytest.approx(MOST)
    assert likely(frame(np.full((8, 8), 0.9))).item() == 0
    assert likely(frame(np.full((8, 8), 0.3))).item() == 0


def test_a_channel_that_clips_is_enough():
    red = frame(np.full((8, 8), 0.9))
    assert likely(red).item() == 0
    red[:, 0, :4] = 1
    assert likely(red).item() == pytest.approx(SHARE * -math.log(BELOW))  # as many as nearly do


def test_the_old_fades_by_the_second():
    below, above = frame(np.full((8, 8), 0.9)), frame(np.full((8, 8), 2.0))
    second = torch.ones(1, 1, 1, 1)
    tones = update(update(initial_tones(below), below, CLIPPED, LONG), above, CLIPPED, 0.1 * second)
    left = math.exp(-0.1 / MEMORY)
    np.testing.assert_allclose(tones, [[1 - left, left]], rtol=1e-5)
    at_once = update(update(initial_tones(below), below, CLIPPED, LONG), below, CLIPPED, 0 * second)
    np.testing.assert_allclose(at_once, [[0, 1]])


def test_each_of_a_batch_has_its_own():
    both = torch.cat((frame(np.full((4, 4), 0.9)), frame(np.full((4, 4), 2.0))))
    assert likely(both, seconds=LONG.expand(2, 1, 1, 1)).flatten().tolist() == pytest.approx([0, MOST])
