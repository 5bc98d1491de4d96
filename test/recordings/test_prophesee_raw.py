import tracemalloc

import cv2
import numpy as np
import pytest

from rehdr_ros.errors import InputError
from rehdr_ros.events import Events, make_decoder, make_encoder
from rehdr_ros.recordings import BagRecording, Frame, RawRecording, Recording, RecordingError, open_recording

MS = 10**6
HEADER = """% camera_integrator_name Prophesee
% date 2023-03-29 16:37:46
% evt 3.0
% format EVT3;height=480;width=640
% geometry 640x480
% system_ID 49
% end
"""


def header(encoding, width=64, height=48, options=""):
    return f"% format {encoding};height={height};width={width}{options}\n% end\n"


def write(path, text, words):
    path.write_bytes(text.encode() + bytes(words))
    return path


def events_of(recording):
    return Events.concatenate(recording.events())


def random_events(count=20_000, start_us=5_000_000, spread_us=400_000, seed=0):
    random = np.random.default_rng(seed)
    t = (start_us + np.sort(random.integers(0, spread_us, count))) * 1000
    return Events(t, *(random.integers(0, most, count) for most in (64, 48, 2)))


@pytest.fixture(scope="module")
def recorded(shared):
    """The packets of a real camera, and all their events."""
    packets = list(BagRecording(shared / "data/bags/evt3_640x480").packets())
    decoder = make_decoder("evt3", 640, 480)
    return packets, Events.concatenate([decoder.decode(packet) for packet in packets])


def test_a_real_stream_is_decoded_as_from_its_packets(tmp_path, recorded, assert_same_events):
    packets, expected = recorded
    path = write(tmp_path / "real.raw", HEADER, b"".join(bytes(packet.data) for packet in packets))
    recording = open_recording(path)
    assert isinstance(recording, RawRecording) and isinstance(recording, Recording)
    assert (recording.encoding, recording.event_size) == ("evt3", (640, 480))
    words = np.concatenate([np.frombuffer(packet.data, "<u2") for packet in packets])
    first_high = int(words[words >> 12 == 8][0] & 0xFFF)
    assert first_high > 1
    assert_same_events(events_of(recording), expected.shifted(-(first_high - 1 << 12) * 1000))
    assert not any(recording.counters.values())


@pytest.mark.parametrize("encoding, high_ns", [("evt3", 4096_000), ("evt2", 64_000)])
def test_synthetic_words(tmp_path, encoding, high_ns, assert_same_events):
    """Time begins with the high bits of the first event's, as in Prophesee's tools: one less in EVT 3."""
    events = random_events()
    data = make_encoder(encoding, 64, 48).encode(events).data
    path = write(tmp_path / "a.raw", header(encoding.upper()), data)
    shift = events.t[0] // high_ns * high_ns - (high_ns if encoding == "evt3" else 0)
    assert_same_events(events_of(open_recording(path)), events.shifted(-int(shift)))


@pytest.mark.parametrize("options", ["", ";endianness=legacy"])
def test_evt21(tmp_path, options):
    high, time, x, y, mask = 77_777, 13, 32, 9, 0b1000_0000_0000_0000_0000_0000_0000_0101
    words = np.array([8 << 60 | high << 32, 1 << 60 | time << 54 | x << 43 | y << 32 | mask], "<u8")
    if options:
        words = words.view("<u4").reshape(-1, 2)[:, ::-1].copy()
    recording = open_recording(write(tmp_path / "a.raw", header("EVT21", 64, 48, options), words.tobytes()))
    assert recording.encoding == ("evt21_legacy" if options else "evt21")
    events = events_of(recording)
    assert (events.t.tolist(), events.x.tolist()) == ([13_000] * 3, [32, 34, 63])
    assert (events.y.tolist(), events.p.tolist()) == ([9] * 3, [1] * 3)


