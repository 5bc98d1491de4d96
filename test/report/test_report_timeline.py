import numpy as np
import pytest

from rehdr_ros.report.table import Table
from rehdr_ros.report.timeline import timeline

FRAMES = 5000


def table_of(stamps=None, resets=None, **columns) -> Table:
    stamps = np.arange(FRAMES) * 10_000_000 if stamps is None else np.array(stamps)
    return Table(stamps, {k: np.array(v, float) for k, v in columns.items()}, resets or [""] * len(stamps))


def series_of(result, label):
    return next(s for panel in result.panels for s in panel.series if s.label == label)


def test_peaks_stay_when_frames_share_a_bin():
    network = np.full(FRAMES, 30.0)
    network[1234], network[1235] = 900, 2
    result = timeline(table_of(network_ms=network), bins=100)
    assert (result.frames, result.frames_per_bin, len(result.seconds)) == (FRAMES, 50, 100)
    series = series_of(result, "network")
    assert (series.max[24], series.min[24]) == (900, 2)
    assert series.mean[24] == pytest.approx((48 * 30 + 902) / 50)
    assert (series.mean[25], series.max[25], series.min[25]) == (30, 30, 30)


def test_rates_and_shares():
    columns = {"events": [0, 1000, 3000], "clipped_fraction": [0.5, 0.25, 0]}
    result = timeline(table_of([0, 50_000_000, 150_000_000], **columns))
    np.testing.assert_allclose(series_of(result, "events").mean, [np.nan, 20_000, 30_000])
    np.testing.assert_allclose(series_of(result, "frames").mean, [np.nan, 20, 10])
    np.testing.assert_allclose(series_of(result, "LDR").mean, [50, 25, 0])
    assert [panel.title for panel in result.panels] == ["Event rate", "Frame rate", "Clipped pixels"]


def test_time_stands_still_where_stamps_step_back():
    result = timeline(table_of([0, 10**9, 10**9 // 2, 10**9], events=[0, 10, 20, 30]))
    np.testing.assert_allclose(result.seconds, [0, 1, 1, 1.5])
    np.testing.assert_allclose(series_of(result, "events").mean, [np.nan, 10, np.nan, 60])


def test_marks_tell_what_is_new_in_a_counter():
    counted = np.zeros(FRAMES)
    counted[1200:], counted[1210:], counted[4000:] = 3, 5, 6
    resets = ["start", *[""] * 1204, "gap", "gap", *[""] * (FRAMES - 1207)]
    table = table_of(resets=resets, lost_packets=counted, dropped_events=0 * counted)
    marks = timeline(table, bins=100).marks
    assert [(mark.bin, mark.reset, mark.text) for mark in marks] == [
        (0, True, "state reset: start"),
        (24, True, "state reset: gap"),
        (24, False, "5 packets lost"),
        (80, False, "1 packets lost"),
    ]


def test_one_frame():
    result = timeline(table_of([7], network_ms=[5]))
    assert result.seconds.tolist() == [0]
    assert series_of(result, "network").mean.tolist() == [5]
