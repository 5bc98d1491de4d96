"""rehdr reconstruct: what it leaves in its folder."""

import csv
import json
import os
import shutil
import signal

import av
import cv2
import numpy as np
import OpenEXR
import pytest
import torch

from rehdr_ros import safetensors_file
from rehdr_ros.cli.output_folder import exclusive_folder
from rehdr_ros.cli.verbs import reconstruct as command
from rehdr_ros.errors import InputError
from rehdr_ros.events import Events, Frame, make_encoder
from rehdr_ros.network import Rehdr, RehdrConfig, save_checkpoint
from rehdr_ros.reconstruction import HdrPipeline, PipelineConfig
from rehdr_ros.reconstruction.snapshot import Snapshot
from rehdr_ros.recordings import BagRecording, BagWriter, open_recording, read_exr
from rehdr_ros.recordings.images import read_png
from rehdr_ros.recordings.results import video
from rehdr_ros.recordings.results.folder import ResultWriter
from rehdr_ros.recordings.results.pq import encode_pq

LOSSES = {"dropped_events", "lost_packets", "skipped_frames"}
COLUMNS = {"index", "stamp_ns", "events", "clipped_fraction", *LOSSES}
STAGES = {"voxel_ms", "network_ms", "tonemap_ms"}


@pytest.fixture
def reconstruct(rehdr, tiny_weights, tmp_path):
    """A function that reconstructs a recording and returns the folder."""

    def reconstruct(recording, *options):
        network = ("--weights", tiny_weights, "--device", "cpu")
        outcome = rehdr("reconstruct", recording, "-o", tmp_path / "out", *network, *options)
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

    assert names(folder) == ["events", "frames.csv", "hdr", "ldr", "summary.json", "tonemapped", "video.mp4"]
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
    used = {"events": ["/event_camera/events"], "frames": ["/camera/image_raw"]}
    assert summary["sources"] == {"used": used, "not_used": ["/ground_truth/hdr/image_raw"]}
    with av.open(str(folder / "video.mp4")) as video:
        assert video.streams.video[0].average_rate == 10


def test_the_video_has_the_rate_of_the_frames_whatever_stamp_the_first_has(
    simulated_bag, reconstruct, tmp_path
):
    source = BagRecording(simulated_bag)
    with BagWriter(tmp_path / "bag") as bag:
        for k, frame in enumerate(source.frames()):
            bag.write_image("/image", frame.stamp_ns if k else 0, "", frame.image, "rgb8")
        for packet in source.packets():
            bag.write_packet("/events", packet, "")
    folder = reconstruct(tmp_path / "bag")
    with av.open(str(folder / "video.mp4")) as video:
        assert video.streams.video[0].average_rate == 10


