"""HDR10: what displays and players read of the file, and the luminance that they show."""

import json
import shutil
import subprocess

import av
import numpy as np
import pytest

from rehdr_ros.recordings.results.pq import encode_pq, to_bt2020, to_yuv420p10
from rehdr_ros.recordings.results.video import HdrVideoWriter, LightLevels

WHITE = 203.0
BT709 = np.array([0.2126, 0.7152, 0.0722])


def eotf(signal):
    """ST 2084, equation 4.1, in cd/m2."""
    power = np.maximum(signal, 0) ** (1 / 78.84375)
    return 1e4 * (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)


def luminance(planes, height, width):
    """What a display makes of yuv420p10 (3 H / 2, W), in cd/m2."""
    y = (planes[:height].astype(float) - 64) / 876
    chroma = (planes[height:].reshape(2, height // 2, width // 2).astype(float) - 512) / 896
    cb, cr = (np.repeat(np.repeat(c, 2, 0), 2, 1) for c in chroma)
    red, blue = y + 1.4746 * cr, y + 1.8814 * cb
    green = (y - 0.2627 * red - 0.0593 * blue) / 0.678
    return 0.2627 * eotf(red) + 0.678 * eotf(green) + 0.0593 * eotf(blue)


def scene(k, height=120, width=160):
    """Moving colours over five decades, with the noise of a sensor."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    grey = np.exp(5 * np.sin((x + 2 * k) / 25) * np.cos(y / 20))
    rgb = grey[..., None] * (1 + 0.4 * np.sin(np.stack([x / 17, y / 13, (x + y) / 19], 2)))
    noise = np.random.default_rng(k).standard_normal(rgb.shape)
    return (0.2 * rgb * np.exp(0.02 * noise)).astype(np.float32)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    frames = [scene(k) for k in range(6)]
    levels = LightLevels(WHITE)
    for frame in frames:
        levels.add(frame)
    path = tmp_path_factory.mktemp("video") / "hdr.mp4"
    with HdrVideoWriter(path, 25, WHITE, levels.value) as writer:
        for frame in frames:
            writer.write(frame)
    return path, frames


def test_the_pq_curve_has_the_values_of_the_standard():
    # ITU-R BT.2408, table 1 and annex: 58 % at diffuse white, 75 % at 1000 cd/m2.
    signal = encode_pq(np.array([0, 203, 1000, 10_000, 2e4]))
    np.testing.assert_allclose(signal, [0, 0.58, 0.752, 1, 1], atol=1.5e-3)


def test_white_stays_white_and_primaries_move_inwards():
    np.testing.assert_allclose(to_bt2020(np.ones(3, np.float32)), 1, atol=1e-6)
    red = to_bt2020(np.array([1, 0, 0], np.float32))
    assert (red > 0).all() and red[0] < 1


def test_grey_has_no_chroma_and_uses_the_narrow_range():
    planes = to_yuv420p10(np.stack([np.full((2, 4), v, np.float32) for v in (1, 1, 1)], 2))
    assert (planes[:2] == 940).all() and (planes[2:] == 512).all()
    assert (to_yuv420p10(np.zeros((2, 4, 3), np.float32))[:2] == 64).all()


def test_the_decoded_luminance_is_that_of_the_radiance(video, planes_of):
    path, frames = video
    with av.open(str(path)) as file:
        decoded = [planes_of(frame) for frame in file.decode(video=0)]
    assert len(decoded) == len(frames)
    for planes, radiance in zip(decoded, frames, strict=True):
        expected = WHITE * radiance @ BT709
        shown = (expected >= 1) & (expected <= 4000)
        error = np.abs(luminance(planes, *expected.shape)[shown] / expected[shown] - 1)
        assert shown.mean() > 0.7 and np.median(error) < 0.02


def test_ffprobe_sees_hdr10(video):
    if shutil.which("ffprobe") is None:
        pytest.skip("ffprobe is not installed")
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_frames"]
    command += ["-read_intervals", "%+#1"]
    about = json.loads(subprocess.run([*command, video[0]], capture_output=True, check=True).stdout)
    stream, frame = about["streams"][0], about["frames"][0]
    assert stream["profile"] == "Main 10" and stream["pix_fmt"] == "yuv420p10le"
    assert stream["color_primaries"] == "bt2020" and stream["color_transfer"] == "smpte2084"
    assert stream["color_space"] == "bt2020nc" and stream["color_range"] == "tv"
    assert stream["codec_tag_string"] == "hvc1" and stream["avg_frame_rate"] == "25/1"
    side_data = {side["side_data_type"]: side for side in frame["side_data_list"]}
    mastering = side_data["Mastering display metadata"]
    assert mastering["max_luminance"] == "40000000/10000" and mastering["red_x"] == "35400/50000"
    light = side_data["Content light level metadata"]
    assert light["max_content"] == 4000 and 0 < light["max_average"] < 4000


@pytest.mark.parametrize(("width", "height", "frames"), [(1, 1, 1), (17, 9, 2), (64, 48, 1)])
def test_short_and_small_videos(tmp_path, width, height, frames):
    path = tmp_path / "small.mp4"
    with HdrVideoWriter(path, 25) as writer:
        for k in range(frames):
            writer.write(scene(k, height, width))
    with av.open(str(path)) as file:
        decoded = list(file.decode(video=0))
    assert len(decoded) == frames
    assert (decoded[0].width, decoded[0].height) == (max(16, width + width % 2), max(16, height + height % 2))


def test_light_levels_are_the_brightest_pixel_and_the_brightest_frame():
    levels = LightLevels(100)
    dark, bright = np.full((2, 2, 3), 0.5, np.float32), np.full((2, 2, 3), 1, np.float32)
    dark[0, 0] = 9
    for frame in (dark, bright):
        levels.add(frame)
    assert levels.value == (900, 262)
