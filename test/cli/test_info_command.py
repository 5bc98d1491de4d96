import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from rehdr_ros.events import Events, Packet, make_encoder
from rehdr_ros.recordings import BagWriter
from rehdr_ros.recordings.bag_types import COMPRESSED, DVS_EVENTS, IMAGE
from rehdr_ros.recordings.event_stream import EventStream

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
                black = np.zeros((36, 48, 3), np.uint8)
                bag.write_image("/camera/image_raw", STAMP + start, "camera", black, "rgb8")
        trigger = (1 << 63 | 5 << 48 | 7).to_bytes(8, "little")
        packet = Packet(STAMP, 64, 48, 0, STAMP, "trigger", trigger)
        bag.write_packet("/event_camera/triggers", packet, "event_camera")
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
    assert len(events["rates"]) in (59, 60) and events["peak_rate"] == pytest.approx(40_000, rel=0.05)
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


def many_topics(path):
    """A robot's bag: eight topics of images, two of events, and others."""
    encoders = {
        f"/{name}/events": make_encoder("mono", 64, 48) for name in ("event_camera", "rear_event_camera")
    }
    black = np.zeros((96, 128, 3), np.uint8)
    ones = np.ones((96, 128), np.float32)
    raw = {
        "/camera/color/image_raw": (black, "rgb8"),
        "/camera/infra1/image_rect_raw": (black[..., 0], "mono8"),
        "/event_renderer/image_raw": (black[:48, :64], "rgb8"),
        "/segmentation/label_image": (black[..., 0], "mono8"),
        "/stereo/disparity_image": (ones, "32FC1"),
        "/tonemapped/image_raw": (black, "rgb8"),
    }
    png = np.frombuffer(cv2.imencode(".png", black)[1], np.uint8)
    packed = {
        "/camera/color/image_raw/compressed": "rgb8; png compressed bgr8",
        "/camera/depth/image_rect_raw/compressedDepth": "16UC1; compressedDepth png",
    }
    with BagWriter(path) as bag:
        time, header = bag.types["builtin_interfaces/msg/Time"], bag.types["std_msgs/msg/Header"]
        for k in range(10):
            at, stamp = 100 * k * MS, STAMP + 100 * k * MS
            for topic, encoder in encoders.items():
                part = Events(at + np.arange(50) * MS, np.arange(50), np.arange(50) % 48, np.arange(50) % 2)
                bag.write_packet(topic, encoder.encode(part, stamp), "")
            for topic, (image, encoding) in raw.items():
                bag.write_image(topic, stamp, "camera", image, encoding)
            for topic, form in packed.items():
                message = bag.types[COMPRESSED](header(time(STAMP // S, at), "camera"), form, png)
                bag.write(topic, COMPRESSED, message, stamp)
            bag.write("/clock", "builtin_interfaces/msg/Time", time(1, k), stamp)
    return path


def test_every_topic_is_named_and_what_would_be_taken_is_marked(rehdr, tmp_path):
    path = many_topics(tmp_path / "bag")
    outcome = rehdr("info", path)
    lines = [line for line in outcome.out.splitlines() if not line.startswith(("note: ", str(path)))]
    assert outcome.code == 0 and all(len(line) <= 110 for line in lines)
    marked = [line.split()[1] for line in lines if line.startswith("> /")]
    assert marked == ["/camera/color/image_raw", "/event_camera/events"]
    told = json.loads(rehdr("info", path, "--json").out)
    topics = {each["name"]: each for each in told["topics"]}
    assert len(topics) == 11 and {each["count"] for each in topics.values()} == {10}
    assert [name for name, each in topics.items() if each["taken"]] == marked
    assert all(9 < each["rate"] < 12 for each in topics.values())
    assert (topics["/clock"]["type"], topics["/clock"]["brings"]) == ("builtin_interfaces/msg/Time", "")
    for name, about in (
        ("/camera/depth/image_rect_raw/compressedDepth", "compressed depth"),
        ("/event_renderer/image_raw", "rgb8 64x48, by its name a picture of events"),
        ("/camera/infra1/image_rect_raw", "mono8 128x96, by its name other light"),
        ("/tonemapped/image_raw", "rgb8 128x96, by its name a result"),
        ("/segmentation/label_image", "mono8 128x96, by its name labels"),
    ):
        assert topics[name]["about"] == about
    assert list(told["frames"]) == ["/camera/color/image_raw"]  # no other is decoded
    assert "--events chooses" in told["notes"][0]
    other = json.loads(rehdr("info", path, "--image", "/event_renderer/image_raw", "--json").out)
    assert list(other["frames"]) == ["/event_renderer/image_raw"]


def test_the_documentation_shows_what_it_prints(rehdr, tmp_path, monkeypatch):
    many_topics(tmp_path / "BAG")
    monkeypatch.chdir(tmp_path)
    page = Path(__file__).resolve().parents[2] / "docs" / "recordings.md"
    assert f"```text\n{rehdr('info', 'BAG').out}```\n" in page.read_text()


def test_a_topic_that_cannot_be_read_says_why(rehdr, tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        header = bag.types["std_msgs/msg/Header"](bag.types["builtin_interfaces/msg/Time"](1, 2), "")
        message = bag.types[IMAGE](header, 2, 2, "nothing7", 0, 4, np.zeros(8, np.uint8))
        bag.write("/a/image", IMAGE, message, STAMP)
        bag.write_image("/z/image", STAMP, "", np.zeros((48, 64), np.uint8), "mono8")
    outcome = rehdr("info", tmp_path / "bag")
    assert outcome.code == 0 and "> /z/image" in outcome.out
    assert "frames: can't be used: unknown image encoding 'nothing7'" in outcome.out


@pytest.mark.parametrize(("seconds", "count"), [(0.25, 2), (0.07, 1)])
def test_a_tenth_of_a_second_that_is_not_over_lowers_no_rate(seconds, count):
    t = STAMP + np.arange(0, round(seconds * S), 50_000)  # steady
    stream = EventStream()
    stream.add(Events(t, *np.ones((3, len(t)), int)), (64, 48))
    figures = stream.figures()
    assert len(figures["rates"]) == count and figures["peak_rate"] >= 0.999 * figures["mean_rate"]
    assert figures["rates"] == pytest.approx([20_000] * count, rel=0.01)


def test_text_says_the_same(rehdr, strange_bag):
    text = rehdr("info", strange_bag).out
    events = ("evt3 64x48", "2 lost", "truncated 1", "(10, 20)")
    for words in (*events, "48x36x3 uint8, ", "1 gaps", "ppm", "Hz"):
        assert words.strip(", ") in text


def test_a_bag_without_frames_and_a_recording_of_decoded_events(rehdr, shared):
    bag = rehdr("info", shared / "data/bags/libcaer_cmp_346x260", "--json")
    events = json.loads(bag.out)["events"]["/event_camera/events"]
    assert (events["streams"], events["events"]) == (["libcaer_cmp 346x260"], 571_266)
    davis = json.loads(rehdr("info", shared / "data/recordings/davis346.aedat4", "--json").out)
    assert davis["events"]["events"]["events"] == 117_667
    assert davis["frames"]["frames"]["frames"] == 3


def test_events_alone_and_frames_alone(rehdr, tmp_path):
    for name, events in (("events", True), ("frames", False)):
        with BagWriter(tmp_path / name) as bag:
            if events:
                part = Events([0], [1], [1], [1])
                bag.write_packet("/a", make_encoder("mono", 64, 48).encode(part, STAMP), "")
            else:
                bag.write_image("/a", STAMP, "", np.zeros((48, 64), np.uint8), "mono8")
        outcome = rehdr("info", tmp_path / name)
        missing = "frames" if events else "events"
        assert outcome.code == 0 and "> /a" in outcome.out and f"{missing}: none; " in outcome.out
    outcome = rehdr("reconstruct", tmp_path / "events", "-o", tmp_path / "out")
    assert outcome.code == 2 and "no topic of type sensor_msgs/msg/Image" in outcome.err


def test_a_raw_file_with_and_without_frames(rehdr, tmp_path):
    random = np.random.default_rng(0)
    t = np.sort(random.integers(0, 300_000, 5000)) * 1000
    part = Events(t, random.integers(0, 64, 5000), random.integers(0, 48, 5000), np.ones(5000))
    words = make_encoder("evt2", 64, 48).encode(part).data.tobytes()
    (tmp_path / "a.raw").write_bytes(b"% format EVT2;height=40;width=64\n% end\n" + words)
    alone = json.loads(rehdr("info", tmp_path / "a.raw", "--json").out)
    assert alone["frames"] == {} and alone["notes"] == []
    outside = int((part.y >= 40).sum())
    events = alone["events"]["events"]
    assert (events["streams"], events["events"]) == (["evt2 64x40"], 5000 - outside)
    assert events["damaged"] == {"out_of_bounds": outside}

    (tmp_path / "frames").mkdir()
    for k in range(3):
        cv2.imwrite(str(tmp_path / "frames" / f"{k}.png"), np.zeros((48, 64), np.uint16))
    (tmp_path / "timestamps.txt").write_text("0\n100\n200\n")
    outcome = rehdr("info", tmp_path / "a.raw", "--frames", tmp_path / "frames")
    assert outcome.code == 0
    rate = "in ms, by which there are 10 frames/s"
    for words in ("note: ", rate, "64x48x1 uint16", f"out_of_bounds {outside}"):
        assert words in outcome.out
    frames = ("--frames", tmp_path / "frames", "--timestamps", tmp_path / "no.txt")
    outcome = rehdr("info", tmp_path / "a.raw", *frames)
    assert outcome.code == 2 and "no.txt is not a readable text file" in outcome.err


def test_a_folder_of_voxel_grids(rehdr, tmp_path):
    for kind in ("LDR", "event"):
        (tmp_path / kind / "walk").mkdir(parents=True)
    for k in range(3):
        cv2.imwrite(str(tmp_path / "LDR" / "walk" / f"{k}.png"), np.zeros((48, 64, 3), np.uint8))
        np.save(tmp_path / "event" / "walk" / f"{k}.npy", np.zeros((5, 48, 64), np.float32))
    outcome = rehdr("info", tmp_path)
    assert outcome.code == 0
    assert "64x48x3 uint8 with a voxel grid of 5 bins" in outcome.out and "25 a second" in outcome.out


def test_compressed_images_and_event_arrays(rehdr, tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        bag.register("dvs_msgs/msg/Event", "uint16 x\nuint16 y\ntime ts\nbool polarity")
        definition = "std_msgs/Header header\nuint32 height\nuint32 width\ndvs_msgs/Event[] events"
        bag.register(DVS_EVENTS, definition)
        time, event = bag.types["builtin_interfaces/msg/Time"], bag.types["dvs_msgs/msg/Event"]
        for k in range(3):
            header = bag.types["std_msgs/msg/Header"](time(1, k), "")
            array = [event(x, 5, time(1, x), True) for x in range(60, 70)]
            bag.write("/dvs/events", DVS_EVENTS, bag.types[DVS_EVENTS](header, 48, 64, array), S + k)
            png = np.frombuffer(cv2.imencode(".png", np.zeros((48, 64), np.uint8))[1], np.uint8)
            bag.write("/image/compressed", COMPRESSED, bag.types[COMPRESSED](header, "png", png), S + k)
    outcome = json.loads(rehdr("info", tmp_path / "bag", "--json").out)
    events = outcome["events"]["/dvs/events"]
    assert (events["streams"], events["events"]) == (["dvs_msgs 64x48"], 12)
    assert events["damaged"] == {"out_of_bounds": 18}
    assert outcome["frames"]["/image/compressed"]["kinds"] == ["64x48x1 uint8"]


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
    assert "damage      refused_packets 1, truncated 1\n" in outcome.out


def test_frames_that_repeat_their_stamps(rehdr, tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        for k in range(10):
            bag.write_image("/image", STAMP + k // 2 * 100 * MS, "", np.zeros((48, 64), np.uint8), "mono8")
    outcome = rehdr("info", tmp_path / "bag")
    assert "10 in 0.400 s, 10.00 frames/s; 0 gaps, 0 steps back" in outcome.out
    assert "stamps      5 repeat that of the frame before" in outcome.out


def test_a_bag_with_nothing_of_use(rehdr, tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        time = bag.types["builtin_interfaces/msg/Time"](1, 2)
        bag.write("/time", "builtin_interfaces/msg/Time", time, 1)
    outcome = rehdr("info", tmp_path / "bag")
    assert outcome.code == 2 and "/time" in outcome.err and "builtin_interfaces/Time" in outcome.out
