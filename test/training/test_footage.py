import numpy as np
import pytest
import torch

from rehdr_ros.errors import InputError
from rehdr_ros.events import Events, Packet
from rehdr_ros.recordings import BagRecording, BagWriter
from rehdr_ros.training.export import export_folder
from rehdr_ros.training.footage import Footage, Timing, read_footage

MS = 1_000_000
START = Timing("start")


def events(*rows):
    """Rows of t in ms, x, y, p."""
    t, x, y, p = np.array(rows, np.float64).reshape(-1, 4).T
    return Events((t * MS).astype(np.int64), x.astype(int), y.astype(int), p.astype(int))


def footage(*rows, start=(100, 140, 190), exposure=0.02, name="mine", size=(2, 3)):
    """Black frames that begin at those ms."""
    linear = torch.zeros(len(start), 3, *size)
    saturated = torch.zeros(len(start), *size, dtype=torch.bool)
    times = np.array(start) * MS, np.full(len(start), exposure)
    return Footage(name, linear, saturated, *times, events(*rows))


def sums(footage, timing, bins=2):
    """Polarity sums by frame, of all pixels."""
    return footage.grids(bins, timing).sum((1, 2, 3)).tolist()


def test_events_belong_to_the_interval_that_ends_with_their_frame():
    first = (99, 0, 0, 1), (100, 0, 0, 1), (100.1, 0, 0, 1)
    mine = footage(*first, (140, 1, 1, 1), (150, 2, 1, 0), (191, 0, 0, 1))
    grids = mine.grids(1, START)
    assert grids.shape == (3, 1, 2, 3) and grids.dtype == torch.float32
    expected = [[[0] * 3] * 2, [[1, 0, 0], [0, 1, 0]], [[0, 0, 0], [0, 0, -1]]]
    assert [grid.tolist() for grid in grids[:, 0]] == expected
    np.testing.assert_allclose(mine.seconds(START), [0, 0.04, 0.05])


@pytest.mark.parametrize(
    ("timing", "expected"),
    [
        (Timing("start"), [0, 2, 2]),  # intervals end at 100, 140 and 190 ms
        (Timing("middle"), [0, 2, 3]),  # at 110, 150 and 200
        (Timing("middle", event_latency=0.004), [0, 3, 2]),  # at 114, 154 and 204
        (Timing("start", event_latency=-0.004), [0, 1, 3]),  # at 96, 136 and 186
    ],
)
def test_when_a_frame_was_and_how_late_events_come_is_told(timing, expected):
    mine = footage(*[(t, 0, 0, 1) for t in (107, 138, 145, 153, 195, 199)])
    assert sums(mine, timing) == expected


def test_events_can_come_late():
    mine = footage((110, 0, 0, 1), (160, 0, 0, 1))
    assert sums(mine, START) == [0, 1, 1]
    assert sums(mine.late(0.04), START) == [0, 0, 1]


def test_another_recordings_events_are_laid_over_the_frames_from_its_first_one_on():
    other = footage((990, 2, 1, 0), (1010, 0, 0, 1), (1049, 1, 1, 1), start=(1000, 1050), name="other")
    mine = footage((120, 2, 1, 0), (160, 2, 1, 0)).with_events_of(other)
    assert mine.name == "mine" and mine.start_ns.tolist() == [100 * MS, 140 * MS, 190 * MS]
    grids = mine.grids(1, START)[:, 0]
    assert grids[:, 0, 0].tolist() == [0, 1, 1], "at 110 and, since they are few, again at 159"
    assert grids[:, 1, 1].tolist() == [0, 0, 1], "at 149"
    assert not grids[:, 1, 2].any(), "of its own there are none, nor what lies before the other's first frame"


def test_other_pixels_have_no_place():
    with pytest.raises(InputError, match="wide has other pixels than mine"):
        footage().with_events_of(footage(size=(2, 4), name="wide"))


def test_timings_that_are_none():
    with pytest.raises(InputError, match="frame_time='end': use start, middle"):
        Timing("end")
    with pytest.raises(InputError, match="event_latency=nan: must be more than -1 and less than 1"):
        Timing(event_latency=float("nan"))


def test_a_bag_is_read_as_it_is_exported(simulated_bag, tmp_path):
    read = read_footage(simulated_bag, response=2.2, most_frames=6)
    frames = list(BagRecording(simulated_bag).frames("/camera/image_raw"))[:6]
    np.testing.assert_allclose(
        read.linear, np.stack([(f.image / 255.0) ** 2.2 for f in frames]).transpose(0, 3, 1, 2), atol=1e-6
    )
    np.testing.assert_array_equal(read.saturated, np.stack([(f.image >= 250).any(-1) for f in frames]))
    assert read.start_ns.tolist() == [f.stamp_ns for f in frames]
    export_folder(simulated_bag, tmp_path, "x", 3)
    exported = np.stack([np.load(tmp_path / f"event/x/{k:06d}.npy") for k in range(6)])
    assert np.abs(exported).sum() > 100
    np.testing.assert_allclose(read.grids(3, START), exported, atol=1e-4)


@pytest.mark.parametrize("behind", [False, True], ids=["before its frame", "behind it"])
def test_exposures_that_come_by_themselves(simulated_bag, tmp_path, behind):
    with BagWriter(tmp_path / "bag") as bag:
        for message in BagRecording(simulated_bag).messages():
            if isinstance(message, Packet):
                bag.write_packet("/events", message, "")
                continue
            for part in ("image", "exposure") if behind else ("exposure", "image"):
                if part == "image":
                    bag.write_image("/image", message.stamp_ns, "", message.image, "rgb8")
                else:
                    bag.write_exposure("/exposure", message.stamp_ns, "", 0.008, 2.0)
    np.testing.assert_allclose(read_footage(tmp_path / "bag", most_frames=6).exposure, [0.008] * 6)


def test_a_real_recording(shared):
    read = read_footage(shared / "data/recordings/demo-01.aedat4")
    assert (len(read), *read.size, read.name) == (13, 260, 346, "demo-01")
    np.testing.assert_allclose(read.exposure, 0.02)
    assert float(read.linear.max()) == 1
    assert 0.1 < float(read.linear.median()) < 0.11, "values are linear: 26 of 255"
    assert 1e-5 < float(read.saturated.float().mean()) < 1e-3
    assert np.all(np.diff(read.events.t) >= 0)
    grids = read.grids(5, Timing())
    assert not grids[0].any() and 5e4 < float(grids[1:].abs().sum((1, 2, 3)).max()) * 2 < 2e5


def test_what_cannot_be_footage(simulated_bag):
    with pytest.raises(InputError, match="at least two"):
        read_footage(simulated_bag, most_frames=1)
