import math

import numpy as np
import pytest
import torch

from rehdr_ros.events import Events
from rehdr_ros.network import CheckpointError, Rehdr, RehdrConfig, save_checkpoint
from rehdr_ros.network.head_start.tones import MOST
from rehdr_ros.reconstruction import HdrPipeline, PipelineConfig
from rehdr_ros.reconstruction.frame_info import Fault
from rehdr_ros.reconstruction.reconstructor import Reconstructor, pick_device, pick_precision

MS = 1_000_000
no_16_bits = torch.__version__ < "2"
needs_16_bits = pytest.mark.skipif(no_16_bits, reason="before PyTorch 2 a CPU has no 16-bit formats")
EVENTS = Events(np.arange(1, 201) * 50_000, np.arange(200) % 24, np.arange(200) % 16, np.arange(200) % 2)


@pytest.fixture
def make_reconstructor(weights):
    return lambda **options: Reconstructor(weights, **{"device": "cpu", "precision": "float32", **options})


def frame(value=255):
    return np.full((16, 24, 3), value, np.uint8)


def test_devices_by_name():
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["gpu", "", "cpu:x", "mps", "meta"])
def test_an_unknown_device_is_refused(name):
    with pytest.raises(ValueError, match="use auto, cpu, cuda or cuda:N"):
        pick_device(name)


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=f"'cuda:64' is not there: {torch.cuda.device_count()} CUDA"):
        pick_device("cuda:64")


@needs_16_bits
def test_precisions_by_name():
    cpu = torch.device("cpu")
    assert pick_precision("float16", cpu) == "float16"
    assert pick_precision("auto", cpu) in ("float32", "bfloat16")
    with pytest.raises(ValueError, match="'int8'.*float32, bfloat16, float16"):
        pick_precision("int8", cpu)


def test_what_cannot_be_had_is_refused_when_it_is_made(tmp_path, make_reconstructor):
    with pytest.raises(CheckpointError, match="not found"):
        Reconstructor(str(tmp_path / "gone.pth"))
    with pytest.raises(ValueError, match="response"):
        make_reconstructor(response=-1)


def test_the_events_of_the_interval_count_and_no_others(make_reconstructor, job):
    outputs = []
    for events in (EVENTS, EVENTS[EVENTS.t > 2 * MS], Events.empty()):
        reconstructor = make_reconstructor()
        reconstructor.reconstruct(job(frame(200), Events.empty(), None, 2 * MS))
        outputs.append(reconstructor.reconstruct(job(frame(), events, 2 * MS, 10 * MS)).radiance)
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


def test_the_state_is_kept_until_reset(make_reconstructor, job):
    reconstructor = make_reconstructor()
    first = reconstructor.reconstruct(job(frame(), EVENTS, 0, 10 * MS)).radiance
    second = reconstructor.reconstruct(job(frame(), EVENTS, 0, 10 * MS)).radiance
    assert not torch.allclose(first, second, rtol=1e-3)
    reconstructor.reset()
    assert torch.equal(reconstructor.reconstruct(job(frame(), EVENTS, 0, 10 * MS)).radiance, first)


def test_another_size_after_a_reset(make_reconstructor, job):
    reconstructor = make_reconstructor()
    reconstructor.reconstruct(job(frame(), EVENTS, 0, 10 * MS))
    reconstructor.reset()
    assert reconstructor.reconstruct(job(frame()[:9, :7], EVENTS, 0, 10 * MS)).radiance.shape == (1, 3, 9, 7)


def test_radiance_keeps_the_scale_of_the_first_exposure(make_reconstructor, job):
    """A still grey wall, exposed for 10, 5, an unknown time, 20 ms, and 10 ms again."""
    reconstructor = make_reconstructor(response=1.0)
    radiance = [
        reconstructor.reconstruct(job(frame(value), Events.empty(), None, k * MS, exposure)).radiance
        for k, (value, exposure) in enumerate(
            [(100, 0.01), (50, 0.005), (50, None), (200, 0.02), (100, 0.01)]
        )
    ]
    for image in radiance:
        torch.testing.assert_close(image, torch.full_like(image, 100 / 255))


