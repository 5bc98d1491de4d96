"""Bags of recorders that were killed: what is whole is read, and a line says that it is not all."""

import shutil
import struct

import pytest
from bag_files import (
    COUNT,
    assert_begins_as_recorded,
    assert_whole,
    fill_database,
    open_database,
    recorded,
    write_mcap,
    write_ros1,
    write_sqlite,
)
from mcap.writer import IndexType

from rehdr_ros.recordings import BagRecording, BagWriter, RecordingError

CHUNK_RECORD, INDEX_RECORD = 6, 7  # of mcap
SHARES = (0.3, 0.5, 0.75, 0.9, 0.99)


def cut(path, share, name=None):
    data = path.read_bytes()
    target = path.with_name(name or f"cut{path.suffix}")
    target.write_bytes(data[: int(len(data) * share)])
    return target


def assert_cut_off(path, least=1):
    before = path.read_bytes()
    recording = BagRecording(path)
    (note,) = recording.notes
    assert note.startswith(f"{path} ends early, ") and "\n" not in note
    packets, frames = assert_begins_as_recorded(recording, least)
    counts = [topic.count for topic in recording.topics.values()]
    assert counts == [packets, frames][: len(counts)]
    assert path.read_bytes() == before and not recording.counters
    return packets


@pytest.mark.parametrize(
    "options",
    [{}, {"use_chunking": False}, {"index_types": IndexType.NONE}, {"use_statistics": False}],
    ids=["", "no chunks", "no index", "no statistics"],
)
@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
def test_an_mcap_file_cut_anywhere(tmp_path, compression, options):
    whole = write_mcap(tmp_path / "bag.mcap", recorded(), compression, **options)
    assert_whole(BagRecording(whole))
    found = [assert_cut_off(cut(whole, share)) for share in SHARES[:-1]]
    assert found == sorted(found) and found[0] < found[-1]


def test_an_mcap_file_cut_within_the_index_of_a_chunk(tmp_path):
    whole = write_mcap(tmp_path / "bag.mcap", recorded())
    data, at, opcodes = whole.read_bytes(), 8, []
    while opcodes.count(CHUNK_RECORD) < 3 or opcodes[-2:] != [INDEX_RECORD] * 2:  # one for each channel
        cut_here = at
        opcode, length = struct.unpack_from("<BQ", data, at)
        opcodes.append(opcode)
        at += 9 + length
    (tmp_path / "cut.mcap").write_bytes(data[:cut_here])
    counts = [topic.count for topic in BagRecording(tmp_path / "cut.mcap").topics.values()]
    assert counts == [*assert_begins_as_recorded(BagRecording(tmp_path / "cut.mcap"))] and counts[1]


def test_an_mcap_file_cut_within_its_index(tmp_path):
    assert_whole(BagRecording(cut(write_mcap(tmp_path / "bag.mcap", recorded()), SHARES[-1])))


def test_an_mcap_file_loses_only_what_the_cut_goes_through(tmp_path):
    whole = write_mcap(tmp_path / "bag.mcap", recorded())
    data = whole.read_bytes()
    messages = recorded()
    for k in (7, 8, 30):
        at = data.index(messages[k].raw)
        (tmp_path / "cut.mcap").write_bytes(data[: at + len(messages[k].raw) - 1])
        recording = BagRecording(tmp_path / "cut.mcap")
        assert sum(1 for _ in recording.raw_messages(set(recording.topics))) == k


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("compression", ["none", "lz4"])
def test_a_ros1_bag_cut_anywhere(tmp_path, compression, share):
    whole = write_ros1(tmp_path / "bag.bag", recorded(ros1=True), compression)
    assert_whole(BagRecording(whole))
    assert_cut_off(cut(whole, share, "cut.bag.active"))


def test_a_ros1_bag_of_bz2_cut(tmp_path):
    whole = write_ros1(tmp_path / "bag.bag", recorded(ros1=True), "bz2")
    assert_cut_off(cut(whole, 0.5))


def without_index(path):
    """As the recorder leaves it until it closes the bag."""
    data = path.read_bytes()
    at = data.index(b"index_pos=") + 10
    index = struct.unpack_from("<Q", data, at)[0]
    return data[:at] + bytes(8) + data[at + 8 : index]


