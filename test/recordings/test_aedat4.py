import dv_processing as dv
import numpy as np
import pytest

from rehdr_ros.events import Events
from rehdr_ros.recordings import Aedat4Recording, Frame, Recording, RecordingError, open_recording

STARTS = [1633953690976518000, 1633953691016518000, 1633953691056518000]


@pytest.fixture(scope="module")
def path(shared):
    return shared / "data/recordings/davis346.aedat4"


def test_frames(path):
    frames = list(Aedat4Recording(path).frames())
    assert [frame.stamp_ns for frame in frames] == STARTS
    assert all(frame.exposure_time_s == pytest.approx(4.773e-3) for frame in frames)
    assert all((frame.image.shape, frame.image.dtype) == ((260, 346), np.uint8) for frame in frames)
    assert all(frame.image.std() > 10 for frame in frames)


def test_events(path):
    recording = Aedat4Recording(path)
    assert isinstance(recording, Recording)
    assert recording.event_size == (346, 260)
    events = Events.concatenate(recording.events())
    assert len(events) == 117_667
    assert (events.t[0], events.t[-1]) == (1633953690975950000, 1633953691105949000)
    assert (np.diff(events.t) >= 0).all()
    assert events.x.max() < 346 and events.y.max() < 260 and set(events.p) == {0, 1}


def test_a_frame_follows_the_events_up_to_its_stamp(path, assert_same_events):
    before, batches = [], []
    for message in Aedat4Recording(path).messages():
        if isinstance(message, Frame):
            before.append((message.stamp_ns, sum(map(len, batches))))
        else:
            assert len(message)
            batches.append(message)
    events = Events.concatenate(batches)
    assert before == [(stamp, np.count_nonzero(events.t <= stamp)) for stamp in STARTS]
    assert_same_events(events, Events.concatenate(Aedat4Recording(path).events()))


@pytest.mark.parametrize("name", ["davis346", "demo-01", "street"])
def test_all_is_as_in_the_cameras_own_library(shared, name):
    path = shared / f"data/recordings/{name}.aedat4"
    recording, reader = Aedat4Recording(path), dv.io.MonoCameraRecording(str(path))
    for events in recording.events():
        expected = reader.getNextEventBatch().numpy()
        np.testing.assert_array_equal(events.t, expected["timestamp"] * 1000)
        for mine, theirs in (("x", "x"), ("y", "y"), ("p", "polarity")):
            np.testing.assert_array_equal(getattr(events, mine), expected[theirs])
    for frame in recording.frames():
        expected = reader.getNextFrame()
        assert frame.stamp_ns == expected.timestamp * 1000
        assert frame.exposure_time_s == expected.exposure.total_seconds()
        np.testing.assert_array_equal(frame.image, expected.image)
    assert reader.getNextEventBatch() is None and reader.getNextFrame() is None
    assert not recording.notes and not any(recording.counters.values())


def write(path, *frames, name="camera", events=True, compression=dv.CompressionType.LZ4):
    """Four events, and the frames behind them."""
    size = frames[0].shape[1::-1] if frames else (8, 6)
    config = dv.io.MonoCameraWriter.Config(name, compression)
    if events:
        config.addEventStream(size)
    if frames:
        config.addFrameStream(size)
    writer = dv.io.MonoCameraWriter(str(path), config)
    store = dv.EventStore()
    for t, polarity in ((100, True), (200, False), (200, True), (300, True)):
        store.push_back(t, 1, 2, polarity)
    if events:
        writer.writeEvents(store)
    for k, frame in enumerate(frames):
        writer.writeFrame(dv.Frame(200 + k, frame))
    return path


def packets(path, count=8, name="camera"):
    """As many packets of 50 events each, and a frame of noise behind each."""
    config = dv.io.MonoCameraWriter.Config(name)
    config.addEventStream((8, 6))
    config.addFrameStream((8, 6))
    writer, random = dv.io.MonoCameraWriter(str(path), config), np.random.default_rng(0)
    for k in range(count):
        store = dv.EventStore()
        for t in np.sort(random.integers(1000 * k, 1000 * (k + 1), 50)).tolist():
            store.push_back(10**9 + t, int(random.integers(8)), int(random.integers(6)), True)
        writer.writeEvents(store)
        writer.writeFrame(dv.Frame(10**9 + 1000 * k, random.integers(0, 256, (6, 8)).astype(np.uint8)))
    return path


def test_colour_frames_of_unknown_exposure(tmp_path):
    path = write(tmp_path / "colour.aedat4", np.full((6, 8, 3), (1, 2, 3), np.uint8))
    before, frame, after = open_recording(path).messages()
    assert (before.t.tolist(), after.t.tolist()) == ([100_000, 200_000, 200_000], [300_000])
    assert before.p.tolist() == [1, 0, 1]
    assert (frame.stamp_ns, frame.exposure_time_s) == (200_000, None)
    np.testing.assert_array_equal(frame.image, np.full((6, 8, 3), (3, 2, 1), np.uint8))


