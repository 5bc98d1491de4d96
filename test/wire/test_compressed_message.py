import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rehdr_ros.errors import InputError
from rehdr_ros.wire.compressed_image import decode_compressed, encode_jpeg
from rehdr_ros.wire.image import is_likely_size

HEIGHT, WIDTH = 16, 24
RANDOM = np.random.default_rng(0)
RGB = RANDOM.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
RGB16 = RANDOM.integers(0, 65536, (HEIGHT, WIDTH, 3), np.uint16)
ORANGE = (200, 100, 50)


def compress(kind, image):
    """`image` as a file, from grey or RGB."""
    order = cv2.COLOR_RGB2BGR if image.ndim == 3 else None
    return cv2.imencode(f".{kind}", image if order is None else cv2.cvtColor(image, order))[1].tobytes()


def mosaic(pattern, dtype=np.uint8):
    colour = dict(zip("rgb", ORANGE, strict=True))
    cell = np.array([colour[letter] for letter in pattern], dtype).reshape(2, 2)
    return np.tile(cell, (HEIGHT // 2, WIDTH // 2))


JPEG = compress("jpg", np.full((HEIGHT, WIDTH, 3), ORANGE, np.uint8))
PNG = compress("png", RGB)


@pytest.mark.parametrize(
    "image", [RGB, RGB16, RGB[..., 0], RGB16[..., 0]], ids=["rgb8", "rgb16", "mono8", "mono16"]
)
def test_a_png_is_exact(image):
    decoded = decode_compressed("png", compress("png", image))
    assert decoded.dtype == image.dtype
    np.testing.assert_array_equal(decoded, image)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_alpha_is_dropped(dtype):
    bgra = RANDOM.integers(0, 256, (HEIGHT, WIDTH, 4)).astype(dtype)
    decoded = decode_compressed("rgba8; png compressed bgra8", cv2.imencode(".png", bgra)[1].tobytes())
    np.testing.assert_array_equal(decoded, bgra[:, :, 2::-1])


@pytest.mark.parametrize(
    "format",
    [
        "jpeg",
        "JPEG",
        "jpg",
        "bgr8; jpeg compressed bgr8",
        "rgb8; jpeg compressed bgr8",
        "rgb8; jpeg compressed rgb8",  # of cameras and programs whose files are ordinary ones
        "rgb8;jpeg compressed",
        "bayer_rggb8; jpeg compressed bgr8",
        "yuv422_yuy2; jpeg compressed bgr8",
        "rgb8; jpeg compressed; bgr8",
        "image/jpeg",
        "mjpeg",
        "",
        "png",
    ],
)
def test_the_colours_are_those_of_the_file(format):
    decoded = decode_compressed(format, JPEG)
    assert (decoded.dtype, decoded.shape) == (np.uint8, (HEIGHT, WIDTH, 3))
    np.testing.assert_allclose(decoded.astype(int), np.broadcast_to(ORANGE, decoded.shape), atol=2)


@pytest.mark.parametrize("format", ["image/png", "", "jpeg", "rgb8; jpeg compressed bgr8"])
def test_a_png_under_another_label(format):
    np.testing.assert_array_equal(decode_compressed(format, PNG), RGB)


@pytest.mark.parametrize("format", ["jpeg", "mono8; jpeg compressed mono8", "mono16; jpeg compressed mono8"])
def test_a_grey_jpeg(format):
    decoded = decode_compressed(format, compress("jpg", np.full((HEIGHT, WIDTH), 77, np.uint8)))
    np.testing.assert_array_equal(decoded, np.full((HEIGHT, WIDTH), 77, np.uint8))


def test_sixteen_bits_as_image_transport_names_them():
    decoded = decode_compressed("mono16; png compressed ", compress("png", RGB16[..., 0]))
    assert decoded.dtype == np.uint16
    np.testing.assert_array_equal(decoded, RGB16[..., 0])


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("bits, dtype", [(8, np.uint8), (16, np.uint16)])
@pytest.mark.parametrize("stored", ["", "named"])
def test_a_mosaic_in_a_png(pattern, bits, dtype, stored):
    encoding = f"bayer_{pattern}{bits}"
    format = f"{encoding}; png compressed {encoding if stored else ''}"
    decoded = decode_compressed(format, compress("png", mosaic(pattern, dtype)))
    assert decoded.dtype == dtype
    np.testing.assert_array_equal(decoded, np.full((HEIGHT, WIDTH, 3), ORANGE))


def test_a_mosaic_in_a_jpeg():
    file = cv2.imencode(".jpg", mosaic("rggb"), [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    decoded = decode_compressed("bayer_rggb8; jpeg compressed bayer_rggb8", file)
    np.testing.assert_allclose(decoded.astype(int), np.broadcast_to(ORANGE, (HEIGHT, WIDTH, 3)), atol=4)


def test_a_mosaic_whose_stored_encoding_stands_behind_another_semicolon():
    file = compress("png", mosaic("rggb"))
    decoded = decode_compressed("bayer_rggb8; png compressed; bayer_rggb8", file)
    np.testing.assert_array_equal(decoded, np.full((HEIGHT, WIDTH, 3), ORANGE))


def test_a_mosaic_that_the_sender_made_grey_stays_grey():
    decoded = decode_compressed("bayer_rggb8; jpeg compressed mono8", compress("jpg", RGB[..., 0]))
    assert decoded.shape == (HEIGHT, WIDTH)


@pytest.mark.parametrize("file", [JPEG, PNG], ids=["jpeg", "png"])
@pytest.mark.parametrize("padding", [b"\0", bytes(1000), b"\xff" * 3, b"rest of an older frame"])
def test_padding_behind_the_file(file, padding):
    np.testing.assert_array_equal(decode_compressed("jpeg", file + padding), decode_compressed("jpeg", file))


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda file: np.frombuffer(file, np.uint8)])
def test_any_bytes(kind):
    np.testing.assert_array_equal(decode_compressed("png", kind(PNG)), RGB)


# What is refused


@pytest.mark.parametrize("progressive", [0, 1])
def test_a_jpeg_without_its_end(progressive):
    file = cv2.imencode(".jpg", RGB, [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])[1].tobytes()
    assert decode_compressed("jpeg", file).shape == RGB.shape
    for cut in range(3, len(file)):
        for padding in (b"", bytes(64)):
            with pytest.raises(InputError, match="'jpeg'.*cut off after"):
                decode_compressed("jpeg", file[:cut] + padding)


def test_the_end_of_a_thumbnail_is_not_the_end():
    thumbnail = compress("jpg", RGB[:8, :8])
    segment = b"\xff\xe1" + struct.pack(">H", 2 + len(thumbnail)) + thumbnail
    file = JPEG[:2] + segment + JPEG[2:]
    assert decode_compressed("jpeg", file).shape == RGB.shape
    with pytest.raises(InputError, match="cut off"):
        decode_compressed("jpeg", file[:-2])


def test_a_png_without_its_end():
    for cut in range(8, len(PNG)):
        with pytest.raises(InputError, match="'png'.*cut off after"):
            decode_compressed("png", PNG[:cut])


def test_a_png_whose_chunk_would_be_huge():
    damaged = PNG[:33] + b"\x7f" + PNG[34:]
    with pytest.raises(InputError, match="cut off"):
        decode_compressed("png", damaged)


def test_a_png_with_damage_in_it():
    damaged = bytearray(PNG)
    damaged[len(PNG) // 2] ^= 0xFF
    with pytest.raises(InputError, match="damaged"):
        decode_compressed("png", damaged)


@pytest.mark.parametrize(("side", "bits", "colours"), [(2**31 - 1, 8, 0), (8192, 16, 2), (8192, 16, 6)])
def test_a_png_of_absurd_size(side, bits, colours):
    def chunk(name, content):
        checksum = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + checksum

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, bits, colours, 0, 0, 0))
    with pytest.raises(InputError, match=f"{side}x{side} pixels"):
        decode_compressed("png", PNG[:8] + header + chunk(b"IDAT", bytes(10_000)) + chunk(b"IEND", b""))
    assert is_likely_size(9344, 7000, 1), "the largest cameras, in grey"


@pytest.mark.parametrize(
    "format",
    [
        "16UC1; compressedDepth",
        "32FC1; compressedDepth png",
        "compressedDepth rvl",
        "16UC1; compressedDepth; png",
    ],
)
def test_depth_is_refused(format):
    with pytest.raises(InputError, match="depth image"):
        decode_compressed(format, bytes(12) + PNG)


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", bytes(100), PNG[1:], b"RIFF\x24\0\0\0WEBPVP8 "])
@pytest.mark.parametrize("format", ["jpeg", "h264"])
def test_other_codecs_are_refused(format, data):
    with pytest.raises(InputError, match=f"'{format}': only JPEG and PNG are decoded; its {len(data)} bytes"):
        decode_compressed(format, data)


@pytest.mark.parametrize("file", [JPEG[:2] + JPEG[-2:] + b"\xff\xda" + JPEG[-2:], PNG[:8] + PNG[-12:]])
def test_a_file_without_a_size_is_refused(file):
    with pytest.raises(InputError, match="damaged"):
        decode_compressed("jpeg", file)


def test_an_unknown_mosaic_is_refused():
    with pytest.raises(InputError, match="'bayer_rgbw8'"):
        decode_compressed("bayer_rgbw8; png compressed ", compress("png", RGB[..., 0]))


DAMAGE = st.dictionaries(st.integers(0, len(JPEG) - 1), st.integers(0, 255), max_size=9)


@settings(deadline=None)
@given(st.sampled_from([JPEG, PNG]), DAMAGE)
def test_damage_only_ever_raises_input_error(file, changes):
    damaged = bytearray(file)
    for place, octet in changes.items():
        damaged[place] = octet
    try:
        image = decode_compressed("jpeg", damaged)
    except InputError:
        return
    assert image.dtype in (np.uint8, np.uint16) and image.ndim in (2, 3)


@pytest.mark.parametrize("codec, fill", [("png", 0), ("jpg", 0), ("jpg", 3)])
def test_a_small_file_that_would_unpack_to_gigabytes_is_refused(codec, fill):
    data = bytearray(cv2.imencode(f".{codec}", np.zeros((16, 16, 3), np.uint8))[1].tobytes())
    if codec == "png":
        data[16:24] = (30_000).to_bytes(4, "big") * 2
    else:
        frame = data.index(b"\xff\xc0")
        data[frame + 5 : frame + 9] = (30_000).to_bytes(2, "big") * 2
        data[2:2] = b"\xff" * fill
    with pytest.raises(InputError, match="30000x30000"):
        decode_compressed(codec.replace("jpg", "jpeg"), bytes(data))


@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "mono8"])
def test_a_jpeg_is_what_image_transport_makes_of_the_raw_topic(encoding):
    """Its subscribers take the file's pixels in OpenCV's order for the encoding behind `compressed`."""
    format, data = encode_jpeg(np.full((HEIGHT, WIDTH, 3), ORANGE, np.uint8), encoding, 95)
    grey = encoding == "mono8"
    assert format == f"{encoding}; jpeg compressed {'mono8' if grey else 'bgr8'}"
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    expected = round(float(np.dot(ORANGE, (0.299, 0.587, 0.114)))) if grey else ORANGE[::-1]
    assert pixels.shape == ((HEIGHT, WIDTH) if grey else (HEIGHT, WIDTH, 3))
    np.testing.assert_allclose(pixels, np.broadcast_to(expected, pixels.shape), atol=3)
    np.testing.assert_array_equal(decode_compressed(format, data), pixels if grey else pixels[..., ::-1])


def test_a_jpeg_of_more_quality_is_larger_and_closer():
    smooth = cv2.resize(RGB, (96, 64), interpolation=cv2.INTER_CUBIC)
    files = {quality: encode_jpeg(smooth, "rgb8", quality) for quality in (20, 95)}
    errors = {q: np.abs(decode_compressed(*file).astype(float) - smooth).mean() for q, file in files.items()}
    assert len(files[20][1]) < len(files[95][1])
    assert errors[95] < errors[20]