@pytest.mark.parametrize("compression", ["none", "lz4", "bz2"])
def test_a_ros1_bag_that_was_never_closed(tmp_path, compression):
    path = write_ros1(tmp_path / "bag.bag", recorded(ros1=True), compression)
    path.with_suffix(".bag.active").write_bytes(without_index(path))
    assert assert_cut_off(path.with_suffix(".bag.active")) == COUNT


@pytest.mark.parametrize("compression", ["none", "lz4"])
def test_a_ros1_chunk_whose_size_was_never_written(tmp_path, compression):
    path = write_ros1(tmp_path / "bag.bag", recorded(ros1=True), compression)
    data = bytearray(without_index(path))
    last = data.rindex(b"compression=")
    size = data.index(b"size=", last) + 5
    data[size : size + 8] = bytes(8)  # unpacked, and as it stands there
    index = data.index(b"ver=", last) - 16
    path.with_suffix(".active").write_bytes(data[:index])
    assert assert_cut_off(path.with_suffix(".active")) == COUNT


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_a_damaged_chunk_of_an_mcap_file_without_index_is_told(tmp_path, compression):
    path = write_mcap(tmp_path / "bag.mcap", recorded(), compression, index_types=IndexType.NONE)
    data = bytearray(path.read_bytes())
    at = len(data) // 3
    data[at : at + 100] = bytes(100)
    path.write_bytes(data[:-100])
    recording = BagRecording(path)
    assert COUNT // 2 < len(list(recording.packets())) < COUNT
    (note,) = recording.notes
    assert "is damaged" in note and recording.counters == {"unreadable_parts": 1}


@pytest.mark.parametrize("share", SHARES)
def test_a_database_cut_off(tmp_path, share):
    whole = write_sqlite(tmp_path / "bag.db3", recorded())
    assert_whole(BagRecording(whole))
    assert_cut_off(cut(whole, share))


def killed(tmp_path, mode):
    """A database and what lies beside it, in the middle of a transaction of the recorder's."""
    messages = recorded()
    database = open_database(tmp_path / "recorder" / "bag.db3")
    database.execute(f"PRAGMA journal_mode = {mode}")
    database.execute("PRAGMA wal_autocheckpoint = 0")
    database.execute("PRAGMA cache_size = 5")  # pages: more than that go to the file before the end
    database.execute("BEGIN")
    fill_database(database, messages[:20])
    database.commit()
    if mode == "wal":
        database.execute("PRAGMA wal_checkpoint")
    database.execute("BEGIN")
    topics = {"/events": 1, "/image": 2}
    for topic, _, log_ns, raw in messages[20:30]:
        row = topics[topic], log_ns, raw
        database.execute("INSERT INTO messages(topic_id, timestamp, data) VALUES(?, ?, ?)", row)
    if mode == "wal":
        database.commit()
    shutil.copytree(tmp_path / "recorder", tmp_path / "bag")
    database.close()
    return tmp_path / "bag"


@pytest.mark.parametrize("mode, count", [("wal", 15), ("delete", 10)])
def test_a_database_with_a_log_or_a_journal_beside_it(tmp_path, mode, count):
    folder = killed(tmp_path, mode)
    assert len(list(folder.iterdir())) >= 2
    before = {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in folder.iterdir()}
    for path in (folder, folder / "bag.db3"):
        recording = BagRecording(path)
        assert assert_begins_as_recorded(recording) == (count, count)
        assert recording.notes == []
    assert {f.name: (f.read_bytes(), f.stat().st_mtime_ns) for f in folder.iterdir()} == before


def test_a_log_beside_an_empty_database(tmp_path):
    database = open_database(tmp_path / "recorder" / "bag.db3")
    for pragma in ("journal_mode = WAL", "wal_autocheckpoint = 0"):
        database.execute(f"PRAGMA {pragma}")
    fill_database(database, recorded())
    shutil.copytree(tmp_path / "recorder", tmp_path / "bag")
    database.close()
    (tmp_path / "bag/bag.db3").write_bytes(b"")
    assert_whole(BagRecording(tmp_path / "bag"))
    assert (tmp_path / "bag/bag.db3").read_bytes() == b""


