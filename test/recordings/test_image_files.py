import av
import cv2
import numpy as np
import OpenEXR
import pytest

from rehdr_ros.recordings import VideoWriter, read_exr, read_radiance, write_exr, write_png


@pytest.fixture
def radiance():
    return (np.random.default_rng(0).random((21, 33, 3), np.float32) * 20 - 10).astype(np.float32) ** 5


def test_exr_round_trip_is_exact(tmp_path, radiance):
    write_exr(tmp_path / "a.exr", radiance)
    image = read_exr(tmp_path / "a.exr")
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, radiance)


def test_half_exr_is_as_exact_as_half_floats_and_finite(tmp_path, radiance):
    assert np.abs(radiance).max() > 65504
    write_exr(tmp_path / "a.exr", radiance, half=True)
    expected = np.clip(radiance, -65504, 65504).astype(np.float16)
    np.testing.assert_array_equal(read_exr(tmp_path / "a.exr"), expected)


def test_a_luminance_alone_is_grey(tmp_path, radiance):
    OpenEXR.File({}, {"Y": np.ascontiguousarray(radiance[:, :, 0])}).write(str(tmp_path / "y.exr"))
    np.testing.assert_array_equal(read_exr(tmp_path / "y.exr"), radiance[:, :, [0, 0, 0]])


def test_one_channel_round_trips(tmp_path, radiance):
    write_exr(tmp_path / "y.exr", radiance[:, :, 1], notes={"unit": "stops"})
    with OpenEXR.File(str(tmp_path / "y.exr")) as file:
        assert list(file.channels()) == ["Y"] and file.header()["unit"] == "stops"
        np.testing.assert_array_equal(file.channels()["Y"].pixels, radiance[:, :, 1])
    causes = np.arange(12, dtype=np.uint8).reshape(3, 4) % 4
    write_png(tmp_path / "y.png", causes)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "y.png"), cv2.IMREAD_UNCHANGED), causes)
    with pytest.raises(ValueError, match="float32"):
        write_exr(tmp_path / "y.exr", causes)
    with pytest.raises(ValueError, match="uint8"):
        write_png(tmp_path / "y.png", radiance[:, :, 1])


def test_an_exr_without_an_image_is_refused(tmp_path, radiance):
    OpenEXR.File({}, {"Z": np.ascontiguousarray(radiance[:, :, 0])}).write(str(tmp_path / "z.exr"))
    with pytest.raises(ValueError, match="R, G, B or Y"):
        read_exr(tmp_path / "z.exr")


def test_a_radiance_file_is_read_as_rgb(tmp_path):
    rgb = np.full((20, 30, 3), (4.0, 2.0, 0.5), np.float32)
    cv2.imwrite(str(tmp_path / "a.hdr"), rgb[:, :, ::-1])
    image = read_radiance(tmp_path / "a.hdr")
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, rgb, rtol=0.01)


def test_real_scenes(shared):
    panorama = read_radiance(shared / "data/hdri/studio_1k.hdr")
    photograph = read_radiance(shared / "data/hdri/Bonita.exr")
    assert (panorama.shape, photograph.shape) == ((512, 1024, 3), (832, 550, 3))
    assert panorama.dtype == photograph.dtype == np.float32
    assert photograph[:, :, 2].max() == 178.375


@pytest.mark.parametrize("name", ["a.hdr", "a.exr"])
def test_files_that_are_no_scene(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=name):
        read_radiance(tmp_path / name)
    (tmp_path / name).write_text("nothing")
    with pytest.raises(ValueError, match=name):
        read_radiance(tmp_path / name)


def test_png_round_trip(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (21, 33, 3), np.uint8)
    write_png(tmp_path / "a.png", rgb)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "a.png"))[:, :, ::-1], rgb)


def test_a_png_that_cannot_be_written(tmp_path):
    with pytest.raises(OSError, match="missing/a.png"):
        write_png(tmp_path / "missing" / "a.png", np.zeros((2, 2, 3), np.uint8))


@pytest.mark.parametrize("image", [np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4, 3), np.float64)])
def test_other_kinds_of_array_are_refused(tmp_path, image):
    for write in (write_png, write_exr, lambda path, array: VideoWriter(path, 30).write(array)):
        with pytest.raises(ValueError, match=r"\(H, W, 3\)"):
            write(tmp_path / "a.mp4", image)


@pytest.mark.parametrize("height, width", [(48, 64), (47, 63)])
def test_video(tmp_path, height, width):
    colours = [(220, 40, 40), (40, 220, 40), (40, 40, 220)] * 4
    with VideoWriter(tmp_path / "a.mp4", fps=25) as video:
        for colour in colours:
            video.write(np.full((height, width, 3), colour, np.uint8))
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt, stream.average_rate) == ("h264", "yuv420p", 25)
        assert (stream.height, stream.width) == (48, 64)
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(frames) == len(colours)
    for frame, colour in zip(frames, colours, strict=True):
        assert np.abs(frame.astype(int) - colour).max() < 20


def test_a_video_keeps_its_size(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", fps=25) as video:
        video.write(np.zeros((48, 64, 3), np.uint8))
        with pytest.raises(ValueError, match="64x48"):
            video.write(np.zeros((50, 64, 3), np.uint8))