def test_a_pixel_that_a_longer_exposure_clips_keeps_its_radiance(tmp_path, job):
    """The head start must learn of the exposure; a network that isn't trained takes 0.6 of what it tells."""
    save_checkpoint(Rehdr(RehdrConfig(base_channels=4, scales=1)), tmp_path / "new.safetensors")
    reconstructor = Reconstructor(str(tmp_path / "new.safetensors"), "cpu", "float32", 1.0)
    reconstructor.reconstruct(job(frame(100), Events.empty(), None, 0, 0.01))
    longer = reconstructor.reconstruct(job(frame(255), Events.empty(), 0, MS, 0.08)).radiance
    expected = (8 * 100 / 255) ** 0.6 * math.exp(0.4 * MOST) / 8
    torch.testing.assert_close(longer, torch.full_like(longer, expected), rtol=5e-3, atol=0)


@pytest.mark.parametrize("exposure", [0.0, -1.0, float("nan")])
def test_an_exposure_that_cannot_be_counts_as_unknown(make_reconstructor, exposure, job):
    radiance = []
    for value in (None, exposure):
        reconstructor = make_reconstructor()
        reconstructor.reconstruct(job(frame(100), Events.empty(), None, 0, 0.01))
        radiance.append(reconstructor.reconstruct(job(frame(100), Events.empty(), 0, MS, value)).radiance)
    assert torch.equal(*radiance)


def test_the_authors_networks_get_their_grids_scaled(tmp_path, job):
    torch.manual_seed(0)
    network = Rehdr(RehdrConfig(base_channels=4, scales=1, fusion="published", radiance="relative"))
    save_checkpoint(network, tmp_path / "relative.safetensors")
    single = Events([5 * MS, 5 * MS], [1, 2], [1, 2], [1, 0])
    many = Events(np.full(20, 5 * MS), [1] * 10 + [2] * 10, [1] * 10 + [2] * 10, [1] * 10 + [0] * 10)
    outputs = []
    for events in (single, many, Events.empty()):
        reconstructor = Reconstructor(str(tmp_path / "relative.safetensors"), "cpu", "float32")
        outputs.append(reconstructor.reconstruct(job(frame(), events, 0, 10 * MS)).radiance)
    torch.testing.assert_close(outputs[0], outputs[1])
    assert outputs[2].isfinite().all() and not torch.equal(outputs[0], outputs[2])


@pytest.mark.skipif(torch.__version__ >= "2", reason="this PyTorch has bfloat16 for a CPU")
def test_sixteen_bits_on_a_cpu_are_refused_before_pytorch_2(make_reconstructor):
    with pytest.raises(ValueError, match="precision bfloat16 on a CPU needs PyTorch 2.0"):
        make_reconstructor(precision="bfloat16")


@needs_16_bits
def test_sixteen_bits_give_about_the_same(make_reconstructor, job):
    full, half = make_reconstructor(), make_reconstructor(precision="bfloat16")
    for k in range(5):
        image = np.random.default_rng(k).integers(0, 256, (16, 24, 3), np.uint8)
        a, b = (r.reconstruct(job(image, EVENTS, 0, 10 * MS)).radiance for r in (full, half))
        assert b.dtype == torch.float32
        assert (a - b).norm() / a.norm() < 0.05


@pytest.mark.parametrize("response", [1.0, 2.2, 3.0])
def test_what_clips_is_told_by_the_display_value_whatever_the_response(make_reconstructor, response, job):
    reconstructor = make_reconstructor(response=response)
    image = np.repeat(np.arange(226, 256, dtype=np.uint8), 8).reshape(15, 16, 1).repeat(3, 2)
    y, x = np.nonzero(image[..., 0] == 255)
    bright = Events(np.full(8 * len(x), MS), np.tile(x, 8), np.tile(y, 8), np.ones(8 * len(x)))
    reconstructor.reconstruct(job(image - 10, Events.empty(), None, 0))
    radiance = reconstructor.reconstruct(job(image, bright, 0, 10 * MS)).radiance[0, 0].numpy()
    linear = (image[..., 0] / 255.0) ** response
    exposed = image[..., 0] <= 250
    np.testing.assert_allclose(radiance[exposed], linear[exposed], rtol=1e-5)
    assert (radiance[image[..., 0] == 255] > 1.01).any()


def test_a_state_that_is_no_number_is_reset_and_counted(make_reconstructor, job):
    reconstructor, fresh = make_reconstructor(), make_reconstructor()
    reconstructor.reconstruct(job(frame(), EVENTS, None, 0))
    _, state = reconstructor.saved
    reconstructor.restore({name: torch.full_like(x, torch.nan) for name, x in state.items()})
    result = reconstructor.reconstruct(job(frame(), EVENTS, 0, 10 * MS))
    assert torch.equal(result.radiance, fresh.reconstruct(job(frame(), EVENTS, 0, 10 * MS)).radiance)
    assert (result.fault, result.reset_reason) == (Fault.NOT_FINITE, "not finite")
    assert reconstructor.not_finite == 1
    again = reconstructor.reconstruct(job(frame(), EVENTS, 10 * MS, 20 * MS))
    assert (again.fault, again.reset_reason, reconstructor.not_finite) == (None, "", 1)
    assert torch.equal(again.radiance, fresh.reconstruct(job(frame(), EVENTS, 10 * MS, 20 * MS)).radiance)


