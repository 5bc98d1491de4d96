"""How sure a frame's pixels are, and what they rest on."""

import math

import numpy as np
import pytest
import torch

from rehdr_ros.network import Rehdr, RehdrConfig, Stream, load_checkpoint, save_checkpoint
from rehdr_ros.products import CAUSES
from rehdr_ros.reconstruction import HdrFrame, HdrPipeline, PipelineConfig
from rehdr_ros.transfer import LateDownload

MS = 1_000_000


@pytest.fixture
def make(tiny_weights):
    """A function that builds a pipeline, on the CPU if not otherwise, that takes frames as linear."""

    def make(weights=tiny_weights, **config) -> HdrPipeline:
        defaults = {"weights": str(weights), "device": "cpu", "precision": "float32", "response": 1.0}
        return HdrPipeline(PipelineConfig(**{**defaults, **config}))

    return make


@pytest.fixture
def frames():
    """Grey ramps that move, a third of them clipped, uint8 (24, 32, 3)."""
    ramp = np.clip(np.linspace(0, 1.5, 32) * 255, 0, 255).astype(np.uint8)
    return [np.repeat(np.tile(np.roll(ramp, k), (24, 1))[..., None], 3, 2) for k in range(4)]


def through(pipeline, frames, exposures=None) -> list[HdrFrame]:
    results = []
    for k, frame in enumerate(frames):
        pipeline.add_frame(100 * k * MS, frame, exposures and exposures[k])
        results += pipeline.take(flush=True)
    return results


def test_what_saturates_below_the_end_of_the_scale_is_reconstructed(make, frames, tmp_path):
    np.save(tmp_path / "response.npy", np.minimum(np.arange(256) / 204, 1))
    darker = [np.rint(0.8 * frame).astype(np.uint8) for frame in frames]
    usual, ours = through(make(), frames), through(make(response=str(tmp_path / "response.npy")), darker)
    for expected, result in zip(usual, ours, strict=True):
        np.testing.assert_array_equal(result.cause, expected.cause)
        assert expected.cause.any() and result.info.clipped_fraction == expected.info.clipped_fraction
        np.testing.assert_allclose(result.radiance, expected.radiance, rtol=0.1, atol=0.01)


def test_uncertainty_is_the_networks_in_stops_of_log2(make, frames, tiny_weights):
    (frame,) = through(make(), frames[:1])
    ldr = torch.from_numpy(frames[0].astype(np.float32) / 255).permute(2, 0, 1)[None]
    with torch.no_grad():
        network = load_checkpoint(tiny_weights, "cpu")
        estimate, _ = network.step(ldr, torch.zeros(1, 5, 24, 32), None, Stream(250 / 255))
    assert (frame.uncertainty.dtype, frame.cause.dtype) == (np.float32, np.uint8)
    np.testing.assert_allclose(frame.uncertainty, estimate.sigma[0, 0].numpy() / math.log(2), rtol=1e-4)
    np.testing.assert_array_equal(frame.cause, estimate.cause[0, 0].numpy())
    np.testing.assert_array_equal(frame.picture("uncertainty"), frame.uncertainty)
    np.testing.assert_allclose(frame.picture("sigma"), estimate.sigma[0, 0].numpy(), rtol=1e-4)
    clipped = (frames[0] > 250).any(2)
    assert (frame.cause[~clipped] == CAUSES.index("measured")).all() and frame.cause[clipped].min() > 0


def test_an_exposure_scales_the_radiance_and_not_its_uncertainty(make, frames):
    alone, scaled = through(make(), frames), through(make(), frames, [0.01, 0.02, 0.02, 0.04])
    for k, gain in enumerate((1, 0.5, 0.5, 0.25)):
        measured = alone[k].cause == 0
        expected = gain * alone[k].radiance[measured]
        np.testing.assert_allclose(scaled[k].radiance[measured], expected, rtol=1e-5)
        np.testing.assert_array_equal(scaled[k].uncertainty[measured], alone[k].uncertainty[measured])


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_frame_keeps_its_own_while_others_follow(make, frames, device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU here")
    pipelines = [make(device=device) for _ in range(2)]
    for pipeline in pipelines:
        pipeline.warm_up((32, 24))  # a CUDA graph then writes every frame where it wrote the last one
    kept = through(pipelines[0], frames)
    at_once = []
    for frame in _one_by_one(pipelines[1], frames):
        at_once.append((frame.uncertainty.copy(), frame.cause.copy()))
    for frame, (uncertainty, cause) in zip(kept, at_once, strict=True):
        np.testing.assert_array_equal(frame.uncertainty, uncertainty)
        np.testing.assert_array_equal(frame.cause, cause)
    assert not np.array_equal(kept[0].uncertainty, kept[-1].uncertainty)


def test_nobody_makes_what_nobody_asks_for(make, frames, monkeypatch):
    monkeypatch.setattr(LateDownload, "array", lambda self: 1 / 0)
    for frame in through(make(event_image=True), frames):
        assert frame.radiance.any() and frame.tonemapped.any() and frame.event_image.any()
    with pytest.raises(ZeroDivisionError):
        frame.uncertainty  # noqa: B018


def _one_by_one(pipeline, frames):
    for k, frame in enumerate(frames):
        pipeline.add_frame(100 * k * MS, frame)
        yield from pipeline.take(flush=True)


def test_networks_of_relative_radiance_have_none(make, frames, tmp_path):
    relative = Rehdr(RehdrConfig(base_channels=4, radiance="relative"))
    save_checkpoint(relative, tmp_path / "relative.safetensors")
    (frame,) = through(make(tmp_path / "relative.safetensors"), frames[:1])
    assert (frame.uncertainty, frame.cause, frame.picture("sigma")) == (None, None, None)


def test_where_the_network_gives_no_number_the_pixel_is_lost(make, frames, tmp_path):
    network = Rehdr(RehdrConfig(base_channels=4, scales=1))
    torch.nn.init.constant_(network.body.prediction.conv.bias, torch.nan)
    save_checkpoint(network, tmp_path / "broken.safetensors")
    (frame,) = through(make(tmp_path / "broken.safetensors"), frames[:1])
    lost = frame.cause == CAUSES.index("lost")
    np.testing.assert_array_equal(lost, (frames[0] > 250).any(2))
    assert np.isinf(frame.uncertainty[lost]).all() and np.isfinite(frame.uncertainty[~lost]).all()
