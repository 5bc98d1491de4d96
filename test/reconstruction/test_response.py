import numpy as np
import pytest
import torch

from rehdr_ros.reconstruction.clipping import clipped_fraction
from rehdr_ros.reconstruction.response import Response

CPU = torch.device("cpu")
LEVELS = np.arange(0, 256, 5, dtype=np.uint8).reshape(4, 13)


def linear(image, response=2.2):
    return Response(response).linearise(image, CPU).pixels


@pytest.mark.parametrize("power", [1, 2.2, "1.8"])
def test_every_kind_of_image_is_linearised_alike(power):
    expected = (LEVELS / 255.0) ** float(power)
    for image in (LEVELS, LEVELS.astype(np.uint16) * 257, LEVELS.astype(np.float32) / 255):
        result = linear(image, power)
        assert result.shape == (1, 3, 4, 13) and result.dtype == torch.float32 and result.is_contiguous()
        for channel in result[0]:
            np.testing.assert_allclose(channel, expected, atol=1e-6)


def test_colours_keep_their_places():
    image = np.zeros((2, 5, 3), np.uint8)
    image[1, 4] = 255, 51, 0
    result = linear(image, 1)
    np.testing.assert_allclose(result[0, :, 1, 4], [1, 0.2, 0], atol=1e-6)
    assert result.sum() == pytest.approx(1.2)


def test_floats_outside_of_their_range_are_bounded():
    image = np.array([[np.nan, -1, 7, np.inf, -np.inf]], np.float32)
    assert linear(image)[0, 0, 0].tolist() == [0, 0, 1, 1, 0]


def test_the_image_is_not_written_to_and_may_be_read_only():
    image = LEVELS[:, ::-1]
    image.flags.writeable = False
    before = image.copy()
    np.testing.assert_allclose(linear(image)[0, 0], (before / 255.0) ** 2.2, atol=1e-6)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_every_layout_of_a_message_is_read(dtype, channels):
    rng = np.random.default_rng(0)
    is_float = dtype == np.float32
    padded = rng.integers(0, 256, (9, 14, *channels)) / 255 if is_float else rng.integers(0, 256, (9, 14, 4))
    padded = padded[..., 0] if padded.ndim == 3 and not channels else padded
    padded = np.ascontiguousarray(padded).astype(dtype)
    image = padded[:, :11, :3] if channels else padded[:, :11]
    unaligned = np.frombuffer(b"-" + image.tobytes(), np.uint8)[1:].view(dtype).reshape(image.shape)
    for view in (image, unaligned, image[::-1], image[::2, ::-1]):
        view = view.view()
        view.flags.writeable = False
        expected = np.stack([view] * 3, -1) if view.ndim == 2 else view
        ours = Response(1).linearise(view, CPU)
        white = Response(1).white(view.dtype)
        np.testing.assert_allclose(ours.pixels[0].permute(1, 2, 0), expected / white, atol=1e-6)
        assert ours.clipped_fraction == pytest.approx(clipped_fraction(view, white))


@pytest.mark.parametrize("power", [1, 2.2, 5, 0.45])
def test_floats_are_interpolated_closely(power):
    image = np.random.default_rng(0).random((50, 60, 3), np.float32)
    image[0, 0], image[0, 1] = (0, 1e-7, 1), (np.nextafter(np.float32(1), np.float32(0)), 0.5, 1 / 65535)
    ours = linear(image, power)[0].permute(1, 2, 0)
    exact = image.astype(np.float64) ** power
    # Powers below 1 rise steeply from black.
    np.testing.assert_allclose(ours, exact, rtol=1e-5, atol=1e-6 if power >= 1 else 2e-3)
    bright = image > 0.01
    np.testing.assert_allclose(ours.numpy()[bright], exact[bright], rtol=1e-5)


def test_a_float_white_of_nearly_one_does_not_exceed_it():
    assert linear(np.full((1, 3), np.nextafter(np.float32(1), np.float32(0))), 2.2).max() <= 1


