import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from rehdr_ros.errors import InputError
from rehdr_ros.events import Clock, Events, make_decoder, make_encoder
from rehdr_ros.recordings import BagRecording, BagWriter
from rehdr_ros.simulation import SimulationConfig
from rehdr_ros.simulation.bag import EVENTS_TOPIC, IMAGE_TOPIC, TRUTH_TOPIC, write_bag
from rehdr_ros.training import export
from rehdr_ros.training.export import CACHED_NAME, cached_folder, export_folder, grid_of
from rehdr_ros.training.folder_recording import FolderRecording
from rehdr_ros.training.recorded import RecordedSequences

SIZE = 8
START = 1_000_000_000_000


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A small bag and its samples."""
    path = tmp_path_factory.mktemp("export") / "bag"
    config = SimulationConfig(width=48, height=36, seconds=0.4, fps=20, seed=2, renders=200, jitter=0.3)
    return path, list(write_bag(config, path))


@pytest.fixture
def bag(simulated, tmp_path):
    """A copy to write beside."""
    return shutil.copytree(simulated[0], tmp_path / "walk")


def write_frames(path, stamps, packets=((0,),), truths=None, event_size=SIZE, image=None):
    """A bag of frames at `stamps` (ms) and ON events at pixel 0 in packets of times (us).

    Packets and frames are in the order of their times, packets first.
    """
    image = np.full((SIZE, SIZE, 3), 99, np.uint8) if image is None else image
    encoder = make_encoder("mono", event_size, event_size)
    messages = []
    for times in packets:
        t = np.array(times, np.int64) * 1000
        events = Events(t, *(np.zeros(len(t), int),) * 2, np.ones(len(t), int))
        messages.append((int(t[0]), 0, events))
    messages += [(int(stamp * 1e6), 1, None) for stamp in stamps]
    with BagWriter(path) as bag:
        for t, _, events in sorted(messages, key=lambda m: m[:2]):
            if events is not None:
                bag.write_packet(EVENTS_TOPIC, encoder.encode(events, START + t), "")
                continue
            of_8_bits = "rgb8" if image.ndim == 3 else "mono8"
            encoding = {np.uint8: of_8_bits, np.uint16: "mono16", np.float32: "32FC1"}
            bag.write_image(IMAGE_TOPIC, START + t, "", image, encoding[image.dtype.type])
            if truths is None or t in truths:
                truth = np.ones((*image.shape[:2], 3), np.float32)
                bag.write_image(TRUTH_TOPIC, START + t, "", truth, "32FC3")


def sums(root, name="x"):
    """The events of each frame."""
    return [float(np.load(p).sum()) for p in sorted((root / "event" / name).iterdir())]


def test_frames_and_truth_are_those_of_the_bag(simulated, tmp_path):
    path, samples = simulated
    assert export_folder(path, tmp_path, "walk", bins=3) == len(samples) == 8
    sequence = FolderRecording(tmp_path, "walk", scale=1.0).read(0, 8)
    display = (sequence.ldr.permute(0, 2, 3, 1).double() ** (1 / 2.2) * 255).round().numpy()
    for k, sample in enumerate(samples):
        np.testing.assert_array_equal(display[k], sample.ldr)
        np.testing.assert_array_equal(sequence.truth[k].permute(1, 2, 0), sample.truth)


def test_no_event_is_lost_between_frames(simulated, tmp_path):
    path, samples = simulated
    export_folder(path, tmp_path, "walk", bins=3)
    voxel = FolderRecording(tmp_path, "walk", scale=1.0).read(0, 8).voxel
    assert not voxel[0].any()
    decoder, clock = make_decoder("evt3", 48, 36), Clock()
    events = Events.concatenate([clock.to_ros(p, decoder.decode(p)) for p in BagRecording(path).packets()])
    stamps = [f.stamp_ns for f in BagRecording(path).frames()]
    assert len(events) > 1000
    for k in range(1, 8):
        between = events[(events.t > stamps[k - 1]) & (events.t <= stamps[k])]
        counts = np.zeros((36, 48))
        np.add.at(counts, (between.y, between.x), np.where(between.p, 1, -1))
        np.testing.assert_allclose(voxel[k].sum(0), counts, atol=1e-4)


def test_the_scale_of_a_bag_measures_as_one(bag):
    assert FolderRecording(cached_folder(bag, 3), CACHED_NAME).scale == pytest.approx(1, rel=0.03)


def test_a_bag_trains_and_its_files_are_made_once(bag, simulated, monkeypatch):
    data = RecordedSequences(bag, 4, size=32, frames=3, bins=3)
    sequence = data[1]
    assert sequence.voxel.shape == (3, 3, 32, 32) and sequence.voxel[1:].any()
    monkeypatch.setattr(export, "export_folder", None)
    # A folder of bags, and of their exports.
    again = RecordedSequences(bag.parent, 4, size=32, frames=3, bins=3)
    assert torch.equal(again[1].ldr, sequence.ldr) and len(again.recordings) == 1
    assert [p.name for p in bag.with_name("walk.sequence").iterdir()] == ["3"]


def test_another_bag_and_other_bins_are_exported_anew(bag, tmp_path):
    root = cached_folder(bag, 3)
    (root / "mark").write_text("")
    assert cached_folder(bag, 3) == root and (root / "mark").exists()
    other = cached_folder(bag, 5)
    assert other != root and FolderRecording(other, CACHED_NAME).bins == 5 and (root / "mark").exists()
    older = shutil.copytree(bag, tmp_path / "older")
    for file in older.iterdir():
        os.utime(file, ns=(0, 0))
    shutil.rmtree(bag)
    older.rename(bag)
    assert cached_folder(bag, 3) == root and not (root / "mark").exists()


def test_what_another_process_has_just_exported_stays(bag, monkeypatch):
    def slow_export(*arguments):
        monkeypatch.setattr(export, "export_folder", export_folder)
        (cached_folder(bag, 3) / "mark").write_text("")
        return export_folder(*arguments)

    monkeypatch.setattr(export, "export_folder", slow_export)
    assert (cached_folder(bag, 3) / "mark").exists()
    assert [p.name for p in bag.with_name("walk.sequence").iterdir()] == ["3"]


def test_an_export_that_fails_leaves_nothing(tmp_path):
    write_frames(tmp_path / "bag", [0, 10, 20], truths={0, 10_000_000})
    with pytest.raises(InputError, match=f"bag: the frame at {START + 20_000_000} ns has no truth"):
        cached_folder(tmp_path / "bag", 3)
    assert not list((tmp_path / "bag.sequence").iterdir())
    with pytest.raises(InputError, match="has no truth"):
        export_folder(tmp_path / "bag", tmp_path / "root", "x", 3)
    assert not list((tmp_path / "root").iterdir())


def test_an_export_that_is_interrupted_leaves_nothing(bag, tmp_path, monkeypatch):
    def interrupted(job, bins):
        if job.frame.stamp_ns > START + 100_000_000:
            raise KeyboardInterrupt
        return grid_of(job, bins)

    monkeypatch.setattr(export, "grid_of", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_folder(bag, tmp_path / "root", "x", 3)
    assert not list((tmp_path / "root").iterdir())


def test_when_and_how_frames_were_exposed_comes_along(tmp_path):
    """Irregular frames of an exposure that adapts: the truth is in the white of its own frame."""
    config = SimulationConfig(
        scene="hall", width=48, height=36, seconds=0.8, fps=10, seed=7, speed=75, renders=200
    )
    config = replace(config, auto_exposure=True, jitter=0.3)
    samples = list(write_bag(config, tmp_path / "bag"))
    export_folder(tmp_path / "bag", tmp_path, "walk", bins=3)
    recording = FolderRecording(tmp_path, "walk")
    sequence = recording.read(0, 8)
    stamps, exposures = np.array([(sample.stamp_ns, sample.exposure) for sample in samples]).T
    assert exposures.max() > 1.3 * exposures.min() and recording.scale == pytest.approx(1, rel=0.03)
    np.testing.assert_allclose(sequence.gain, [1, *exposures[1:] / exposures[:-1]], rtol=1e-6)
    np.testing.assert_allclose(sequence.seconds, [0, *np.diff(stamps) * 1e-9], rtol=1e-5)
    ratio = (sequence.ldr / sequence.truth)[(sequence.ldr > 0.1) & (sequence.ldr < 0.9)]
    assert 0.8 < ratio.quantile(0.01) < ratio.quantile(0.99) < 1.25
    part = recording.read(3, 6)
    assert torch.equal(part.gain, sequence.gain[3:6]) and torch.equal(part.seconds, sequence.seconds[3:6])
    (tmp_path / "walk.csv").write_text("time_ns,exposure\n0,1.0\n")
    with pytest.raises(InputError, match="walk.csv doesn't tell time and exposure of 8 frames"):
        FolderRecording(tmp_path, "walk").read(0, 8)


def test_what_can_not_be_read_of_a_bag_is_told(simulated, tmp_path, capsys):
    source, packets = BagRecording(simulated[0]), 0
    with BagWriter(tmp_path / "bag") as bag:
        for topic, at, raw in source.raw_messages(set(source.topics)):
            packets += topic == EVENTS_TOPIC
            cut = raw[:40] if topic == EVENTS_TOPIC and packets == 3 else raw
            bag.write_raw(topic, source.topics[topic].type, cut, at)
    assert export_folder(tmp_path / "bag", tmp_path, "x", 2) == len(simulated[1])
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"note: refused a message on {EVENTS_TOPIC}, stamped ")


def test_a_bag_without_truth_is_refused(tmp_path):
    write_frames(tmp_path / "bags/one", [0, 10], truths={})
    with pytest.raises(InputError, match=f"one has no topic {TRUTH_TOPIC}"):
        RecordedSequences(tmp_path / "bags", 1, 4, 1, 3)


def test_events_at_the_very_stamp_of_a_frame_belong_to_it(tmp_path):
    packets = [(1, 9_000, 10_000), (10_000, 10_001, 15_000), (20_001, 40_000)]
    write_frames(tmp_path / "bag", [0, 10, 20, 30], packets)
    export_folder(tmp_path / "bag", tmp_path, "x", 2)
    assert sums(tmp_path) == [0, 4, 2, 1]


def test_frames_without_events_do_not_gather(tmp_path):
    stamps = list(range(0, 600, 10))
    write_frames(tmp_path / "bag", stamps, [(5_000,)])
    assert export_folder(tmp_path / "bag", tmp_path, "x", 2) == 60
    assert sums(tmp_path) == [0, 1] + [0] * 58


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_frames_become_colour(tmp_path, dtype):
    image = (np.iinfo(dtype).max // 2 + np.arange(SIZE * SIZE).reshape(SIZE, SIZE)).astype(dtype)
    write_frames(tmp_path / "bag", [0], image=image)
    export_folder(tmp_path / "bag", tmp_path, "x", 2)
    ldr = FolderRecording(tmp_path, "x", response=1.0, scale=1.0).read(0, 1).ldr[0]
    for channel in ldr:
        np.testing.assert_allclose(channel, image / np.iinfo(dtype).max, rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stamps": []}, "no topic"),
        ({"stamps": [0, 0]}, "is not later than the one before"),
        ({"event_size": 2 * SIZE}, "events of 16x16 pixels and frames of 8x8"),
        ({"image": np.ones((SIZE, SIZE), np.float32)}, "float32"),
    ],
)
def test_what_cannot_be_exported_is_said(tmp_path, changes, message):
    write_frames(tmp_path / "bag", **{"stamps": [0], **changes})
    with pytest.raises(InputError, match=message):
        export_folder(tmp_path / "bag", tmp_path, "x", 2)