@pytest.mark.parametrize("compression", dv.CompressionType.__members__.values(), ids=str)
def test_every_compression(tmp_path, compression):
    grey = np.arange(48, dtype=np.uint8).reshape(6, 8)
    recording = open_recording(write(tmp_path / "a.aedat4", grey, compression=compression))
    assert [len(events) for events in recording.events()] == [4]
    (frame,) = recording.frames()
    np.testing.assert_array_equal(frame.image, grey)


def test_events_alone_and_frames_alone(tmp_path):
    events = open_recording(write(tmp_path / "events.aedat4"))
    assert len(Events.concatenate(events.events())) == 4 and events.event_size == (8, 6)
    with pytest.raises(RecordingError, match="has no frames of the camera camera; it has camera/events"):
        events.messages()
    frames = open_recording(write(tmp_path / "frames.aedat4", np.zeros((6, 8), np.uint8), events=False))
    assert len(list(frames.frames())) == 1 and frames.event_size is None and frames.encoding is None
    with pytest.raises(RecordingError, match="has no events"):
        frames.messages()


def two_cameras(path, frames_of, events_of="AB"):
    """Events and frames of those named."""
    configs = [dv.io.MonoCameraWriter.Config(name) for name in "AB"]
    for config in configs:
        if config.cameraName in events_of:
            config.addEventStream((8, 6))
        if config.cameraName in frames_of:
            config.addFrameStream((8, 6))
    writer = dv.io.StereoCameraWriter(str(path), *configs)
    for name, camera in zip("AB", (writer.left, writer.right), strict=True):
        store = dv.EventStore()
        for t in range(2 if name == "A" else 3):
            store.push_back(100 + t, 1, 2, True)
        if name in events_of:
            camera.writeEvents(store)
        if name in frames_of:
            camera.writeFrame(dv.Frame(101, np.full((6, 8), ord(name), np.uint8)))
    return path


def test_the_camera_that_has_both_is_taken(tmp_path):
    path = two_cameras(tmp_path / "two.aedat4", "B")
    recording = open_recording(path)
    assert recording.camera == "B" and len(Events.concatenate(recording.events())) == 3
    assert next(recording.frames()).image[0, 0] == ord("B")
    sources = recording.sources()
    assert sources.used == {"events": ["B/events"], "frames": ["B/frames"]}
    assert sources.candidates == ["A/events"] and not sources.ties
    assert len(Events.concatenate(open_recording(path, camera="A").events())) == 2
    with pytest.raises(RecordingError, match="no camera C; it has A, B"):
        open_recording(path, camera="C")


def test_the_camera_of_events_comes_before_that_of_frames(tmp_path):
    recording = open_recording(two_cameras(tmp_path / "two.aedat4", "A", "B"))
    assert recording.camera == "B" and recording.sources().candidates == ["A/frames"]


def test_several_cameras_with_both_are_a_tie(tmp_path):
    recording = open_recording(two_cameras(tmp_path / "two.aedat4", "AB"))
    assert recording.camera == "A"
    (tie,) = recording.sources().ties
    assert "B would do as well" in tie and "--camera chooses" in tie


def test_a_file_that_was_cut_is_read_to_its_last_whole_packet(tmp_path):
    path = packets(tmp_path / "a.aedat4")
    whole, data = Aedat4Recording(path), path.read_bytes()
    expected = [len(list(whole.events())), len(list(whole.frames()))]
    assert expected == [8, 8] and not whole.notes
    for share in (0.3, 0.6, 0.9):
        path.write_bytes(data[: int(share * len(data))])
        cut = Aedat4Recording(path)
        found = [len(list(cut.events())), len(list(cut.frames()))]
        assert 0 < sum(found) < 16 and abs(found[0] - found[1]) <= 1
        assert len(cut.notes) == 1 and "ends early" in cut.notes[0]
        assert path.read_bytes() == data[: int(share * len(data))]


def test_a_damaged_packet_is_left_out_and_named(tmp_path):
    path = packets(tmp_path / "a.aedat4")
    data = bytearray(path.read_bytes())
    at = [k for k in range(len(data)) if data[k : k + 4] == b"\x04\x22\x4d\x18"]
    data[at[4] + 7 : at[4] + 11] = b"\xff" * 4  # the length of the block in the third packet of events
    data[at[6] - 4 : at[6]] = b"\xff" * 4  # the length of the fourth
    path.write_bytes(data)
    recording = Aedat4Recording(path)
    assert len(list(recording.events())) == 6 and len(list(recording.frames())) == 8
    assert recording.counters == {"refused_packets": 1}
    assert len(list(recording.events())) == 6 and recording.counters == {"refused_packets": 1}
    assert ["is damaged from byte" in note for note in recording.notes].count(True) == 1
    assert "refused packet 2 of camera/events" in recording.notes[-1]


def test_what_is_no_aedat4_is_refused_in_one_line(tmp_path):
    with pytest.raises(RecordingError, match="is not a file"):
        open_recording(tmp_path / "gone.aedat4")
    (tmp_path / "text.aedat4").write_text("not\nAEDAT4")
    with pytest.raises(RecordingError, match="not a readable AEDAT4 file") as error:
        open_recording(tmp_path / "text.aedat4")
    assert "\n" not in str(error.value)
