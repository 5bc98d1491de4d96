import cv2
import numpy as np
import pytest

from rehdr_ros.recordings import RecordingError
from rehdr_ros.recordings.image_folder import ImageFolder

MS = 10**6
RANDOM = np.random.default_rng(0)
COLOUR = RANDOM.integers(0, 256, (6, 8, 3), np.uint8)
COLOUR16 = RANDOM.integers(0, 65536, (6, 8, 3), np.uint16)


def fill(folder, *names, image=COLOUR):
    folder.mkdir(exist_ok=True)
    for k, name in enumerate(names):
        assert cv2.imwrite(str(folder / name), np.full_like(image, k))
    return folder


def stamps(folder):
    return [frame.stamp_ns // MS for frame in folder.frames()]


def numbers(folder):
    return [int(frame.image.flat[0]) for frame in folder.frames()]


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize(
    "kind, bits", [("png", 8), ("png", 16), ("tif", 8), ("tif", 16), ("bmp", 8), ("jpg", 8)]
)
def test_images_of_all_kinds(tmp_path, kind, bits, colour):
    pixels = COLOUR if bits == 8 else COLOUR16
    pixels = pixels if colour else pixels[..., 0]
    pixels = np.full_like(pixels, 90) if kind == "jpg" else pixels
    cv2.imwrite(str(tmp_path / f"0.{kind}"), pixels[..., ::-1] if pixels.ndim == 3 else pixels)
    (frame,) = ImageFolder(tmp_path, fps=10).frames()
    assert frame.image.dtype == pixels.dtype
    np.testing.assert_array_equal(frame.image, pixels)


def test_transparency_is_left_out(tmp_path):
    cv2.imwrite(str(tmp_path / "0.tif"), np.dstack([COLOUR, COLOUR[..., 0]]))
    (frame,) = ImageFolder(tmp_path, fps=10).frames()
    np.testing.assert_array_equal(frame.image, COLOUR[..., ::-1])


def test_natural_order_and_stamps_found_in_the_folder(tmp_path):
    fill(tmp_path, "f_1.png", "f_2.png", "f_10.png")
    (tmp_path / "Timestamps.txt").write_text("10\n20\n30\n")
    (tmp_path / "notes.txt").write_text("of no use")
    folder = ImageFolder(tmp_path, fps=500)
    assert (stamps(folder), numbers(folder)) == ([10, 20, 30], [0, 1, 2])
    assert "Timestamps.txt" in folder.notes[0] and "in ms" in folder.notes[1] and folder.fps is None


def test_stamps_found_beside_the_folder(tmp_path):
    fill(tmp_path / "frames", "1.png", "2.png")
    (tmp_path / "image_timestamps.csv").write_text("timestamp_us,exposure_us\n0,1000\n50000,2000\n")
    frames = list(ImageFolder(tmp_path / "frames").frames())
    assert [(frame.stamp_ns, frame.exposure_time_s) for frame in frames] == [(0, 1e-3), (50 * MS, 2e-3)]


def test_the_names_in_the_timestamps_choose_the_frames(tmp_path):
    fill(tmp_path, "a.png", "b.png", "c.png")
    (tmp_path / "times.txt").write_text("c.png 0.00\nsub/a.png 0.05\n")
    folder = ImageFolder(tmp_path, tmp_path / "times.txt")
    assert (stamps(folder), numbers(folder)) == ([0, 50], [2, 0])


def test_a_frame_rate_instead_of_stamps(tmp_path):
    folder = ImageFolder(fill(tmp_path, "1.png", "2.png", "3.png"), fps=30)
    assert [frame.stamp_ns for frame in folder.frames()] == [0, 33_333_333, 66_666_667]
    assert "30 a second" in folder.notes[0] and folder.fps == 30


def test_what_is_wrong_is_said_in_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    fill(tmp_path / "frames", "1.png", "2.png")
    (tmp_path / "three.txt").write_text("10\n20\n30\n")
    (tmp_path / "named.txt").write_text("10 1.png\n20 9.png\n")
    for folder, options, complaint in (
        ("gone", {}, "gone is not a folder"),
        ("empty", {}, "empty has no images"),
        ("frames", {}, "when were the frames taken"),
        ("frames", {"fps": -1}, "frame rate of -1"),
        ("frames", {"timestamps": tmp_path / "three.txt"}, "3 timestamps in .*three.txt, 2 images in"),
        ("frames", {"timestamps": tmp_path / "named.txt"}, "named.txt names 9.png, which"),
    ):
        with pytest.raises(RecordingError, match=complaint) as error:
            ImageFolder(tmp_path / folder, **options)
        assert "\n" not in str(error.value)
    for name in ("timestamps_a.txt", "timestamps_b.txt"):
        (tmp_path / "frames" / name).write_text("10\n20\n")
    with pytest.raises(RecordingError, match="timestamps_a.txt, timestamps_b.txt; name one"):
        ImageFolder(tmp_path / "frames")


@pytest.mark.parametrize("name", ["0.png", "0.jpg", "0.tif", "0.bmp"])
def test_an_unreadable_image(tmp_path, name):
    cv2.imwrite(str(tmp_path / name), COLOUR)
    data = (tmp_path / name).read_bytes()
    for damaged in (data[: len(data) // 8], b"", b"text"):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(RecordingError, match=name) as error:
            list(ImageFolder(tmp_path, fps=10).frames())
        assert "\n" not in str(error.value)


def test_an_image_that_was_cut_is_left_out_counted_and_named(tmp_path):
    fill(tmp_path, *(f"{k}.png" for k in range(4)))
    (tmp_path / "timestamps.txt").write_text("0\n50\n100\n150\n")
    for name in ("1.png", "3.png"):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-10])
    folder = ImageFolder(tmp_path)
    for _ in range(2):
        assert (stamps(folder), folder.counters) == ([0, 100], {"refused_frames": 2})
    (note,) = (note for note in folder.notes if "refused" in note)
    assert "1.png" in note and "cut off" in note


@pytest.mark.parametrize("text", ["0\n50\n1", "0 0.png\n50 1.png\n100 2.p", "0 0.png\n50 1.png\n100"])
def test_timestamps_that_end_within_a_line_are_read_up_to_it(tmp_path, text):
    fill(tmp_path / "frames", "0.png", "1.png", "2.png")
    (tmp_path / "timestamps.txt").write_text(text)
    if text.endswith(".p"):  # nothing tells that this is but a part
        with pytest.raises(RecordingError, match="names 2.p, which"):
            ImageFolder(tmp_path / "frames", tmp_path / "timestamps.txt", "ms")
        return
    folder = ImageFolder(tmp_path / "frames", tmp_path / "timestamps.txt", "ms")
    assert (stamps(folder), numbers(folder)) == ([0, 50], [0, 1])
    assert "ends early" in folder.notes[-1]
    assert (tmp_path / "timestamps.txt").read_text() == text


def test_floats_are_no_frames(tmp_path):
    cv2.imwrite(str(tmp_path / "0.tif"), COLOUR.astype(np.float32))
    with pytest.raises(RecordingError, match="8 or 16 bits"):
        list(ImageFolder(tmp_path, fps=10).frames())