def test_weights_that_give_no_numbers_leave_the_frame_as_it_is(tmp_path, job):
    network = Rehdr(RehdrConfig(base_channels=4, scales=1))
    torch.nn.init.constant_(network.body.prediction.conv.bias, torch.nan)
    save_checkpoint(network, tmp_path / "broken.safetensors")
    reconstructor = Reconstructor(str(tmp_path / "broken.safetensors"), "cpu", "float32", 1.0)
    for k in range(3):
        result = reconstructor.reconstruct(job(frame(255), EVENTS, 0, 10 * MS))
        assert (result.radiance == 1).all()
        assert reconstructor.not_finite == k + 1


def out_of_memory(*args):
    raise torch.cuda.OutOfMemoryError("CUDA out of memory")


@needs_16_bits
def test_a_device_without_memory_hands_over_to_the_cpu(make_reconstructor, job):
    """As far as it goes without a GPU: the device is only called one."""
    reconstructor, expected = make_reconstructor(precision="bfloat16"), make_reconstructor(precision="auto")
    reconstructor.device = torch.device("cuda")
    reconstructor.voxels.build = out_of_memory
    result = reconstructor.reconstruct(job(frame(), EVENTS, 0, 10 * MS))
    assert torch.equal(result.radiance, expected.reconstruct(job(frame(), EVENTS, 0, 10 * MS)).radiance)
    assert result.fault is Fault.OUT_OF_MEMORY
    assert result.reset_reason == f"out of memory, now {expected.precision} on cpu"
    assert (reconstructor.device.type, reconstructor.fallbacks) == ("cpu", 1)
    assert reconstructor.reconstruct(job(frame(), EVENTS, 10 * MS, 20 * MS)).reset_reason == ""


@needs_16_bits
def test_a_stream_s_first_frame_tells_of_the_missing_memory_and_not_that_it_is_the_first(tiny_weights):
    pipeline = HdrPipeline(PipelineConfig(weights=str(tiny_weights), device="cpu", precision="bfloat16"))
    reconstructor = pipeline._reconstructor  # noqa: SLF001 - without a GPU only it can be called one
    reconstructor.device, reconstructor.voxels.build = torch.device("cuda"), out_of_memory
    pipeline.add_frame(10 * MS, np.full((16, 16, 3), 100, np.uint8))
    (made,) = pipeline.take(flush=True)
    assert made.info.fault is Fault.OUT_OF_MEMORY and made.info.reset_reason.startswith("out of memory")


@needs_16_bits
@pytest.mark.parametrize("device, fallback", [("cuda", "none"), ("cpu", "auto")])
def test_without_anything_to_fall_back_to_the_error_is_raised(make_reconstructor, device, fallback, job):
    reconstructor = make_reconstructor(precision="bfloat16", fallback=fallback)
    reconstructor.device = torch.device(device)
    reconstructor.voxels.build = out_of_memory
    with pytest.raises(torch.cuda.OutOfMemoryError):
        reconstructor.reconstruct(job(frame(), EVENTS, 0, 10 * MS))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_gpu_that_runs_out_of_memory_goes_on_in_16_bits_and_then_on_the_cpu(make_reconstructor, job):
    reconstructor = make_reconstructor(device="cuda")
    reconstructor.voxels.build = out_of_memory
    assert "on cuda" in reconstructor.reconstruct(job(frame(), EVENTS, 0, 10 * MS)).reset_reason
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1e-6)
    try:
        white = np.full((480, 640, 3), 255, np.uint8)
        result = reconstructor.reconstruct(job(white, EVENTS, 10 * MS, 20 * MS))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert "on cpu" in result.reset_reason and reconstructor.fallbacks == 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_gpu_without_any_memory_hands_over_to_the_cpu_at_once(make_reconstructor, job):
    reconstructor = make_reconstructor(device="cuda")
    torch.cuda.set_per_process_memory_fraction(1e-6)
    try:
        result = reconstructor.reconstruct(job(np.full((480, 640, 3), 255, np.uint8), EVENTS, 0, 10 * MS))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert "on cpu" in result.reset_reason and reconstructor.fallbacks == 2
