import numpy as np
import pytest
import torch

from rehdr_ros.errors import InputError
from rehdr_ros.events import Camera, Events, Registration, voxel_grid
from rehdr_ros.network import Rehdr, RehdrConfig, Stream, save_checkpoint
from rehdr_ros.reconstruction.reconstructor import Reconstructor
from rehdr_ros.reconstruction.response import Response
from rehdr_ros.reconstruction.voxel_input import VoxelConfig, VoxelInput, normalised

S = 10**9
CPU = torch.device("cpu")
CAMERA = Camera(32, 24, (30.0, 0.0, 15.5, 0.0, 30.0, 11.5, 0.0, 0.0, 1.0))


@pytest.fixture
def events():
    rng = np.random.default_rng(0)
    return Events(rng.integers(1, 1000, 3000), *(rng.integers(0, n, 3000) for n in (32, 24, 2)))


def voxels(units="counts", **config):
    return VoxelInput(VoxelConfig(**config), 5, units, CPU)


def grid(voxel_input, events, event_size=(32, 24), frame_size=(32, 24)):
    return voxel_input.build(events, event_size, 0, 1000, frame_size)[0].numpy().copy()


# Registration


@pytest.mark.parametrize("registration", ["scale", "identity"])
def test_pixels_that_are_the_same_need_no_registration(events, registration):
    expected = voxel_grid(events, 0, 1000, 5, 24, 32)
    np.testing.assert_array_equal(grid(voxels(registration=registration), events), expected)
    np.testing.assert_array_equal(grid(voxels(registration=registration), events, None), expected)


def test_another_resolution_is_scaled_by_default(events):
    table = Registration.scaled((32, 24), (16, 12))
    expected = voxel_grid(events, 0, 1000, 5, 12, 16, registration=table)
    np.testing.assert_array_equal(grid(voxels(), events, frame_size=(16, 12)), expected)


def test_identity_keeps_pixels_of_another_resolution_where_they_are(events):
    expected = voxel_grid(events, 0, 1000, 5, 12, 16)
    actual = grid(voxels(registration="identity"), events, frame_size=(16, 12))
    np.testing.assert_array_equal(actual, expected)


def test_a_region_and_a_homography(events):
    shift = (1, 0, -4, 0, 1, -2, 0, 0, 1)
    moved = grid(voxels(registration="homography", homography=shift), events)
    cropped = grid(voxels(event_roi=(4, 2, 32, 24)), events)
    np.testing.assert_array_equal(moved, cropped)
    np.testing.assert_array_equal(moved[:, :22, :28], grid(voxels(), events)[:, 2:, 4:])


def test_camera_infos_are_waited_for_and_followed(events):
    voxel_input = voxels(registration="camera_info")
    assert not grid(voxel_input, events).any()
    assert "camera info of the events" in voxel_input.problem
    voxel_input.set_camera("events", CAMERA)
    assert not grid(voxel_input, events).any()
    assert "camera info of the frames" in voxel_input.problem
    voxel_input.set_camera("frames", CAMERA)
    np.testing.assert_array_equal(grid(voxel_input, events), grid(voxels(), events))
    assert voxel_input.problem == ""
    voxel_input.set_camera("frames", Camera(32, 24, (60.0, 0.0, 15.5, 0.0, 60.0, 11.5, 0.0, 0.0, 1.0)))
    assert not np.array_equal(grid(voxel_input, events), grid(voxels(), events))


def test_an_event_camera_that_is_not_known_yet_is_no_problem():
    voxel_input = voxels(event_roi=(40, 30, 20, 10))
    assert not grid(voxel_input, Events.empty(), event_size=None).any()
    assert voxel_input.problem == ""


def test_a_camera_info_of_another_size_is_a_problem_that_passes(events):
    voxel_input = voxels(registration="camera_info")
    for of in ("events", "frames"):
        voxel_input.set_camera(of, CAMERA)
    assert not grid(voxel_input, events, frame_size=(64, 48)).any()
    assert "32x24" in voxel_input.problem and "64x48" in voxel_input.problem
    assert grid(voxel_input, events).any() and voxel_input.problem == ""


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"registration": "magic"}, "registration"),
        ({"registration": "homography"}, "homography"),
        ({"homography": (1, 0, 0, 0, 1, 0, 0, 0)}, "homography"),
        ({"registration": "homography", "homography": (1, 0, 0)}, "homography"),
        ({"event_roi": (1, 2, 3)}, "event_roi"),
        ({"event_roi": (0, 0, 0, 10)}, "event_roi"),
        ({"registration": "identity", "event_roi": (0, 0, 4, 4)}, "event_roi"),
        ({"hot_pixel_threshold": 0.5}, "hot_pixel_threshold"),
    ],
)
def test_configurations_that_can_not_be(config, said):
    with pytest.raises(InputError, match=said):
        VoxelConfig(**config)


