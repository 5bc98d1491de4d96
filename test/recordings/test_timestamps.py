import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehdr_ros.recordings import RecordingError
from rehdr_ros.recordings.timestamps import UNITS, read_timestamps

MS, S = 10**6, 10**9
STAMPS = [40 * MS, 80 * MS, 120 * MS]


def read(tmp_path, text, unit=None):
    path = tmp_path / "timestamps.txt"
    path.write_text(text)
    return read_timestamps(path, unit)


@pytest.mark.parametrize(
    "text, unit",
    [
        ("0.04\n0.08\n0.12\n", "s"),
        ("40\n80\n120\n", "ms"),
        ("40.0\n80.0\n120.0\n", "ms"),
        ("4e4\n8e4\n1.2e5\n", "us"),
        ("40000000\n80000000\n120000000", "ns"),
        ("# taken by camera 3\n\n40000\r\n80000\r\n\n120000\r\n", "us"),
    ],
)
def test_the_frame_rate_tells_the_unit(tmp_path, text, unit):
    read_ = read(tmp_path, text)
    assert (read_.stamps_ns.tolist(), read_.stamps_ns.dtype) == (STAMPS, np.int64)
    assert (read_.names, read_.exposures, read_.unit) == (None, None, unit)
    assert f"in {unit}, by which there are 25 frames/s" in read_.note


@given(st.floats(2.0, 500.0), st.sampled_from(list(UNITS)))
def test_never_is_another_unit_deduced(tmp_path_factory, rate, unit):
    step = S / rate / UNITS[unit]
    text = "".join(f"{k * step:.9f}\n" for k in range(4))
    assert read(tmp_path_factory.mktemp("t"), text).unit == unit


@pytest.mark.parametrize(
    "unit, times", [("s", "1700000000.123456789\n1.8e9"), ("ns", "1700000000123456789\n1.8e18")]
)
def test_the_time_of_day_is_exact_to_the_nanosecond(tmp_path, unit, times):
    assert read(tmp_path, times, unit).stamps_ns.tolist() == [1700000000123456789, 18 * 10**17]


@pytest.mark.parametrize(
    "text",
    [
        "a.png 40\nb.png 80\nc.png 120\n",
        "40 rgb/a.png\n80 rgb/b.png\n120 rgb/c.png\n",
        "# timestamp filename\n40 a.png\n80 b.png\n120 c.png\n",
        "#timestamp [ms],filename\n40,a.png\n80,b.png\n120,c.png\n",
        "file;Time (ms)\n'a.png';40\n'b.png';80\n'c.png';120\n",
        "name,index,timestamp_us\na.png,0,40000\nb.png,1,80000\nc.png,2,120000\n",
    ],
)
def test_names_beside_the_stamps(tmp_path, text):
    read_ = read(tmp_path, text)
    assert read_.stamps_ns.tolist() == STAMPS
    assert [name[-5:] for name in read_.names] == ["a.png", "b.png", "c.png"]


@pytest.mark.parametrize(
    "text, deduced",
    [
        ("timestamp_ms exposure_us\n40 5000\n80 2500\n120 5e3\n", False),
        ("exposure,t\n5,40\n2.5,80\n5,120\n", True),
        ("exposure time [s], timestamp [us]\n0.005,4e4\n0.0025,8e4\n0.005,12e4\n", False),
    ],
)
def test_exposures(tmp_path, text, deduced):
    read_ = read(tmp_path, text)
    assert read_.stamps_ns.tolist() == STAMPS
    assert read_.exposures == pytest.approx([0.005, 0.0025, 0.005])
    assert bool(read_.note) == deduced


@pytest.mark.parametrize("ends", [False, True])
def test_the_start_of_an_exposure_is_the_stamp(tmp_path, ends):
    head = ["exposure_start_timestamp_us", "exposure_end_timestamp_us"]
    columns = head, ["40000", "45000"], ["80000", "85000"]
    text = "\n".join(", ".join(reversed(row) if ends else row) for row in columns)
    for text_ in (text, f"# {text}"):
        read_ = read(tmp_path, text_)
        assert (read_.stamps_ns.tolist(), read_.unit) == (STAMPS[:2], "us")
        assert (read_.exposures, read_.note) == (None, "")


def test_a_unit_that_is_given_counts(tmp_path):
    assert read(tmp_path, "timestamp_ms\n40\n80\n", "us").stamps_ns.tolist() == [40_000, 80_000]
    assert "us: 2.5e+04 frames/s; is that the unit?" in read(tmp_path, "timestamp_ms\n40\n80\n", "us").note
    single = read(tmp_path, "7\n", "s")
    assert (single.stamps_ns.tolist(), single.note) == ([7 * S], "")


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("", "has no timestamps"),
        ("# nothing\n", "has no timestamps"),
        ("0\n1\n2\n", "1 apart tell no unit"),
        ("7\n", "a single frame tells no unit"),
        ("40\n80\n80\n", "line 3: 80 is not later"),
        ("40\n120\n\n80\n160\n", "line 4: 80 is not later"),
        ("40\n80\nnan\n", "line 3: 'nan' is not a number"),
        ("40\n80\ntwelve\n", "line 3: 'twelve' is not a number"),
        ("40 0\n80 1\n", "line 1: which column is the timestamp"),
        ("a b 40\n", "line 1: which column is the timestamp"),
        ("40\n80 90\n", "line 2: 2 columns, not 1"),
        ("index,name\n40,a.png\n", "no column of index, name is named timestamp"),
        ("timestamp exposure\n40 1\n80 0\n", "line 3: an exposure of 0"),
        ("1e300\n2e300\n", "is"),
        ("timestamp_s\n1e15\n2e15\n", "line 2: 1E.15 is no time"),
    ],
)
def test_what_is_no_file_of_timestamps_is_refused_in_one_line(tmp_path, text, complaint):
    with pytest.raises(RecordingError, match=complaint) as error:
        read(tmp_path, text)
    assert "timestamps.txt" in str(error.value) and "\n" not in str(error.value)


def test_files_that_are_not_there_and_not_text(tmp_path):
    (tmp_path / "image.png").write_bytes(b"\x89PNG\xff\xfe")
    for name in ("gone.txt", "image.png"):
        with pytest.raises(RecordingError, match=f"{name} is not a readable text file"):
            read_timestamps(tmp_path / name)
    with pytest.raises(RecordingError, match="'minutes'"):
        read(tmp_path, "1\n2\n", "minutes")
