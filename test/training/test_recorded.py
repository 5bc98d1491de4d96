import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from rehdr_ros.errors import InputError
from rehdr_ros.recordings import write_exr
from rehdr_ros.training.folder_recording import FolderRecording
from rehdr_ros.training.recorded import RecordedSequences
from rehdr_ros.training.sequence import Sequence

HEIGHT, WIDTH, BINS, FRAMES = 20, 24, 3, 12
FIELDS = ("ldr", "voxel", "truth", "gain")
PIXEL = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)


def levels(k: int) -> np.ndarray:
    """16-bit LDR of frame k, (H, W, 3), all well exposed; every value tells frame, pixel and channel."""
    return np.stack([3000 + 100 * PIXEL + 3 * k + channel for channel in range(3)], -1).astype(np.uint16)


def grid(k: int) -> np.ndarray:
    """(BINS, H, W), the sign by the bin; every value tells frame, bin and pixel."""
    return np.stack([(-1) ** b * (10000 * k + 1000 * b + PIXEL + 1) for b in range(BINS)]).astype(np.float32)


def linear(display: np.ndarray, white: int) -> np.ndarray:
    return ((display / white) ** 2.2).astype(np.float32)


def write(root: Path, name: str, frames: int = FRAMES, factor: float = 1.0) -> None:
    """A recording whose HDR is the linear LDR times `factor`; as text its names are not in order of time."""
    for kind in ("LDR", "HDR", "event"):
        (root / kind / name).mkdir(parents=True)
    for k in range(frames):
        cv2.imwrite(str(root / "LDR" / name / f"frame_{k}.png"), levels(k)[..., ::-1])
        write_exr(root / "HDR" / name / f"{k}.exr", linear(levels(k), 65535) * np.float32(factor))
        np.save(root / "event" / name / f"e{k}.npy", grid(k))


@pytest.fixture
def root(tmp_path) -> Path:
    write(tmp_path, "walk", factor=37)
    return tmp_path


def numbers(sequence: Sequence) -> list[int]:
    """The frames' numbers, by their LDR."""
    codes = (sequence.ldr[:, 0, 0, 0].double() ** (1 / 2.2) * 65535).round().long() - 3000
    return (codes % 100 // 3).tolist()


def pixels(sequence: Sequence, name: str) -> np.ndarray:
    """(T, H, W): which pixel of the recording each pixel is, by one of the fields."""
    if name == "voxel":
        return (sequence.voxel[:, 0].numpy() % 10000 - 1).astype(int)
    display = np.rint(getattr(sequence, name)[:, 0].double().numpy() ** (1 / 2.2) * 65535)
    return (display.astype(int) - 3000) // 100


def same(a: Sequence, b: Sequence) -> bool:
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in FIELDS)


def test_a_recording_comes_through_exactly(root):
    recording = FolderRecording(root, "walk", scale=1.0)
    assert (len(recording), recording.bins) == (FRAMES, BINS)
    assert (recording.height, recording.width) == (HEIGHT, WIDTH)
    sequence = recording.read(0, FRAMES)
    assert numbers(sequence) == list(range(FRAMES))
    for k in range(FRAMES):
        np.testing.assert_array_equal(sequence.voxel[k], grid(k))
        np.testing.assert_allclose(sequence.ldr[k].permute(1, 2, 0), linear(levels(k), 65535), rtol=1e-6)
        truth = linear(levels(k), 65535) * np.float32(37)
        np.testing.assert_array_equal(sequence.truth[k].permute(1, 2, 0), truth)
    assert torch.equal(sequence.gain, torch.ones(FRAMES))
    assert {getattr(sequence, name).dtype for name in FIELDS} == {torch.float32}


def test_a_part_is_that_part_of_the_whole(root):
    recording = FolderRecording(root, "walk")
    whole, part = recording.read(0, FRAMES), recording.read(3, 7, (slice(2, 12), slice(5, 21)))
    for name in ("ldr", "voxel", "truth"):
        assert torch.equal(getattr(part, name), getattr(whole, name)[3:7, :, 2:12, 5:21])


def test_the_hdr_is_brought_to_the_white_of_the_ldr(root):
    recording = FolderRecording(root, "walk")
    assert recording.scale == pytest.approx(1 / 37, rel=1e-5)
    sequence = recording.read(4, 6)
    torch.testing.assert_close(sequence.truth, sequence.ldr, rtol=1e-5, atol=0)


def test_clipped_and_dark_pixels_have_no_say_in_the_scale(root):
    for k in range(FRAMES):
        image, hdr = levels(k), linear(levels(k), 65535) / 8
        image[:9], hdr[:9] = 65535, 50.0
        image[9:14], hdr[9:14] = 300, 1e-9
        hdr[14] = 0
        cv2.imwrite(str(root / "LDR/walk" / f"frame_{k}.png"), image[..., ::-1])
        write_exr(root / "HDR/walk" / f"{k}.exr", hdr)
    assert FolderRecording(root, "walk").scale == pytest.approx(8, rel=1e-5)


