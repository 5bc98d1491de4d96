import json

import numpy as np
import pytest

from rehdr_ros.events import Events, Packet, make_encoder
from rehdr_ros.recordings import BagWriter

MS = 10**6
S = 10**9
STAMP = 1_700_000_000 * S


@pytest.fixture(scope="module")
def strange_bag(tmp_path_factory):
    """Six seconds of evt3 at 1 kHz: a drift of 80 ppm, two packets lost, half a word, a hot pixel.

    Frames at 10 Hz with a gap, and triggers on a topic of their own.
    """
    rng = np.random.default_rng(0)
    stamps = STAMP + np.rint(np.arange(6000) * MS * (1 + 80e-6)) + rng.exponential(MS, 6000)
    stamps = np.maximum.accumulate(stamps).astype(np.int64)  # a packet that waits holds up those behind it
    path = tmp_path_factory.mktemp("strange") / "bag"
    encoder = make_encoder("evt3", 64, 48)
    with BagWriter(path) as bag:
        for k in range(6000):
            start = k * MS
            x, y = rng.integers(0, 64, 40), rng.integers(0, 48, 40)
            x[:2], y[:2] = 10, 20
            t = np.sort(rng.integers(start, start + MS, 40)) // 1000 * 1000
            t[0] = start
            packet = encoder.encode(Events(t, x, y, np.arange(40) % 4 > 0), int(stamps[k]))
            if k == 4000:
                packet = Packet(packet.stamp_ns, 64, 48, packet.seq, 0, "evt3", bytes(packet.data) + b"\x00")
            if k not in (3000, 3001):
                bag.write_packet("/event_camera/events", packet, "event_camera")
            if k % 100 == 0 and k not in (500, 600):
                bag.write_image("/camera/image_raw", STAMP + start, "camera", np.zeros((36, 48, 3), np.uint8), "rgb8")
        trigger = (1 << 63 | 5 << 48 | 7).to_bytes(8, "little")
        bag.write_packet("/event_camera/triggers", Packet(STAMP, 64, 48, 0, STAMP, "trigger", trigger), "event_camera")
    return path


@pytest.fixture
def figures(rehdr, strange_bag):
    outcome = rehdr("info", strange_bag, "--json")
    assert outcome.code == 0
    return json.loads(outcome.out)


def test_events_and_losses(figures):
    events = figures["events"]["/event_camera/events"]
    assert events["streams"] == ["evt3 64x48"]
    assert (events["packets"], events["lost_packets"], events["events"]) == (5998, 2, 5998 * 40)
    assert events["damaged"] == {"truncated": 1}
    assert events["on_fraction"] == pytest.approx(0.75, abs=0.01)
    assert events["seconds"] == pytest.approx(6, abs=0.01)
    assert events["mean_rate"] == pytest.approx(40_000, rel=0.01)
    assert len(events["rates"]) in (60, 61) and events["peak_rate"] == pytest.approx(40_000, rel=0.05)
    assert events["packet_interval_ms"] == pytest.approx(1, abs=0.4)


def test_clock(figures):
    clock = figures["events"]["/event_camera/events"]["clock"]
    assert clock["drift_ppm"] == pytest.approx(80, abs=10)
    assert clock["offset"] == pytest.approx(STAMP / S + 6 * 80e-6, abs=1e-3)
    assert clock["delay_ms"]["median"] == pytest.approx(1.5, abs=0.7)


def test_hot_pixels(figures):
    hot = figures["events"]["/event_camera/events"]["hot_pixels"]
    assert hot["count"] == 1
    assert (hot["fastest"][0]["x"], hot["fastest"][0]["y"]) == (10, 20)
    assert hot["fastest"][0]["rate"] == pytest.approx(2013, rel=0.02)


def test_triggers_and_frames(figures):
    triggers = figures["events"]["/event_camera/triggers"]
    assert (triggers["streams"], triggers["triggers"], triggers["events"]) == (["trigger 64x48"], 1, 0)
    frames = figures["frames"]["/camera/image_raw"]
    assert (frames["kinds"], frames["frames"], frames["gaps"]) == (["48x36x3 uint8"], 58, 1)
    assert frames["rate"] == pytest.approx(10)


def test_text_says_the_same(rehdr, strange_bag):
    text = rehdr("info", strange_bag).out
    for words in ("evt3 64x48", "2 lost", "truncated 1", "(10, 20)", "48x36x3 uint8, ", "1 gaps", "ppm", "Hz"):
        assert words.strip(", ") in text


def test_a_bag_without_frames_and_a_recording_of_decoded_events(rehdr, shared):
    bag = rehdr("info", shared / "data/bags/libcaer_cmp_346x260", "--json")
    events = json.loads(bag.out)["events"]["/event_camera/events"]
    assert (events["streams"], events["events"]) == (["libcaer_cmp 346x260"], 571_266)
    davis = json.loads(rehdr("info", shared / "data/recordings/davis346.aedat4", "--json").out)
    assert davis["events"]["events"]["events"] == 117_667
    assert davis["frames"]["frames"]["frames"] == 3


def test_frames_that_never_meet_the_events_are_pointed_out(rehdr, tmp_path):
    encoder = make_encoder("mono", 64, 48)
    with BagWriter(tmp_path / "bag") as bag:
        for k in range(10):
            bag.write_packet("/events", encoder.encode(Events([k * MS], [1], [1], [1]), STAMP + k * MS), "")
            bag.write_image("/image", 5 * S + k * MS, "", np.zeros((48, 64), np.uint8), "mono8")
    assert "frame_clock" in rehdr("info", tmp_path / "bag").out


def test_an_unknown_encoding_is_said_beside_the_rest(rehdr, tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        bag.write_packet("/events", Packet(STAMP, 64, 48, 0, 0, "mono", bytes(9)), "")
        bag.write_packet("/events", Packet(STAMP + 1, 64, 48, 1, 0, "morse", b"..-"), "")
        bag.write_image("/image", STAMP, "", np.zeros((48, 64), np.uint8), "mono8")
    outcome = rehdr("info", tmp_path / "bag")
    assert outcome.code == 0
    assert "morse" in outcome.out and "64x48x1 uint8" in outcome.out
    assert "truncated 1" in outcome.out


def test_a_bag_with_nothing_of_use(rehdr, tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        time = bag.types["builtin_interfaces/msg/Time"](1, 2)
        bag.write("/time", "builtin_interfaces/msg/Time", time, 1)
    outcome = rehdr("info", tmp_path / "bag")
    assert outcome.code == 2 and "/time" in outcome.err
