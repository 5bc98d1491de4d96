from dataclasses import replace

import numpy as np
import pytest
import torch

from rehdr_ros.network import Rehdr, RehdrConfig
from rehdr_ros.training.sequence import collate
from rehdr_ros.training.simulated import linearise
from rehdr_ros.training.validation import encoded, images, validate

METHODS = ("ours", "ours_without_events", "ldr", "constant_fill")


@pytest.fixture(scope="module")
def head_start():
    """An untrained network: what it returns are the head start's values."""
    torch.manual_seed(0)
    return Rehdr(RehdrConfig(base_channels=4, scales=1)).eval()


def test_the_network_is_measured_with_and_without_events_beside_baselines(head_start, sequences):
    """With events the head start beats the bare frames; without, it can't."""
    scores = validate(head_start, [collate(sequences)])
    assert list(scores) == [f"{name}_{m}" for name in METHODS for m in ("clipped_log2_rmse", "mu_psnr")]
    assert all(np.isfinite(value) for value in scores.values())
    ours, without, ldr, _ = (scores[f"{name}_clipped_log2_rmse"] for name in METHODS)
    assert ours < 0.95 * without and ours < 0.95 * ldr


def test_sequences_weigh_the_same_however_they_are_batched(head_start, sequences):
    together = validate(head_start, [collate(sequences)])
    apart = validate(head_start, [collate(sequences[:1]), collate(sequences[1:])])
    assert together == pytest.approx(apart, abs=2e-3)


def test_the_truth_itself_has_no_error(head_start, sequences):
    """Frames that don't clip: the network returns them, and the truth is the same."""
    dim = replace(collate(sequences), ldr=0.5 * collate(sequences).ldr)
    scores = validate(head_start, [replace(dim, truth=dim.ldr)])
    assert scores["ours_mu_psnr"] > 80


def test_images_are_batches_with_the_channels_last(sequences):
    batch = collate(sequences)
    array = images(batch.truth)[2]
    assert array.shape == (4, 32, 32, 3)
    np.testing.assert_array_equal(array[1, 5, 7], batch.truth[2, 1, :, 5, 7])


def test_encoded_frames_are_what_the_camera_showed():
    display = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, 3)
    (frame,) = encoded(linearise(torch.from_numpy(display)).numpy())
    np.testing.assert_array_equal(frame, display[0])
    assert encoded([np.full((1, 1, 3), 7.0)])[0].max() == 255
