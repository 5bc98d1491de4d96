import array

import numpy as np
import pytest

from rehdr_ros.errors import InputError
from rehdr_ros.wire.image import assumption, decode_image, encode_image, pack_image

HEIGHT, WIDTH = 6, 10
COLOUR = (HEIGHT, WIDTH, 3)
RANDOM = np.random.default_rng(0)
IMAGES = {
    "mono8": RANDOM.integers(0, 256, (HEIGHT, WIDTH), np.uint8),
    "mono16": RANDOM.integers(0, 65536, (HEIGHT, WIDTH), np.uint16),
    "32FC1": RANDOM.random((HEIGHT, WIDTH), np.float32),
    "32FC3": RANDOM.random(COLOUR, np.float32),
    **dict.fromkeys(("rgb8", "bgr8", "rgba8", "bgra8"), RANDOM.integers(0, 256, COLOUR, np.uint8)),
    **dict.fromkeys(("rgb16", "bgr16", "rgba16", "bgra16"), RANDOM.integers(0, 65536, COLOUR, np.uint16)),
}
PLANAR = {"nv12": "uv", "nv21": "vu", "i420": "u v", "yuv420": "u v", "yv12": "v u"}
UYVY, YUYV = ("uyvy", "yuv422"), ("yuyv", "yuv422_yuy2")


def decode(encoding, step, data, is_bigendian=False):
    return decode_image(encoding, HEIGHT, WIDTH, step, data, is_bigendian)


@pytest.mark.parametrize("encoding", IMAGES)
def test_round_trip(encoding):
    step, data = encode_image(IMAGES[encoding], encoding)
    assert (data.dtype, data.shape) == (np.uint8, (HEIGHT * step,))
    for kind in (data, data.tobytes(), memoryview(data)):
        image = decode(encoding, step, kind)
        assert image.dtype == IMAGES[encoding].dtype
        np.testing.assert_array_equal(image, IMAGES[encoding])


@pytest.mark.parametrize("encoding", IMAGES)
def test_rows_may_be_padded(encoding):
    step, data = encode_image(IMAGES[encoding], encoding)
    padded = np.full((HEIGHT, step + 8), 99, np.uint8)
    padded[:, :step] = data.reshape(HEIGHT, step)
    np.testing.assert_array_equal(decode(encoding, step + 8, padded.tobytes()), IMAGES[encoding])


@pytest.mark.parametrize(
    "encoding, octets",
    [("rgb8", [1, 2, 3]), ("bgr8", [3, 2, 1]), ("rgba8", [1, 2, 3, 255]), ("bgra8", [3, 2, 1, 255])],
)
def test_the_order_of_the_colours(encoding, octets):
    red_to_blue = np.full((HEIGHT, WIDTH, 3), (1, 2, 3), np.uint8)
    _, data = encode_image(red_to_blue, encoding)
    assert data[: len(octets)].tolist() == octets
    assert decode(encoding, WIDTH * len(octets), data)[0, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    "encoding, words",
    [
        ("rgb16", [256, 2, 3]),
        ("bgr16", [3, 2, 256]),
        ("rgba16", [256, 2, 3, 65535]),
        ("bgra16", [3, 2, 256, 65535]),
    ],
)
def test_the_order_of_the_colours_in_16_bits(encoding, words):
    red_to_blue = np.full((HEIGHT, WIDTH, 3), (256, 2, 3), np.uint16)
    _, data = encode_image(red_to_blue, encoding)
    assert data.view("<u2")[: len(words)].tolist() == words
    for order, is_bigendian in (("<", False), (">", True)):
        pixels = np.tile(np.array(words, order + "u2"), HEIGHT * WIDTH)
        image = decode(encoding, WIDTH * 2 * len(words), pixels.tobytes(), is_bigendian)
        assert image.dtype == np.uint16 and image.dtype.isnative
        np.testing.assert_array_equal(image, red_to_blue)