def test_eight_bit_frames_and_radiance_files_are_read_too(tmp_path):
    write(tmp_path, "walk", frames=1)
    display = (20 + PIXEL[..., None] // 3 + np.array([0, 20, 40])).astype(np.uint8)
    (tmp_path / "LDR/walk/frame_0.png").unlink()
    cv2.imwrite(str(tmp_path / "LDR/walk/frame_0.BMP"), display[..., ::-1])
    (tmp_path / "HDR/walk/0.exr").unlink()
    cv2.imwrite(str(tmp_path / "HDR/walk/0.hdr"), 5 * linear(display, 255)[..., ::-1])
    (tmp_path / "LDR/walk/.hidden.png").write_text("not a frame")
    (tmp_path / "event/walk/notes.txt").write_text("not a frame")
    recording = FolderRecording(tmp_path, "walk")
    sequence = recording.read(0, 1)
    assert recording.scale == pytest.approx(1 / 5, rel=0.01)
    np.testing.assert_allclose(sequence.ldr[0].permute(1, 2, 0), linear(display, 255), rtol=1e-6)
    assert (sequence.truth - sequence.ldr).abs().max() < 0.01


def test_the_response_linearises(root):
    half, double = (FolderRecording(root, "walk", response).read(0, 1).ldr for response in (1.1, 2.2))
    torch.testing.assert_close(half**2, double)


def test_a_sequence_has_its_shapes_and_starts_as_after_a_reset(root):
    sequence = RecordedSequences(root, 5, size=16, frames=4, bins=BINS)[3]
    assert (sequence.ldr.shape, sequence.voxel.shape) == ((4, 3, 16, 16), (4, BINS, 16, 16))
    assert (sequence.truth.shape, sequence.gain.tolist()) == ((4, 3, 16, 16), [1] * 4)
    assert not sequence.voxel[0].any() and sequence.voxel[1:].all()


def test_a_sequence_is_a_function_of_seed_and_index(root):
    data, again, other = (RecordedSequences(root, 20, 8, 3, BINS, seed) for seed in (0, 0, 1))
    assert len(data) == 20 and len(list(data)) == 20
    assert all(same(again[i], data[i]) for i in (13, 2, 7))
    assert not same(other[2], data[2]) and not same(data[2], data[3])


def test_crops_and_turns_are_the_same_for_frames_grids_and_truth(root):
    corners, turns = set(), set()
    for sequence in RecordedSequences(root, 60, 8, 3, BINS):
        where = pixels(sequence, "ldr")
        assert (where == where[0]).all()
        np.testing.assert_array_equal(pixels(sequence, "truth"), where)
        np.testing.assert_array_equal(pixels(sequence, "voxel")[1:], where[1:])
        signs = sequence.voxel[1:].sign()
        assert (signs == torch.tensor([1.0, -1.0, 1.0])[:, None, None]).all()
        top, left = divmod(int(where.min()), WIDTH)
        expected = np.sort(PIXEL[top : top + 8, left : left + 8].ravel())
        np.testing.assert_array_equal(np.unique(where), expected)
        corners.add((top, left))
        turns.add((where[0, 0, 1] - where[0, 0, 0], where[0, 1, 0] - where[0, 0, 0]))
    assert len(corners) > 30 and len(turns) == 8


def test_crops_reach_every_edge(root):
    where = [pixels(s, "ldr")[0] for s in RecordedSequences(root, 30, HEIGHT - 1, 1, BINS)]
    edges = [w.min() for w in where] + [w.max() for w in where]
    assert min(edges) == 0 and max(edges) == HEIGHT * WIDTH - 1


def test_every_start_of_every_recording_is_as_likely(root):
    write(root, "run", frames=4, factor=2)
    write(root, "short", frames=2)  # than a sequence
    data = RecordedSequences(root, 600, 4, 3, BINS)
    assert [len(r) for r in data.recordings] == [4, 2, 12]
    first = {}
    for sequence in data:
        frames = numbers(sequence)
        assert frames == list(range(frames[0], frames[0] + 3))
        first[frames[0]] = first.get(frames[0], 0) + 1
    assert sorted(first) == list(range(10))  # the last three frames are 9, 10, 11
    # 12 starts: both recordings have 0 and 1.
    assert all(70 < first[k] < 130 for k in (0, 1)) and all(25 < first[k] < 80 for k in range(2, 10))


def test_only_the_files_of_its_frames_are_opened(root):
    data = RecordedSequences(root, 1, 8, 3, BINS)
    sequence = data[0]  # and the scale is measured
    for folder in (root / "LDR/walk", root / "HDR/walk", root / "event/walk"):
        for k in set(range(FRAMES)) - set(numbers(sequence)):
            next(folder.glob(f"*[!0-9]{k}.*"), folder / f"{k}.exr").write_text("damaged")
    assert same(data[0], sequence)


def test_nothing_is_kept(root):
    data = RecordedSequences(root, 40, 8, 3, BINS)
    data[0]
    before = len(pickle.dumps(data))
    for _ in data:
        pass
    assert len(pickle.dumps(data)) == before
    maps = Path("/proc/self/maps")
    assert not maps.exists() or str(root) not in maps.read_text()


def test_several_places_at_once(root, tmp_path):
    write(tmp_path / "other", "ride")
    data = RecordedSequences([root, str(tmp_path / "other")], 1, 8, 3, BINS)
    assert [Path(str(r)).name for r in data.recordings] == ["walk", "ride"]


@pytest.mark.parametrize("kind", ["LDR", "HDR", "event"])
def test_a_folder_that_is_missing_or_has_no_frames_is_named(root, kind):
    for path in (root / kind / "walk").iterdir():
        path.unlink()
    with pytest.raises(InputError, match=f"{kind}/walk has no frames"):
        RecordedSequences(root, 1, 8, 3, BINS)
    (root / kind / "walk").rmdir()
    with pytest.raises(InputError, match=f"{kind}/walk is not a folder"):
        RecordedSequences(root, 1, 8, 3, BINS)


def test_different_counts_are_told(root):
    (root / "HDR/walk/3.exr").unlink()
    with pytest.raises(InputError, match="12 in .*LDR/walk, 11 in .*HDR/walk, 12 in .*event/walk"):
        FolderRecording(root, "walk")


def test_other_bins_small_frames_and_short_recordings_are_refused(root):
    with pytest.raises(InputError, match="walk.* 3 bins, not 5"):
        RecordedSequences(root, 1, 8, 3, bins=5)
    with pytest.raises(InputError, match="walk has 24x20 pixels, smaller than a crop of 21"):
        RecordedSequences(root, 1, 21, 3, BINS)
    with pytest.raises(InputError, match="no recording has 13 frames, the longest has 12"):
        RecordedSequences(root, 1, 8, 13, BINS)


def test_a_place_without_recordings_is_named(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match=f"no recordings at {path}:"):
            RecordedSequences(path, 1, 8, 3, BINS)


NAN = np.full((BINS, HEIGHT, WIDTH), np.nan, np.float32)
DAMAGES = {
    "no image": ("LDR/walk/frame_5.png", lambda p: p.write_text("x")),
    "no hdr": ("HDR/walk/5.exr", lambda p: p.write_text("x")),
    "no grid": ("event/walk/e5.npy", lambda p: p.write_text("x")),
    "empty grid": ("event/walk/e5.npy", lambda p: p.write_bytes(b"")),
    "half a grid": ("event/walk/e5.npy", lambda p: p.write_bytes(p.read_bytes()[:3000])),
    "a grid of objects": ("event/walk/e5.npy", lambda p: np.save(p, np.array([{}]), allow_pickle=True)),
    "a flat grid": ("event/walk/e5.npy", lambda p: np.save(p, NAN[0])),
    "a grid of NaN": ("event/walk/e5.npy", lambda p: np.save(p, NAN)),
    "a grid of other bins": ("event/walk/e5.npy", lambda p: np.save(p, grid(5)[:2])),
    "a grid of another size": ("event/walk/e5.npy", lambda p: np.save(p, grid(5)[:, 1:])),
    "an image of another size": ("LDR/walk/frame_5.png", lambda p: cv2.imwrite(str(p), levels(5)[1:])),
    "hdr of another size": (
        "HDR/walk/5.exr",
        lambda p: write_exr(p, np.ones((HEIGHT, WIDTH + 1, 3), np.float32)),
    ),
    "hdr of NaN": ("HDR/walk/5.exr", lambda p: write_exr(p, np.full((HEIGHT, WIDTH, 3), np.nan, np.float32))),
    "no file": ("HDR/walk/5.exr", Path.unlink),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named(root, damage):
    name, change = DAMAGES[damage]
    recording = FolderRecording(root, "walk", scale=1.0)
    change(root / name)
    assert len(recording.read(0, 5)) == 5
    with pytest.raises((InputError, FileNotFoundError), match=f"{root / name} ") as error:
        recording.read(0, 6)
    assert "\n" not in str(error.value)


def test_frames_that_are_not_there_are_refused(root):
    recording = FolderRecording(root, "walk")
    for start, stop in ((-1, 3), (3, 3), (5, 13)):
        with pytest.raises(IndexError, match="12 frames"):
            recording.read(start, stop)


def test_a_recording_that_tells_no_scale_is_named(root):
    for path in (root / "HDR/walk").iterdir():
        write_exr(path, np.zeros((HEIGHT, WIDTH, 3), np.float32))
    with pytest.raises(InputError, match="walk: no well-exposed pixel"):
        FolderRecording(root, "walk").read(0, 1)
