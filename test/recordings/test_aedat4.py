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


def write(path, frame=None):
    config = dv.io.MonoCameraWriter.Config("camera")
    config.addEventStream((8, 6))
    if frame is not None:
        config.addFrameStream((8, 6))
    writer = dv.io.MonoCameraWriter(str(path), config)
    events = dv.EventStore()
    for t, polarity in ((100, True), (200, False), (200, True), (300, True)):
        events.push_back(t, 1, 2, polarity)
    writer.writeEvents(events)
    if frame is not None:
        writer.writeFrame(dv.Frame(200, frame))
    return path


def test_colour_frames_of_unknown_exposure(tmp_path):
    path = write(tmp_path / "colour.aedat4", np.full((6, 8, 3), (1, 2, 3), np.uint8))
    before, frame, after = open_recording(path).messages()
    assert (before.t.tolist(), after.t.tolist()) == ([100_000, 200_000, 200_000], [300_000])
    assert before.p.tolist() == [1, 0, 1]
    assert (frame.stamp_ns, frame.exposure_time_s) == (200_000, None)
    np.testing.assert_array_equal(frame.image, np.full((6, 8, 3), (3, 2, 1), np.uint8))


def test_a_recording_without_frames_is_refused(tmp_path):
    with pytest.raises(RecordingError, match="it has events"):
        open_recording(write(tmp_path / "events.aedat4"))


def test_what_is_no_aedat4_is_refused_in_one_line(tmp_path):
    with pytest.raises(RecordingError, match="is not a file"):
        open_recording(tmp_path / "gone.aedat4")
    (tmp_path / "text.aedat4").write_text("not\nAEDAT4")
    with pytest.raises(RecordingError, match="not a readable AEDAT4 file") as error:
        open_recording(tmp_path / "text.aedat4")
    assert "\n" not in str(error.value)
