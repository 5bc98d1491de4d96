"""rehdr reconstruct: what it leaves in its folder."""

import csv
import json

import av
import cv2
import numpy as np
import pytest

from rehdr_ros.events import Events, make_encoder
from rehdr_ros.recordings import BagWriter, open_recording, read_exr

COLUMNS = {"index", "stamp_ns", "events", "clipped_fraction", "dropped_events", "lost_packets", "skipped_frames"}
STAGES = {"voxel_ms", "network_ms", "tonemap_ms"}


@pytest.fixture
def reconstruct(rehdr, tiny_weights, tmp_path):
    """A function that reconstructs a recording and returns the folder."""

    def reconstruct(recording, *options):
        outcome = rehdr(
            "reconstruct", recording, "-o", tmp_path / "out", "--weights", tiny_weights, "--device", "cpu", *options
        )
        assert outcome.code == 0, outcome.err
        return tmp_path / "out"

    return reconstruct


def rows(folder) -> list[dict[str, str]]:
    with open(folder / "frames.csv", newline="") as file:
        return list(csv.DictReader(file))


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_real_recording_of_a_davis(shared, reconstruct):
    recording = open_recording(shared / "data" / "recordings" / "davis346.aedat4")
    frames = list(recording.frames())
    folder = reconstruct(recording.path)

    assert names(folder) == ["frames.csv", "hdr", "summary.json", "tonemapped", "video.mp4"]
    assert names(folder / "hdr") == ["000000.exr", "000001.exr", "000002.exr"]
    assert names(folder / "tonemapped") == ["000000.png", "000001.png", "000002.png"]
    for i in range(3):
        radiance = read_exr(folder / "hdr" / f"{i:06d}.exr")
        assert radiance.shape == (260, 346, 3)
        assert np.isfinite(radiance).all()
        assert radiance.min() >= 0 < radiance.max()
        assert cv2.imread(str(folder / "tonemapped" / f"{i:06d}.png")).shape == (260, 346, 3)
    with av.open(str(folder / "video.mp4")) as video:
        assert len(list(video.decode(video=0))) == 3

    table = rows(folder)
    assert set(table[0]) >= COLUMNS | STAGES
    assert [int(row["index"]) for row in table] == [0, 1, 2]
    assert [int(row["stamp_ns"]) for row in table] == [frame.stamp_ns for frame in frames]
    assert [row["reset_reason"] != "" for row in table] == [True, False, False]
    assert sum(int(row["events"]) for row in table) > 0

    summary = json.loads((folder / "summary.json").read_text())
    assert summary["frames"] == 3
    assert summary["events"] == sum(int(row["events"]) for row in table)
    assert summary.keys() >= {"dropped_events", "lost_packets", "skipped_frames", "damaged"}
    assert summary["radiance"] == "ldr_white"
    assert summary["device"] == "cpu"
    assert summary["weights"].endswith("tiny.safetensors")
    assert summary["encoding"]


def test_bag_gives_every_frame_and_its_encoding(simulated_bag, reconstruct):
    folder = reconstruct(simulated_bag)
    assert [int(row["stamp_ns"]) for row in rows(folder)] == [
        f.stamp_ns for f in open_recording(simulated_bag).frames()
    ]
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["frames"] == 10
    assert summary["encoding"] == "evt3"
    with av.open(str(folder / "video.mp4")) as video:
        assert video.streams.video[0].average_rate == 10


def test_well_exposed_pixels_are_the_linearised_frame(simulated_bag, reconstruct):
    folder = reconstruct(simulated_bag)
    for i, frame in enumerate(open_recording(simulated_bag).frames()):
        exposed = (frame.image < 240).all(2)
        linear = (frame.image[exposed] / np.float32(255)) ** np.float32(2.2)
        np.testing.assert_allclose(read_exr(folder / "hdr" / f"{i:06d}.exr")[exposed], linear, rtol=1e-3, atol=1e-6)


def test_second_run_gives_the_same_radiance(simulated_bag, reconstruct):
    folder = reconstruct(simulated_bag)
    first = [(folder / "hdr" / name).read_bytes() for name in names(folder / "hdr")]
    reconstruct(simulated_bag)
    assert [(folder / "hdr" / name).read_bytes() for name in names(folder / "hdr")] == first


def test_half_writes_smaller_files_of_nearly_the_same(simulated_bag, reconstruct):
    full = read_exr(reconstruct(simulated_bag) / "hdr" / "000009.exr")
    half = read_exr(reconstruct(simulated_bag, "--half") / "hdr" / "000009.exr")
    np.testing.assert_allclose(half, full, rtol=1e-3, atol=1e-4)
    assert (half != full).any()


def test_evaluate_prints_and_writes_the_measures(simulated_bag, reconstruct, rehdr):
    folder = reconstruct(simulated_bag)
    outcome = rehdr("evaluate", "--predicted", folder, "--truth", simulated_bag)
    assert outcome.code == 0
    scores = json.loads((folder / "metrics.json").read_text())
    for measures in scores.values():
        assert f"{measures['mu_psnr']:.3f}" in outcome.out
    # Events alone, without training, already tell what the camera clipped.
    assert scores["ours"]["clipped_log2_rmse"] < scores["ldr"]["clipped_log2_rmse"]


def write_frames(path, shapes, exposures=()):
    """A bag with grey frames 100 ms apart, an event before each, and an exposure for the frames that have one."""
    with BagWriter(path) as bag:
        header, exposure = bag.types["std_msgs/msg/Header"], bag.types["rehdr_ros/msg/Exposure"]
        time = bag.types["builtin_interfaces/msg/Time"]
        encoder = make_encoder("mono", 64, 48)
        for k, shape in enumerate(shapes):
            stamp = 10**9 * (k + 1) // 10
            bag.write_packet("/events", encoder.encode(Events([stamp], [1], [1], [1]), stamp), "event_camera")
            if k < len(exposures):
                message = exposure(header(time(*divmod(stamp, 10**9)), "camera"), exposures[k], 2.0)
                bag.write("/camera/exposure", "rehdr_ros/msg/Exposure", message, stamp)
            bag.write_image("/image", stamp, "camera", np.full((*shape, 3), 100, np.uint8), "rgb8")
    return path


def test_recorded_exposures_keep_the_scale_of_the_radiance(reconstruct, tmp_path):
    folder = reconstruct(write_frames(tmp_path / "bag", [(16, 24)] * 3, [0.01, 0.02, 0.01]))
    means = [read_exr(folder / "hdr" / f"{k:06d}.exr").mean() for k in range(3)]
    np.testing.assert_allclose(means, np.array([1, 0.5, 1]) * (100 / 255) ** 2.2, rtol=1e-3)


def test_a_new_resolution_resets_and_goes_on(reconstruct, tmp_path):
    folder = reconstruct(write_frames(tmp_path / "bag", [(16, 24), (16, 24), (32, 40), (1, 1)]))
    assert [row["reset_reason"] for row in rows(folder)] == ["start", "", "new resolution", "new resolution"]
    sizes = [read_exr(folder / "hdr" / f"{k:06d}.exr").shape[:2] for k in range(4)]
    assert sizes == [(16, 24), (16, 24), (32, 40), (1, 1)]
    with av.open(str(folder / "video.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 4