def test_what_was_copied_goes_with_the_recording(tmp_path, monkeypatch):
    folder = killed(tmp_path, "wal")
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    recording = BagRecording(folder)
    assert list((tmp_path / "tmp").iterdir())
    del recording
    assert not list((tmp_path / "tmp").iterdir())


def test_a_damaged_page_of_a_database(tmp_path):
    path = write_sqlite(tmp_path / "bag.db3", recorded())
    data = bytearray(path.read_bytes())
    at = data.index(recorded()[20].raw[:200]) // 4096 * 4096
    data[at : at + 4096] = b"\xff" * 4096
    path.write_bytes(data)
    recording = BagRecording(path)
    packets = [packet.seq for packet in recording.packets()]
    assert packets == sorted(set(packets)) and COUNT - 3 <= len(packets) < COUNT
    assert recording.counters == {"unreadable_parts": 1}
    assert any(note.startswith(f"{path} is damaged (") for note in recording.notes)


@pytest.mark.parametrize("data", [None, "text", 5])
def test_a_row_of_a_database_that_holds_something_else(tmp_path, data):
    messages = recorded()
    messages[20] = messages[20]._replace(raw=data)
    recording = BagRecording(write_sqlite(tmp_path / "bag.db3", messages))
    assert [packet.seq for packet in recording.packets()] == [k for k in range(COUNT) if k != 10]
    assert recording.counters == {"unreadable_parts": 1}


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
def test_a_damaged_chunk_is_left_out_counted_and_named(tmp_path, compression):
    path = write_mcap(tmp_path / "bag.mcap", recorded(), compression)
    data = bytearray(path.read_bytes())
    at = data.index(recorded()[20].raw[200:400])
    data[at : at + 3] = b"\xff\xff\xff"
    path.write_bytes(data)
    recording = BagRecording(path)
    packets = [packet.seq for packet in recording.packets()]
    assert 10 not in packets and packets == sorted(set(packets)) and len(packets) >= COUNT - 3
    assert recording.counters == {"unreadable_parts": 1}
    (note,) = recording.notes
    assert note.startswith(f"{path} is damaged (from byte ") and note.endswith("that part is left out")
    list(recording.frames())
    assert recording.notes == [note]


@pytest.mark.parametrize("write", [write_mcap, write_ros1])
def test_a_damaged_index_is_done_without(tmp_path, write):
    ros1 = write is write_ros1
    path = write(tmp_path / "bag", recorded(ros1))
    data = path.read_bytes()
    at = data.rindex(b"topic=/image") if ros1 else len(data) - 100
    path.write_bytes(data[:at] + b"\xff" * 9 + data[at + 9 :])
    packets, frames = assert_begins_as_recorded(BagRecording(path))
    assert (packets, frames) == (COUNT, COUNT)


def test_zeros_of_a_file_system_behind_the_end(tmp_path):
    path = cut(write_mcap(tmp_path / "bag.mcap", recorded()), 0.5)
    path.write_bytes(path.read_bytes()[:-2000] + bytes(1 << 20))
    recording = BagRecording(path)
    assert_begins_as_recorded(recording)
    early, damaged = recording.notes  # the zeros begin within a chunk
    assert "ends early" in early and "is damaged" in damaged and recording.counters == {"unreadable_parts": 1}


def test_a_bag_writer_that_was_interrupted(tmp_path):
    with pytest.raises(KeyboardInterrupt), BagWriter(tmp_path / "bag") as bag:
        for topic, kind, log_ns, raw in recorded(count=400):
            bag.write_raw(topic, kind, raw, log_ns)
        raise KeyboardInterrupt
    recording = BagRecording(tmp_path / "bag")
    assert_begins_as_recorded(recording, least=200, most=400)
    assert "ends early" in recording.notes[0]


@pytest.mark.parametrize("write", [write_mcap, write_sqlite, write_ros1])
def test_what_ends_before_its_first_message_is_refused(tmp_path, write):
    path = write(tmp_path / "bag", recorded(ros1=write is write_ros1))
    for size in (0, 5, 50):
        path.write_bytes(path.read_bytes()[:size])
        with pytest.raises(RecordingError, match="bag is not a readable bag: "):
            BagRecording(path)