@pytest.mark.parametrize("suffix", [".npy", ".txt"])
def test_a_table_is_interpolated_and_reaches_one_at_white(tmp_path, suffix):
    path = tmp_path / f"response{suffix}"
    table = np.array([0.0, 10.0, 40.0])
    np.save(path, table) if suffix == ".npy" else np.savetxt(path, table)
    values = np.array([[0, 64 * 257, 65535]], np.uint16)
    expected = np.interp(values[0] / 65535, [0, 0.5, 1], [0, 0.25, 1])
    np.testing.assert_allclose(linear(values, str(path))[0, 0, 0], expected, atol=1e-6)
    np.testing.assert_allclose(linear(np.float32([[0.5, 0.75]]), path)[0, 0, 0], [0.25, 0.625], atol=1e-6)


def table(path, content):
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content, allow_pickle=True)
    return path


@pytest.mark.parametrize(
    "name, content",
    [
        ("missing.npy", None),
        ("missing.txt", None),
        ("empty.npy", b""),
        ("empty.txt", b""),
        ("words.txt", b"not\na table"),
        ("one.npy", np.array([1.0])),
        ("falling.npy", np.array([0.0, 1.0, 0.5])),
        ("nan.npy", np.array([0.0, np.nan, 1.0])),
        ("black.npy", np.zeros(256)),
        ("even.npy", np.ones(256)),
        ("object.npy", np.array([0, {}, 1], object)),
        ("words.npy", np.array(["a", "b"])),
    ],
)
@pytest.mark.filterwarnings("ignore:loadtxt:UserWarning")
def test_what_is_no_table_is_refused(tmp_path, name, content):
    with pytest.raises(ValueError, match=name):
        Response(table(tmp_path / name, content))


@pytest.mark.parametrize("power", [0, -1, 11, float("nan"), "inf"])
def test_an_unlikely_power_is_refused(power):
    with pytest.raises(ValueError, match="power"):
        Response(power)


@pytest.mark.parametrize("dtype, white", [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_the_clipped_fraction_counts_pixels_with_a_clipped_channel(dtype, white):
    image = np.full((4, 5, 3), white / 2).astype(dtype)
    image[0, 0, 1] = white
    image[1, 1] = white
    image[2, 2, 0] = white * 249 // 255 if white > 1 else 0.97
    image[3, 3, 2] = white * 250 // 255 if white > 1 else 0.985
    for part, fraction in ((image, 3 / 20), (image[..., 1], 2 / 20)):
        assert clipped_fraction(part, white) == pytest.approx(fraction)
        assert Response().linearise(part, CPU).clipped_fraction == pytest.approx(fraction)


def test_a_white_level_is_where_16_bits_saturate():
    response = Response(2.2, 4095)
    image = np.array([[0, 2048, 4095, 4096, 65535]], np.uint16)
    expected = np.minimum(image / 4095, 1) ** 2.2
    np.testing.assert_allclose(response.linearise(image, CPU).pixels[0, 0], expected, rtol=1e-5)
    assert response.white(image.dtype) == 4095
    assert response.white(np.dtype(np.uint8)) == 255
    assert response.linearise(image, CPU).clipped_fraction == pytest.approx(3 / 5)


@pytest.mark.parametrize("dtype, saturated", [(np.uint8, 204), (np.uint16, 204 * 257), (np.float32, 0.8)])
def test_a_camera_saturates_where_its_table_does(tmp_path, dtype, saturated):
    np.save(tmp_path / "response.npy", np.minimum(np.arange(256) / 204, 1))
    response = Response(tmp_path / "response.npy")
    assert response.saturation(np.dtype(dtype)) == pytest.approx(saturated)
    assert response.clipped_from == pytest.approx(250 / 255)
    image = (np.array([[0.9, 0.97, 0.99, 1, 1.2]]) * saturated).astype(dtype)
    assert response.linearise(image, CPU).clipped_fraction == pytest.approx(3 / 5)
    assert Response(2.2).clipped_from == (250 / 255) ** 2.2


def test_a_file_that_is_no_table_does_not_come_back_in_the_message(tmp_path):
    (tmp_path / "secret.txt").write_text("rootpassword: 1234")
    with pytest.raises(ValueError, match="nor a table of numbers") as refused:
        Response(tmp_path / "secret.txt")
    assert "rootpassword" not in str(refused.value)