# Hot pixels


def test_hot_pixels_vanish_from_the_grid_once_they_are_known():
    rng = np.random.default_rng(0)
    found = voxels(hot_pixel_filter=True)
    ignored = voxels()
    for k in range(6):
        x, y = (
            np.append(rng.integers(0, 32, 700), np.full(300, 7)),
            np.append(rng.integers(0, 24, 700), np.full(300, 5)),
        )
        part = Events(np.sort(rng.integers(k * S + 1, (k + 1) * S, 1000)), x, y, np.ones(1000))
        with_filter = found.build(part, (32, 24), k * S, (k + 1) * S, (32, 24))[0].sum(0).clone()
        without = ignored.build(part, (32, 24), k * S, (k + 1) * S, (32, 24))[0].sum(0).clone()
    assert found.hot_pixels == 1 and ignored.hot_pixels == 0
    assert with_filter[5, 7] == 0 and without[5, 7] >= 300
    without[5, 7] = 0
    assert torch.equal(with_filter, without)


def test_a_new_mask_does_not_register_anew(monkeypatch, events):
    voxel_input, made = voxels(hot_pixel_filter=True), []
    original = Registration.scaled
    monkeypatch.setattr(Registration, "scaled", lambda *a: made.append(a) or original(*a))
    for k in range(4):
        hot = Events([k * S + 1] * 500, [5] * 500, [5] * 500, [1] * 500)
        voxel_input.build(hot, (32, 24), k * S, (k + 1) * S, (16, 12))
    assert voxel_input.hot_pixels == 1 and len(made) == 1
    assert not voxel_input.build(hot, (32, 24), 3 * S, 4 * S, (16, 12)).any()


# Units


def test_one_hot_pixel_dims_nothing():
    voxel = torch.randint(-3, 4, (1, 5, 24, 32), generator=torch.Generator().manual_seed(0)).float()
    plain = normalised(voxel)
    voxel[0, 2, 3, 4] = 10_000
    with_hot = normalised(voxel)
    with_hot[0, 2, 3, 4] = plain[0, 2, 3, 4]
    assert torch.equal(with_hot, plain)
    assert plain.abs().max() == 1


def test_an_empty_grid_stays_empty_and_a_nearly_empty_one_small():
    assert not normalised(torch.zeros(1, 5, 4, 4)).any()
    voxel = torch.zeros(1, 5, 4, 4)
    voxel[0, 0, 0, 0] = 0.25
    assert torch.equal(normalised(voxel), voxel)


def test_published_networks_get_quantiles_and_ours_get_counts(tmp_path, events, job):
    """By the state that the network makes of them."""
    counts = torch.from_numpy(voxel_grid(events, 0, 1000, 5, 24, 32))[None]
    image = np.full((24, 32, 3), 100, np.uint8)
    response = Response()
    for radiance, voxel in (("relative", normalised(counts)), ("ldr_white", counts)):
        config = RehdrConfig(base_channels=4, scales=1, radiance=radiance)
        network = Rehdr(config).eval().requires_grad_(False)
        save_checkpoint(network, tmp_path / "net.safetensors")
        reconstructor = Reconstructor(str(tmp_path / "net.safetensors"), "cpu", "float32")
        reconstructor.reconstruct(job(image, events, 0, 1000))
        stream = Stream(response(250 / 255), 1e-6)
        expected = network.step(response.linearise(image, CPU).pixels, voxel, None, stream)[1]
        torch.testing.assert_close(reconstructor.saved[1], expected)
    assert not torch.allclose(counts, normalised(counts))


@pytest.mark.parametrize(
    "registration, frame_size, doubtful",
    [
        ("scale", (60, 30), True),
        ("identity", (60, 30), True),
        ("scale", (64, 48), False),
        ("homography", (60, 30), False),
    ],
)
def test_other_pixels_than_the_frames_are_doubtful_unless_they_are_calibrated(
    registration, frame_size, doubtful
):
    matrix = tuple(np.eye(3).ravel()) if registration == "homography" else ()
    voxel_input = VoxelInput(VoxelConfig(registration, homography=matrix), 5, "counts", torch.device("cpu"))
    voxel_input.build(Events.empty(), (64, 48), 0, 1, frame_size)
    assert bool(voxel_input.doubt) == doubtful
    assert not doubtful or "events of (64, 48) and frames of (60, 30) pixels" in voxel_input.doubt