def test_a_bag_that_was_cut_off_says_so_everywhere(simulated_bag, reconstruct, rehdr, tmp_path):
    whole = next(simulated_bag.glob("*.mcap")).read_bytes()
    cut = tmp_path / "killed.mcap"
    cut.write_bytes(whole[: len(whole) * 2 // 3])
    folder = reconstruct(cut)
    summary = json.loads((folder / "summary.json").read_text())
    (note,) = summary["notes"]
    assert note.startswith(f"{cut} ends early, ") and 0 < summary["frames"] < 10
    for arguments in (("info", cut), ("reconstruct", cut, "-o", tmp_path / "again", "--device", "cpu")):
        assert f"note: {note}\n" in rehdr(*arguments).out
    assert json.loads(rehdr("info", cut, "--json").out)["notes"] == [note]


def test_a_bad_message_is_named_and_counted_and_the_rest_is_reconstructed(
    simulated_bag, rehdr, tiny_weights, tmp_path
):
    image, events = "/camera/image_raw", "/event_camera/events"
    bag, damaged, numbers = BagRecording(simulated_bag), tmp_path / "damaged", {image: 0, events: 0}
    with BagWriter(damaged) as writer:
        for topic, at, raw in bag.raw_messages({image, events}):
            cut = (topic, numbers[topic]) in ((image, 3), (image, 4), (events, 0))
            writer.write_raw(topic, bag.topics[topic].type, raw[:-1] if cut else raw, at)
            numbers[topic] += 1
    options = "--weights", tiny_weights, "--device", "cpu"
    outcome = rehdr("reconstruct", damaged, "-o", tmp_path / "out", *options)
    assert outcome.code == 0, outcome.err
    lines = [line for line in outcome.out.splitlines() if not line.startswith(("events: ", "frames: "))]
    assert [line.partition(" stamped ")[0] for line in lines[:-2]] == [
        f"note: refused a message on {topic}," for topic in (events, image, image)
    ]
    assert "refused_frames 2, refused_packets 1" in lines[-2] and lines[-2].startswith("lost: ")
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    assert (summary["frames"], summary["damaged"]["refused_messages"]) == (len(rows(tmp_path / "out")), 3)
    whole, left = ([f.stamp_ns for f in BagRecording(each).frames()] for each in (simulated_bag, damaged))
    assert [int(row["stamp_ns"]) for row in rows(tmp_path / "out")] == left == whole[:3] + whole[5:]
    told = json.loads(rehdr("info", damaged, "--json").out)
    assert told["frames"][image]["damaged"] == {"refused_frames": 2}
    assert told["events"][events]["damaged"]["refused_packets"] == 1
    assert [note for note in told["notes"] if "refused" in note] == [line[6:] for line in lines[:-2]]


def test_frames_without_stamps_and_of_other_pixels_are_said(simulated_bag, rehdr, tiny_weights, tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        for message in BagRecording(simulated_bag).messages():
            if isinstance(message, Frame):
                bag.write_image("/image", 5, "", np.ascontiguousarray(message.image[:40]), "rgb8")
            else:
                bag.write_packet("/events", message, "")
    options = "--weights", tiny_weights, "--device", "cpu"
    outcome = rehdr("reconstruct", tmp_path / "bag", "-o", tmp_path / "out", *options)
    assert outcome.code == 0, outcome.err
    count = len(list(BagRecording(simulated_bag).frames()))
    assert f"note: frames repeat stamps: {count - 1} of {count} " in outcome.out
    assert "note: events of (64, 48) and frames of (64, 40) pixels" in outcome.out
    assert f"duplicate_frames {count - 1}" in outcome.out.splitlines()[-2]


def test_well_exposed_pixels_are_the_linearised_frame(simulated_bag, reconstruct):
    folder = reconstruct(simulated_bag)
    for i, frame in enumerate(open_recording(simulated_bag).frames()):
        exposed = (frame.image < 240).all(2)
        linear = (frame.image[exposed] / np.float32(255)) ** np.float32(2.2)
        radiance = read_exr(folder / "hdr" / f"{i:06d}.exr")
        np.testing.assert_allclose(radiance[exposed], linear, rtol=1e-3, atol=1e-6)


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
    """A bag of grey frames 100 ms apart, an event before each, and the exposures of those that have one."""
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
    # OpenCV 4.5.4 takes no colour image of a single pixel.
    folder = reconstruct(write_frames(tmp_path / "bag", [(16, 24), (16, 24), (32, 40), (1, 2)]))
    assert [row["reset_reason"] for row in rows(folder)] == ["start", "", "new resolution", "new resolution"]
    sizes = [read_exr(folder / "hdr" / f"{k:06d}.exr").shape[:2] for k in range(4)]
    assert sizes == [(16, 24), (16, 24), (32, 40), (1, 2)]
    with av.open(str(folder / "video.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 4


def test_the_exr_tells_its_primaries_and_its_scale(simulated_bag, reconstruct):
    folder = reconstruct(simulated_bag)
    stamps = [row["stamp_ns"] for row in rows(folder)]
    with OpenEXR.File(str(folder / "hdr" / "000002.exr")) as file:
        header = dict(file.header())
    bt709 = (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329)
    np.testing.assert_allclose(header["chromaticities"], bt709, atol=1e-6)
    assert header["radiance"] == "ldr_white" and "saturates" in header["radianceUnit"]
    assert header["stampNs"] == stamps[2]


def test_pictures_of_what_came_in(simulated_bag, reconstruct):
    folder = reconstruct(simulated_bag)
    for i, frame in enumerate(open_recording(simulated_bag).frames()):
        np.testing.assert_array_equal(read_png(folder / "ldr" / f"{i:06d}.png"), frame.image)
    events = read_png(folder / "events" / "000005.png").astype(int)
    assert (events[..., 0] - events[..., 2] > 50).any() and (events[..., 2] - events[..., 0] > 50).any()


def test_16_bit_frames_are_shown_with_their_white(reconstruct, tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        stamp = 10**9
        encoder = make_encoder("mono", 64, 48)
        bag.write_packet("/events", encoder.encode(Events([stamp], [1], [1], [1]), stamp), "event_camera")
        bag.write_image("/image", stamp, "camera", np.full((48, 64), 2048, np.uint16), "mono16")
    folder = reconstruct(tmp_path / "bag", "--white-level", 4095)
    assert (read_png(folder / "ldr" / "000000.png") == 128).all()


def test_a_part_of_a_recording(simulated_bag, reconstruct):
    stamps = [frame.stamp_ns for frame in open_recording(simulated_bag).frames()]
    everything = {row["stamp_ns"]: int(row["events"]) for row in rows(reconstruct(simulated_bag))}
    folder = reconstruct(simulated_bag, "--start", 0.15, "--stop", 0.75, "--every", 2)
    table = rows(folder)
    assert [int(row["stamp_ns"]) for row in table] == [stamps[k] for k in (2, 4, 6)]
    # Those of the run before are gone.
    assert names(folder / "hdr") == ["000000.exr", "000001.exr", "000002.exr"]
    assert int(table[1]["events"]) == everything[str(stamps[3])] + everything[str(stamps[4])]


def test_the_bag_says_what_the_node_would_have(simulated_bag, reconstruct, tmp_path):
    camera_info = "sensor_msgs/msg/CameraInfo"
    with BagWriter(tmp_path / "bag") as bag:
        source = open_recording(simulated_bag)
        for topic, stamp, raw in source.raw_messages({source.events_topic, source.image_topic}):
            bag.write_raw(topic, source.topics[topic].type, raw, stamp)
        time, header = bag.types["builtin_interfaces/msg/Time"], bag.types["std_msgs/msg/Header"]
        roi = bag.types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
        k, r, p = np.eye(3).ravel(), np.eye(3).ravel(), np.eye(3, 4).ravel()
        message = bag.types[camera_info](
            header(time(5, 0), "x"), 48, 64, "plumb_bob", np.array([0.1, 0, 0, 0, 0.0]), k, r, p, 0, 0, roi
        )
        bag.write("/camera/camera_info", camera_info, message, stamp)
    folder = reconstruct(tmp_path / "bag", "--bag")
    result, stamps = open_recording(folder / "bag"), [int(row["stamp_ns"]) for row in rows(folder)]
    for topic, kind, read in (("/hdr", "hdr", read_exr), ("/tonemapped", "tonemapped", read_png)):
        frames = list(result.frames(f"{topic}/image_raw"))
        assert [frame.stamp_ns for frame in frames] == stamps
        assert {frame.frame_id for frame in frames} == {"camera"}
        for path, frame in zip(sorted((folder / kind).iterdir()), frames, strict=True):
            np.testing.assert_array_equal(read(path), frame.image)
        infos = list(result.read(f"{topic}/camera_info"))
        assert [(i.header.stamp.sec * 10**9 + i.header.stamp.nanosec) for i in infos] == stamps
        assert {(i.width, i.d[0], i.header.frame_id) for i in infos} == {(64, 0.1, "camera")}


def test_uncertainty_and_cause_are_those_of_the_pipeline(simulated_bag, reconstruct, tiny_weights):
    folder = reconstruct(simulated_bag, "--uncertainty", "--bag")
    assert names(folder / "uncertainty") == [f"{k:06d}.exr" for k in range(10)]
    assert names(folder / "cause") == [f"{k:06d}.png" for k in range(10)]
    pipeline = HdrPipeline(PipelineConfig(weights=str(tiny_weights), device="cpu", policy="all"))
    frames = list(command.reconstruct(pipeline, open_recording(simulated_bag).messages()))
    bag = open_recording(folder / "bag")
    streams = [list(bag.frames(f"/hdr/{name}")) for name in ("uncertainty", "cause")]
    for k, (frame, *published) in enumerate(zip(frames, *streams, strict=True)):
        with OpenEXR.File(str(folder / "uncertainty" / f"{k:06d}.exr")) as file:
            header, uncertainty = dict(file.header()), file.channels()["Y"].pixels
        cause = cv2.imread(str(folder / "cause" / f"{k:06d}.png"), cv2.IMREAD_UNCHANGED)
        assert header["stampNs"] == str(frame.stamp_ns) and "stops" in header["unit"]
        for image, written, message in zip(
            (frame.uncertainty, frame.cause), (uncertainty, cause), published, strict=True
        ):
            assert written.dtype == image.dtype and image.shape == (48, 64)
            np.testing.assert_array_equal(written, image)
            np.testing.assert_array_equal(message.image, image)
            assert (message.stamp_ns, message.frame_id) == (frame.stamp_ns, "camera")


def test_a_run_without_uncertainty_leaves_none(simulated_bag, reconstruct):
    folder = reconstruct(simulated_bag, "--uncertainty")
    assert {"uncertainty", "cause"} <= set(names(folder))
    assert not {"uncertainty", "cause"} & set(names(reconstruct(simulated_bag)))


def test_half_holds_for_the_uncertainty_too(simulated_bag, reconstruct):
    full = read_exr(reconstruct(simulated_bag, "--uncertainty") / "uncertainty" / "000009.exr")
    half = read_exr(reconstruct(simulated_bag, "--uncertainty", "--half") / "uncertainty" / "000009.exr")
    np.testing.assert_array_equal(half, full.astype(np.float16))


def test_weights_that_know_no_uncertainty_refuse_it(simulated_bag, reconstruct, rehdr, tmp_path):
    folder = reconstruct(simulated_bag)
    whole = contents(folder)
    relative = Rehdr(RehdrConfig(base_channels=4, radiance="relative"))
    save_checkpoint(relative, tmp_path / "relative.safetensors")
    options = "--weights", tmp_path / "relative.safetensors", "--device", "cpu"
    outcome = rehdr("reconstruct", simulated_bag, "-o", folder, "--uncertainty", *options)
    assert outcome.code == 2 and "--uncertainty" in outcome.err and outcome.err.count("\n") == 1
    assert contents(folder) == whole
    assert rehdr("reconstruct", simulated_bag, "-o", folder, *options).code == 0


def test_hdr_video_has_every_frame(simulated_bag, reconstruct, planes_of):
    folder = reconstruct(simulated_bag, "--hdr-video", "--hdr-white", 100)
    with av.open(str(folder / "hdr.mp4")) as file:
        frames = list(file.decode(video=0))
        assert len(frames) == 10 and frames[0].format.name == "yuv420p10le"
    white = 64 + 876 * encode_pq(np.float32(100))
    luma = planes_of(frames[5])[:48]
    exposed = (read_png(folder / "ldr" / "000005.png") < 250).all(2)
    assert luma[exposed].max() < white + 8 < luma.max(), "what is exposed stays below white, lamps are above"


@pytest.mark.parametrize(("encoder", "name"), [("H264", "video.mp4"), ("HEVC", "--hdr-video")])
def test_a_video_that_ffmpeg_cannot_encode_is_refused_before_the_work(
    encoder, name, simulated_bag, rehdr, tiny_weights, tmp_path, monkeypatch
):
    monkeypatch.setattr(video, encoder, ("libx26x", getattr(video, encoder)[1]))
    options = ("-o", tmp_path / "out", "--weights", tiny_weights, "--device", "cpu", "--hdr-video", "--bag")
    outcome = rehdr("reconstruct", simulated_bag, *options)
    assert outcome.code == 2 and not (tmp_path / "out").exists()
    (line,) = outcome.err.splitlines()
    assert line.startswith(f"rehdr reconstruct: {name} needs an FFmpeg that encodes") and "libx26x" in line


PRODUCTS = ("--hdr-video", "--bag", "--uncertainty")


def contents(folder) -> dict[str, bytes | list]:
    """Every file but for times: of frames.csv the columns without them."""
    files = {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file()}
    table = [{k: v for k, v in row.items() if not k.endswith("_ms")} for row in rows(folder)]
    timed = ("frames.csv", "summary.json")
    return {name: path.read_bytes() for name, path in files.items() if name not in timed} | {"table": table}


@pytest.fixture
def interrupt(rehdr, simulated_bag, tiny_weights, tmp_path, monkeypatch):
    """A function that reconstructs, and interrupts that after some frames."""

    def interrupt(frames, *options, signals=1, recording=simulated_bag):
        write = ResultWriter.write

        def write_and_stop(results, *frame):
            write(results, *frame)
            if results.count == frames:
                for _ in range(signals):
                    signal.raise_signal(signal.SIGINT)

        with monkeypatch.context() as patch:
            patch.setattr(ResultWriter, "write", write_and_stop)
            patch.setattr(command, "SECONDS_BETWEEN_SNAPSHOTS", 0)
            folder = tmp_path / "out"
            network = ("--weights", tiny_weights, "--device", "cpu")
            outcome = rehdr("reconstruct", recording, "-o", folder, *network, *options)
        assert outcome.code == 130 and "interrupted" in outcome.err
        return folder

    return interrupt


@pytest.mark.parametrize("signals", [1, 2], ids=["Ctrl-C", "at once, as a kill is"])
def test_an_interrupted_run_goes_on_to_the_same_files(signals, simulated_bag, reconstruct, interrupt, capfd):
    folder = reconstruct(simulated_bag, *PRODUCTS)
    whole = contents(folder)
    shutil.rmtree(folder)
    interrupt(6, *PRODUCTS, signals=signals)
    assert not (folder / "video.mp4").exists()
    assert contents(reconstruct(simulated_bag, *PRODUCTS)) == whole


def test_outputs_between_the_frames_start_anew_to_the_same_files(simulated_bag, reconstruct, interrupt):
    folder = reconstruct(simulated_bag, "--output-rate", 30)
    whole = contents(folder)
    shutil.rmtree(folder)
    interrupt(6, "--output-rate", 30)
    assert contents(reconstruct(simulated_bag, "--output-rate", 30)) == whole


def test_what_was_done_is_not_done_again(simulated_bag, reconstruct, interrupt, monkeypatch):
    folder = interrupt(6)
    written = (folder / "hdr" / "000005.exr").stat().st_mtime_ns
    reconstruct(simulated_bag)
    assert (folder / "hdr" / "000005.exr").stat().st_mtime_ns == written
    reconstruct(simulated_bag)
    again = (folder / "hdr" / "000005.exr").stat().st_mtime_ns
    assert again > written, "the run was finished: this is another one"


def test_another_setting_starts_anew(simulated_bag, reconstruct, interrupt):
    folder = reconstruct(simulated_bag, "--tonemap", "gamma")
    whole = contents(folder)
    shutil.rmtree(folder)
    interrupt(6)
    assert contents(reconstruct(simulated_bag, "--tonemap", "gamma")) == whole


def test_another_frame_rate_starts_anew_where_it_stamps_the_frames(
    simulated_bag, reconstruct, rehdr, interrupt, tmp_path
):
    noted = shutil.copytree(simulated_bag, tmp_path / "noted")
    shutil.copy(next(noted.glob("*.mcap")), noted / "other.mcap")
    picture = interrupt(6, recording=noted) / "hdr" / "000005.exr"
    written = picture.stat().st_mtime_ns
    assert json.loads((reconstruct(noted, "--fps", 20) / "summary.json").read_text())["notes"]
    assert picture.stat().st_mtime_ns == written
    assert rehdr("export", simulated_bag, "-o", tmp_path / "set").code == 0
    sequence = tmp_path / "set" / "LDR" / "bag"
    interrupt(6, "--fps", 10, recording=sequence)
    folder = reconstruct(sequence, "--fps", 20)
    assert [int(row["stamp_ns"]) for row in rows(folder)] == [k * 50_000_000 for k in range(10)]


@pytest.mark.parametrize("damage", ["rows", "picture", "uncertainty", "weights"])
def test_what_does_not_fit_together_starts_anew(
    damage, simulated_bag, reconstruct, interrupt, tiny_weights, capfd
):
    folder = reconstruct(simulated_bag, "--uncertainty")
    whole = contents(folder)
    shutil.rmtree(folder)
    interrupt(6, "--uncertainty")
    if damage == "rows":
        table = folder / "frames.csv"
        table.write_text("".join(table.read_text().splitlines(keepends=True)[:-2]))
    elif damage == "picture":
        (folder / "ldr" / "000003.png").write_bytes(b"")
    elif damage == "uncertainty":
        (folder / "uncertainty" / "000003.exr").unlink()
    else:
        os.utime(tiny_weights)
    assert contents(reconstruct(simulated_bag, "--uncertainty")) == whole


def test_killed_while_frames_pass_again_nothing_is_lost(simulated_bag, reconstruct, interrupt, monkeypatch):
    folder = reconstruct(simulated_bag)
    whole = contents(folder)
    shutil.rmtree(folder)
    interrupt(6)
    with monkeypatch.context() as patch:
        patch.setattr(command, "selected_messages", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            reconstruct(simulated_bag)
    assert len(rows(folder)) == 6
    assert contents(reconstruct(simulated_bag)) == whole


def test_a_folder_with_something_else_is_left_alone(simulated_bag, rehdr, tmp_path):
    mine = tmp_path / "mine" / "bag" / "note.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    outcome = rehdr("reconstruct", simulated_bag, "-o", tmp_path / "mine", "--bag")
    assert outcome.code == 2 and "something else" in outcome.err
    assert mine.read_text() == "mine"
    outcome = rehdr("reconstruct", simulated_bag, "-o", mine)
    assert outcome.code == 2 and "is a file" in outcome.err


def test_a_recording_beside_another_frames_csv_is_left_alone(simulated_bag, rehdr, tmp_path):
    recording = shutil.copytree(simulated_bag, tmp_path / "walk" / "bag")
    (tmp_path / "walk" / "frames.csv").write_text("timestamp_us,exposure_us\n40000,5000\n")
    before = {path: path.read_bytes() for path in (tmp_path / "walk").rglob("*") if path.is_file()}
    outcome = rehdr("reconstruct", recording, "-o", tmp_path / "walk")
    assert outcome.code == 2 and "something else" in outcome.err and outcome.err.count("\n") == 1
    assert {path: path.read_bytes() for path in (tmp_path / "walk").rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("several", [False, True], ids=["one", "several"])
def test_a_recording_among_the_results_is_left_alone(several, simulated_bag, reconstruct, rehdr, tmp_path):
    recording = shutil.copytree(simulated_bag, reconstruct(simulated_bag) / "bag")
    before = contents(tmp_path / "out")
    if several:  # the results of the first would replace the second
        (tmp_path / "all").mkdir()
        (tmp_path / "out").rename(tmp_path / "all" / "bag")
        recording = tmp_path / "all" / "bag" / "bag"
        options = simulated_bag, recording, "-o", tmp_path / "all"
    else:
        options = recording, "-o", tmp_path / "out"
    outcome = rehdr("reconstruct", *options)
    assert outcome.code == 2 and f"{recording} would be replaced by the results" in outcome.err
    assert contents(recording.parent) == before


def test_two_runs_do_not_write_to_one_folder(simulated_bag, rehdr, tmp_path):
    with exclusive_folder(tmp_path / "out"):
        outcome = rehdr("reconstruct", simulated_bag, "-o", tmp_path / "out")
    assert outcome.code == 2 and "another run writes to" in outcome.err


def test_a_run_that_cannot_begin_leaves_the_results_before_it(simulated_bag, reconstruct, rehdr):
    folder = reconstruct(simulated_bag)
    whole = contents(folder)
    assert rehdr("reconstruct", simulated_bag, "-o", folder, "--start", 999).code == 2
    assert contents(folder) == whole


def test_another_run_removes_what_would_contradict_it(simulated_bag, reconstruct):
    folder = reconstruct(simulated_bag, *PRODUCTS)
    reconstruct(simulated_bag, "--stop", 0.3)
    assert not (folder / "hdr.mp4").exists() and not (folder / "bag").exists()


@pytest.mark.parametrize("options", [("--fps", "nan"), ("--fps", "inf"), ("--hdr-white", "-1")])
def test_rates_and_lights_are_positive_and_finite(simulated_bag, rehdr, tmp_path, options):
    outcome = rehdr("reconstruct", simulated_bag, "-o", tmp_path / "out", *options)
    assert outcome.code == 2 and options[0] in outcome.err


def test_a_damaged_snapshot_is_refused(simulated_bag, rehdr, interrupt):
    folder = interrupt(6)
    (folder / "unfinished.safetensors").write_bytes(b"nonsense")
    outcome = rehdr("reconstruct", simulated_bag, "-o", folder)
    assert outcome.code == 2 and "unfinished.safetensors is damaged" in outcome.err


def test_a_snapshot_of_another_version_is_refused(tmp_path):
    safetensors_file.write(tmp_path / "unfinished", {"0": torch.zeros(1)}, {"snapshot": "{}"})
    with pytest.raises(InputError, match="unfinished is damaged, or of another version .*remove it"):
        Snapshot.read(tmp_path / "unfinished")


def test_voxel_grids_in_place_of_events_give_the_same(simulated_bag, reconstruct, rehdr, tmp_path):
    assert rehdr("export", simulated_bag, "-o", tmp_path / "set").code == 0
    folder = reconstruct(simulated_bag, "--event-latency", "0")  # grids are of the stamps
    expected = [read_exr(folder / "hdr" / name) for name in names(folder / "hdr")]
    folder = reconstruct(tmp_path / "set" / "LDR" / "bag", "--fps", 10)
    for name, radiance in zip(names(folder / "hdr"), expected, strict=True):
        # A grid doesn't tell what pixels missed while they were blind after an event.
        np.testing.assert_allclose(read_exr(folder / "hdr" / name), radiance, rtol=3e-3, atol=1e-5)
    assert [row["stamp_ns"] for row in rows(folder)][:2] == ["0", "100000000"]


@pytest.mark.parametrize(
    "option",
    [("--output-rate", 50), ("--event-time-offset", 0.1), ("--event-latency", 0), ("--hot-pixel-filter",)],
    ids=lambda option: option[0],
)
def test_what_needs_events_is_refused_for_voxel_grids(simulated_bag, rehdr, tmp_path, option):
    assert rehdr("export", simulated_bag, "-o", tmp_path / "set").code == 0
    outcome = rehdr("reconstruct", tmp_path / "set", "-o", tmp_path / "out", *option)
    assert outcome.code == 2 and outcome.err.count("\n") == 1 and f": {option[0]} needs events" in outcome.err
    assert not (tmp_path / "out").exists()