@pytest.mark.parametrize("encoding", ["mono16", "32FC1", "32FC3"])
def test_big_endian_data(encoding):
    image = IMAGES[encoding]
    data = image.astype(image.dtype.newbyteorder(">")).tobytes()
    decoded = decode(encoding, len(data) // HEIGHT, data, True)
    assert decoded.dtype == image.dtype
    np.testing.assert_array_equal(decoded, image)


@pytest.mark.parametrize(
    "encoding", ["mono8", "mono16", "rgb8", "rgba8", "rgb16", "rgba16", "32FC1", "32FC3"]
)
def test_the_image_is_a_view_where_it_can_be(encoding):
    step, data = encode_image(IMAGES[encoding], encoding)
    assert np.shares_memory(decode(encoding, step, data), data)


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_a_mosaic_gives_its_colour_back(pattern):
    colour = {"r": 200, "g": 100, "b": 50}
    cell = np.array([colour[letter] for letter in pattern], np.uint8).reshape(2, 2)
    mosaic = np.tile(cell, (HEIGHT // 2, WIDTH // 2))
    image = decode(f"bayer_{pattern}8", WIDTH, mosaic.tobytes())
    np.testing.assert_array_equal(image, np.full((HEIGHT, WIDTH, 3), (200, 100, 50)))


@pytest.mark.parametrize("is_bigendian", [False, True])
@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_a_mosaic_keeps_its_16_bits(pattern, is_bigendian):
    colour = {"r": 60001, "g": 1000, "b": 70}
    cell = np.array([colour[letter] for letter in pattern], ">u2" if is_bigendian else "<u2").reshape(2, 2)
    mosaic = np.tile(cell, (HEIGHT // 2, WIDTH // 2))
    image = decode(f"bayer_{pattern}16", 2 * WIDTH, mosaic.tobytes(), is_bigendian)
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image, np.full((HEIGHT, WIDTH, 3), (60001, 1000, 70)))


def yuv(encoding, y, u, v):
    """Pixels of luma y (H, W), all of one chroma, with padded rows: step and data."""
    pixels = np.empty((HEIGHT, WIDTH, 2), np.uint8)
    luma, chroma = (1, 0) if encoding in UYVY else (0, 1)
    pixels[:, :, luma] = y
    pixels[:, 0::2, chroma], pixels[:, 1::2, chroma] = u, v
    padded = np.full((HEIGHT, 2 * WIDTH + 4), 99, np.uint8)
    padded[:, :-4] = pixels.reshape(HEIGHT, -1)
    return 2 * WIDTH + 4, padded.tobytes()


@pytest.mark.parametrize("encoding", UYVY + YUYV)
def test_yuv_in_video_range(encoding):
    luma = np.full((HEIGHT, WIDTH), 126)
    luma[0, :5] = 0, 16, 126, 235, 255
    image = decode(encoding, *yuv(encoding, luma, 128, 128))
    assert (image.dtype, image.shape) == (np.uint8, (HEIGHT, WIDTH, 3))
    grey = np.full((HEIGHT, WIDTH), 128)
    grey[0, :5] = 0, 0, 128, 255, 255
    np.testing.assert_array_equal(image, np.repeat(grey[:, :, None], 3, 2))


@pytest.mark.parametrize("encoding", UYVY + YUYV)
@pytest.mark.parametrize(
    "bt601, rgb", [((81, 90, 240), (255, 0, 0)), ((145, 54, 34), (0, 255, 0)), ((41, 240, 110), (0, 0, 255))]
)
def test_yuv_has_the_colours_of_bt601(encoding, bt601, rgb):
    image = decode(encoding, *yuv(encoding, *bt601))
    np.testing.assert_allclose(image.astype(int), np.broadcast_to(rgb, image.shape), atol=2)  # 8 bits of YUV


def planar(encoding, y, u, v, padding=0):
    """As `yuv`, chroma in a plane of its own or in two."""
    planes = [np.full((HEIGHT, WIDTH), y, np.uint8)]
    if " " in PLANAR[encoding]:
        planes += [np.full((HEIGHT // 2, WIDTH // 2), {"u": u, "v": v}[c]) for c in PLANAR[encoding].split()]
    else:
        pair = [{"u": u, "v": v}[c] for c in PLANAR[encoding]]
        planes.append(np.tile(np.array(pair, np.uint8), (HEIGHT // 2, WIDTH // 2)))
    rows = [np.pad(p, ((0, 0), (0, padding * p.shape[1] // WIDTH)), constant_values=99) for p in planes]
    return WIDTH + padding, b"".join(row.astype(np.uint8).tobytes() for row in rows)


@pytest.mark.parametrize("encoding", PLANAR)
@pytest.mark.parametrize("padding", [0, 20])
@pytest.mark.parametrize(
    "bt601, rgb", [((81, 90, 240), (255, 0, 0)), ((41, 240, 110), (0, 0, 255)), ((235, 128, 128), (255,) * 3)]
)
def test_planar_yuv_has_the_colours_of_bt601(encoding, padding, bt601, rgb):
    image = decode(encoding, *planar(encoding, *bt601, padding))
    assert (image.dtype, image.shape) == (np.uint8, COLOUR)
    np.testing.assert_allclose(image.astype(int), np.broadcast_to(rgb, image.shape), atol=2)


def test_planar_yuv_keeps_its_pixels_in_place():
    luma = RANDOM.integers(16, 236, (HEIGHT, WIDTH), np.uint8)
    data = luma.tobytes() + bytes([128] * (HEIGHT * WIDTH // 2))
    grey = np.rint((luma.astype(float) - 16) * 255 / 219)
    for step in (WIDTH, WIDTH * 3 // 2):  # of luma, or of all bytes of a row of pixels
        np.testing.assert_allclose(decode("nv12", step, data), np.repeat(grey[..., None], 3, 2), atol=1)


@pytest.mark.parametrize(
    "height, width, step, size",
    [(6, 9, 9, 81), (5, 10, 10, 75), (6, 10, 10, 60), (6, 10, 8, 72), (0, 10, 10, 0)],
)
@pytest.mark.parametrize("encoding", PLANAR)
def test_planar_yuv_of_another_size_is_refused(encoding, height, width, step, size):
    with pytest.raises(InputError, match=f"{encoding} of {width}x{height} needs even"):
        decode_image(encoding, height, width, step, bytes(size))


@pytest.mark.parametrize(
    "encoding, meaning",
    [("8UC1", "mono8"), ("8UC3", "bgr8"), ("8UC4", "bgra8"), ("16UC1", "mono16"), ("16UC3", "bgr16")],
)
def test_what_names_no_colours_is_taken_in_the_order_of_opencv(encoding, meaning):
    step, data = encode_image(IMAGES[meaning], meaning)
    np.testing.assert_array_equal(decode(encoding, step, data), IMAGES[meaning])
    assert assumption(encoding).endswith(f"taken as {meaning}") and not assumption(meaning)


def test_what_is_assumed_of_yuv_is_said():
    assert all("BT.601" in assumption(encoding) for encoding in (*UYVY, *YUYV, *PLANAR))
    assert not any(map(assumption, (*IMAGES, "bayer_rggb8", "", "unknown")))


@pytest.mark.parametrize("encoding, usual", [("BGR8", "bgr8"), ("MONO8", "mono8"), ("8uc1", "mono8")])
def test_upper_and_lower_case_are_the_same(encoding, usual):
    step, data = encode_image(IMAGES[usual], usual)
    np.testing.assert_array_equal(decode(encoding, step, data), IMAGES[usual])


@pytest.mark.parametrize("encoding", UYVY + YUYV)
def test_yuv_of_an_odd_width_is_refused(encoding):
    with pytest.raises(InputError, match=f"{encoding} needs an even width.* not 9x6"):
        decode_image(encoding, 6, 9, 18, bytes(6 * 18))


@pytest.mark.parametrize(
    "change", [{"step": 29}, {"height": 5}, {"width": 11}, {"height": 0}, {"data": b"abc"}]
)
def test_sizes_that_do_not_fit_are_refused(change):
    message = {"height": HEIGHT, "width": WIDTH, "step": 30, "data": bytes(30 * HEIGHT)} | change
    with pytest.raises(ValueError, match="rgb8 of .* needs"):
        decode_image("rgb8", **message)


def test_unknown_encodings_are_named_with_the_known_ones():
    with pytest.raises(ValueError, match="'yuv999'.*bayer_rggb8"):
        decode("yuv999", 20, bytes(20 * HEIGHT))
    with pytest.raises(ValueError, match="'yuv999'.*rgb8"):
        encode_image(IMAGES["rgb8"], "yuv999")


@pytest.mark.parametrize(
    "encoding, image",
    [
        ("rgb8", "mono8"),
        ("mono8", "rgb8"),
        ("mono16", "mono8"),
        ("32FC3", "rgb8"),
        ("rgb16", "rgb8"),
        ("bayer_rggb8", "mono8"),
        ("bayer_rggb16", "mono16"),
        ("yuyv", "rgb8"),
        ("nv12", "rgb8"),
    ],
)
def test_an_image_that_its_encoding_cannot_hold_is_refused(encoding, image):
    with pytest.raises(ValueError, match=encoding):
        encode_image(IMAGES[image], encoding)


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "mono8", "32FC3", "32FC1"])
def test_a_packed_image_is_what_rclpy_takes_as_it_is(encoding):
    image = IMAGES["32FC3" if encoding.startswith("32") else "rgb8"]
    step, data = pack_image(image, encoding)
    assert isinstance(data, array.array) and data.typecode == "B"
    back = decode(encoding, step, data)
    luminance = image @ [0.2126, 0.7152, 0.0722] if encoding == "32FC1" else image @ [0.299, 0.587, 0.114]
    grey = encoding in ("mono8", "32FC1")
    np.testing.assert_allclose(back, luminance if grey else image, atol=0.6 if encoding == "mono8" else 1e-6)
    data[:] = array.array("B", bytes(len(data)))
    assert image.any()  # a copy: the image stays what it is


@pytest.mark.parametrize("encoding, dtype", [("mono8", np.uint8), ("32FC1", np.float32)])
def test_one_channel_is_packed_as_it_is(encoding, dtype):
    image = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(dtype)
    np.testing.assert_array_equal(decode(encoding, *pack_image(image, encoding)), image)
    with pytest.raises(ValueError, match="rgb8"):
        pack_image(image, "rgb8")