@pytest.mark.parametrize(
    "text",
    [
        "% evt 2.0\n% geometry 64x48\n% end\n",
        "% evt 2.0\n% geometry 64x48\n",
        "% format EVT2\n% geometry 64x48\n% end\n",
        "% serial_number 1\n% format EVT2;width=64;height=48\n% note\n",
    ],
)
def test_headers_of_all_ages(tmp_path, text, assert_same_events):
    events = random_events(start_us=0)
    path = write(tmp_path / "a.raw", text, make_encoder("evt2", 64, 48).encode(events).data)
    assert_same_events(events_of(open_recording(path)), events.shifted(-int(events.t[0] // 64_000 * 64_000)))


def test_words_that_look_like_a_line_of_the_header(tmp_path):
    recording = open_recording(write(tmp_path / "a.raw", header("EVT2"), b"% x\n"))
    assert not len(events_of(recording))
    assert recording.counters["unsynchronized"] == 1


@pytest.mark.parametrize(
    "lines, encoding, size",
    [
        ("% evt 3.0\n% plugin_name hal_plugin_gen41_evk3\n% system_ID 48\n", "evt3", (1280, 720)),
        ("% evt 2.0\n% system_ID 28\n", "evt2", (640, 480)),
        ("% system_ID 28\n", "evt2", (640, 480)),
        ("% system_ID 48\n", "evt3", (1280, 720)),
        ("% evt 2.0\n% system_ID 151\n% firmware_version 1.2.3\n", "evt2", (640, 480)),  # 0x17 on its kit
        ("% evt 3.0\n% system_ID 52\n% sensor_generation 4.2\n", "evt3", (640, 480)),  # IMX637
        ("% format EVT21\n% system_ID 48\n", "evt21_legacy", (1280, 720)),
        ("% format EVT21\n% system_ID 64\n", "evt21", (320, 320)),
        ("% format EVT21\n% endianness legacy\n% geometry 64x48\n", "evt21_legacy", (64, 48)),
        ("% evt 3.0\n% plugin_name hal_plugin_gen31_fx3\n", "evt3", (640, 480)),
        ("% evt 3.0\n% plugin_name hal_plugin_imx636_evk4\n", "evt3", (1280, 720)),
        ("% evt 2.0\n% sensor_generation 3.0\n", "evt2", (640, 480)),
        ("% evt 3.0\n% generation 4.2\n", "evt3", (1280, 720)),
        ("% format EVT21\n% sensor_name GenX320\n% sensor_generation 320.0\n", "evt21", (320, 320)),
        ("% evt 3.0\n% integrator_name CenturyArks\n% system_ID 28\n% generation 4.1\n", "evt3", (1280, 720)),
    ],
)
def test_headers_that_name_the_camera_instead_of_the_size(tmp_path, lines, encoding, size):
    recording = open_recording(write(tmp_path / "a.raw", lines, b"\x80\x00" * 8))
    assert (recording.encoding, recording.event_size) == (encoding, size)
    deduced = [] if "geometry" in lines else [f"{size[0]}x{size[1]} pixels, by its"]
    assert len(recording.notes) == len(deduced) and all(map(str.count, recording.notes, deduced))


def test_a_size_that_nothing_tells_is_asked_for(tmp_path):
    path = write(tmp_path / "a.raw", "% evt 3.0\n% system_ID 7\n", b"\x00\x80" * 8)
    with pytest.raises(RecordingError, match="--event-size 1280x720"):
        open_recording(path)
    assert open_recording(path, event_size=(640, 480)).event_size == (640, 480)
    with pytest.raises(RecordingError, match="event size: this goes with a Prophesee RAW file"):
        open_recording(tmp_path / "a.aedat4", event_size=(640, 480))


def test_a_file_that_ends_within_a_word_is_read_up_to_there(tmp_path, assert_same_events):
    data = bytes(make_encoder("evt2", 64, 48).encode(random_events(500)).data)
    whole = open_recording(write(tmp_path / "whole.raw", header("EVT2"), data))
    cut = open_recording(write(tmp_path / "cut.raw", header("EVT2"), data[:-2]))
    assert not whole.notes and "ends early" in cut.notes[0]
    assert_same_events(events_of(cut), events_of(whole)[:-1])


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("", "no header"),
        ("% end\n", "no header"),
        ("% format EVT4;height=48;width=64\n% end\n", "header says EVT4"),
        ("% format HISTO3D;height=48;width=64\n% end\n", "EVT2, EVT21, EVT3: its header says HISTO3D"),
        ("% evt 3.0\n% end\n", "sensor's size"),
        ("% format EVT3;height=0;width=0\n% end\n", "0x0"),
    ],
)
def test_what_is_no_raw_file_is_refused_in_one_line(tmp_path, text, complaint):
    path = write(tmp_path / "a.raw", text, b"\x80\x00" * 10)
    with pytest.raises(InputError, match=complaint) as error:
        list(open_recording(path).events())
    assert "\n" not in str(error.value)


def test_damage_is_counted(tmp_path):
    events = random_events(5000)
    words = bytes(make_encoder("evt2", 64, 48).encode(events).data)
    recording = open_recording(write(tmp_path / "a.raw", header("EVT2", 32, 48), words + b"\x00"))
    assert len(events_of(recording)) == (events.x < 32).sum()
    counters = {cause: count for cause, count in recording.counters.items() if count}
    assert counters == {"out_of_bounds": (events.x >= 32).sum(), "truncated": 1}


def frames_in(folder, count=4):
    folder.mkdir()
    for k in range(count):
        cv2.imwrite(str(folder / f"frame_{k}.png"), np.full((48, 64), 10 * k, np.uint8))
    return folder


def test_a_frame_follows_the_events_up_to_its_stamp(tmp_path, assert_same_events):
    events = random_events(start_us=0)
    path = write(tmp_path / "a.raw", header("EVT2"), make_encoder("evt2", 64, 48).encode(events).data)
    (tmp_path / "times.txt").write_text("0\n100000\n200000\n300000\n")
    for offset, unit in ((0.0, None), (0.05, "us")):
        recording = open_recording(
            path,
            frames=frames_in(tmp_path / f"frames_{offset}"),
            timestamps=tmp_path / "times.txt",
            timestamps_unit=unit,
        )
        assert len(recording.notes) == (unit is None)
        before, parts = [], []
        for message in recording.messages(event_time_offset=offset):
            if isinstance(message, Frame):
                before.append((message.stamp_ns, sum(map(len, parts)), message.image[0, 0]))
            else:
                parts.append(message)
        stamps, shifted = [k * 100 * MS for k in range(4)], events.t + offset * 1e9
        expected = [(t, np.count_nonzero(shifted <= t), 10 * k) for k, t in enumerate(stamps)]
        assert before == expected
        assert_same_events(Events.concatenate(parts), events_of(recording))


@pytest.mark.parametrize(
    "first_us, complaint",
    [(10**6, "frames begin at 1.000 s, the events end at 0.400 s"), (-(10**6), "frames end at")],
)
def test_frames_that_never_meet_the_events(tmp_path, first_us, complaint):
    events = random_events(start_us=0)
    path = write(tmp_path / "a.raw", header("EVT2"), make_encoder("evt2", 64, 48).encode(events).data)
    (tmp_path / "times.txt").write_text("".join(f"{first_us + k * 10_000}\n" for k in range(4)))
    recording = open_recording(
        path, frames=frames_in(tmp_path / "frames"), timestamps=tmp_path / "times.txt", timestamps_unit="us"
    )
    with pytest.raises(RecordingError, match=complaint):
        list(recording.messages())


def test_events_without_frames(tmp_path):
    data = make_encoder("evt2", 64, 48).encode(random_events()).data
    path = write(tmp_path / "a.RAW", header("EVT2"), data)
    with pytest.raises(RecordingError, match="name the folder of its frames"):
        open_recording(path).messages()
    with pytest.raises(RecordingError, match="timestamps: this goes with the folder of the frames"):
        open_recording(path, timestamps="times.txt")
    with pytest.raises(RecordingError, match="no calibration"):
        open_recording(path).messages(cameras=True)
    with pytest.raises(RecordingError, match="is not a file"):
        open_recording(tmp_path / "gone.raw")


def test_memory_stays_flat(tmp_path):
    """Nothing of what was read before is kept: 12 MB of words in chunks, 3 million events of 13 bytes."""
    words = bytes(make_encoder("evt2", 64, 48).encode(random_events(50_000)).data)
    path = tmp_path / "large.raw"
    with path.open("wb") as file:
        file.write(header("EVT2").encode())
        for _ in range(60):
            file.write(words)
    recording, parts, count = open_recording(path), 0, 0
    events_of(open_recording(write(tmp_path / "small.raw", header("EVT2"), words)))  # compiles
    tracemalloc.start()
    for part in recording.events():
        parts, count = parts + 1, count + len(part)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (parts, count) == (-(-60 * len(words) // (1 << 18)), 3_000_000)
    assert peak < 8_000_000
