"""What cameras send beside 8-bit colour: its values come out right, and the events with it."""

import numpy as np
import pytest
from live import Manager

ORANGE = (0.6, 0.5, 0.3)  # of white, in display values


def mosaic(colour: tuple[float, float, float], white: int) -> np.ndarray:
    """RGGB."""
    red, green, blue = (round(value * white) for value in colour)
    return np.tile(np.array([[red, green], [green, blue]], np.uint16), (24, 32))


@pytest.fixture
def send(stream, node, assert_recovers):
    """A function that sends an image twice and returns its radiance; the usual ones must work after it."""

    def send(image: np.ndarray, carrier: str, **changed) -> np.ndarray:
        camera = stream.camera
        for _ in range(2):
            at = camera.step()
            camera.image(at, image, carrier, **changed)
            camera.events(at - 1_000_000, at)
            info = stream.info(at)
        assert info.events == 2
        assert_recovers(stream, node)
        return stream.radiance(info)

    return send


@pytest.mark.parametrize("encoding", ["yuv422", "yuv422_yuy2"])
def test_yuv422_is_grey_where_it_has_no_colour(send, encoding):
    grey = round(16 + 0.5 * (235 - 16))  # video range
    pixels = np.full((48, 64, 2), 128, np.uint8)  # chroma
    pixels[..., int(encoding == "yuv422")] = grey
    radiance = send(pixels.reshape(48, 128), "mono8", encoding=encoding, width=64)
    np.testing.assert_allclose(radiance, 0.5**2.2, rtol=2e-2)


def test_bayer_of_16_bits_has_its_colours(send):
    radiance = send(mosaic(ORANGE, 65535), "mono16", encoding="bayer_rggb16")
    expected = np.broadcast_to(np.power(ORANGE, 2.2), (32, 48, 3))
    np.testing.assert_allclose(radiance[8:-8, 8:-8], expected, rtol=1e-2)


def test_12_bits_in_16_are_white_at_the_white_level(send, stream, client):
    manager = Manager(client)
    assert manager.set("white_level", 4095).successful
    np.testing.assert_allclose(send(np.full((48, 64), 2048, np.uint16), "mono16"), 0.5**2.2, rtol=1e-2)
    first = len(stream.infos)
    assert send(np.full((48, 64), 4095, np.uint16), "mono16").min() > 0.9
    assert [info.clipped_fraction for info in stream.infos[first : first + 2]] == [1.0, 1.0]
    assert manager.set("white_level", 0).successful
