import json

import numpy as np
import pytest
from results_folder import (
    HEIGHT,
    WIDTH,
    cause_of,
    events_of,
    ldr_of,
    radiance_of,
    row_of,
    tonemapped_of,
    uncertainty_of,
    write_frame,
    write_rows,
)

from rehdr_ros.errors import InputError
from rehdr_ros.recordings import write_exr, write_png
from rehdr_ros.report.gather import gather
from rehdr_ros.report.numbers import headline, number_tables
from rehdr_ros.report.page import html_page


def test_pictures_of_frames_spread_over_the_recording(write_results):
    report = gather(write_results(), instants=4)
    assert [instant.number for instant in report.instants] == [2, 8, 13, 19]
    assert report.notes == []
    for instant in report.instants:
        assert instant.size == (WIDTH, HEIGHT)
        assert instant.pictures["hdr"].dtype == np.float16
        np.testing.assert_allclose(instant.pictures["hdr"], radiance_of(instant.number), rtol=2**-11)
        np.testing.assert_array_equal(instant.pictures["tonemapped"], tonemapped_of(instant.number))
        np.testing.assert_array_equal(instant.pictures["ldr"], ldr_of(radiance_of(instant.number)))
        np.testing.assert_array_equal(instant.pictures["events"], events_of())
        np.testing.assert_allclose(instant.pictures["uncertainty"], uncertainty_of(), rtol=2**-11)
        np.testing.assert_array_equal(instant.pictures["cause"], cause_of())


def test_fewer_frames_than_wanted(write_results):
    assert [i.number for i in gather(write_results(frames=1)).instants] == [0]
    assert [i.number for i in gather(write_results(frames=3), instants=3).instants] == [0, 1, 2]


def test_what_is_missing_is_said(write_results):
    report = gather(write_results(frames=3, without=("ldr", "events")))
    assert all({"ldr", "events"}.isdisjoint(instant.pictures) for instant in report.instants)
    notes = [note.split(":")[0] for note in report.notes]
    assert notes == ["The folder has no ldr/", "The folder has no events/"]


def test_uncertainty_and_cause_are_for_folders_that_have_them(write_results):
    report = gather(write_results(frames=3, without=("uncertainty", "cause")))
    assert all({"uncertainty", "cause"}.isdisjoint(instant.pictures) for instant in report.instants)
    assert report.notes == []


def test_interrupted_run(write_results):
    """Cut within a row and within a picture, without the summary; an earlier run's pictures lie behind it."""
    folder = write_results(frames=10)
    whole = (folder / "frames.csv").read_text()
    (folder / "frames.csv").write_text(whole[: whole.index("\n8,") + 12])
    (folder / "summary.json").unlink()
    exr = folder / "hdr" / "000003.exr"
    exr.write_bytes(exr.read_bytes()[:500])
    report = gather(folder)
    assert len(report.table) == 8
    assert [instant.number for instant in report.instants] == [0, 1, 2, 4, 5, 6, 7]
    assert any("frame 3" in note for note in report.notes)
    assert any("summary.json" in note for note in report.notes)
    assert "network" in number_tables(report)


def test_no_rows_yet(write_results):
    folder = write_results(frames=3)
    (folder / "frames.csv").write_text("")
    report = gather(folder)
    assert (len(report.instants), report.table, report.timeline) == (3, None, None)
    assert "</html>" in html_page(report)


def test_size_that_changes(write_results):
    folder = write_results(frames=2)
    write_frame(folder, 2, 40, 30)
    write_png(folder / "ldr" / "000002.png", np.zeros((15, 20, 3), np.uint8))
    write_rows(folder, [row_of(frame) for frame in range(3)])
    report = gather(folder)
    assert [instant.size for instant in report.instants] == [(64, 48), (64, 48), (40, 30)]
    assert report.instants[2].pictures["ldr"].shape == report.instants[2].pictures["hdr"].shape


def test_large_pictures_are_reduced_and_it_is_said(tmp_path):
    write_frame(tmp_path, 0, 1600, 1000)
    report = gather(tmp_path)
    pictures = report.instants[0].pictures
    height, width = pictures["hdr"].shape[:2]
    assert 0.99e6 < height * width <= 1e6
    assert width / height == pytest.approx(1.6, rel=0.01)
    assert pictures["hdr"].mean() == pytest.approx(radiance_of(0, 1600, 1000).mean(), rel=0.01)
    assert pictures["uncertainty"].mean() == pytest.approx(uncertainty_of(1600, 1000).mean(), rel=0.01)
    counts = np.bincount(pictures["cause"].ravel())  # no cause between two of them
    np.testing.assert_allclose(counts, height * width / 4, rtol=0.01)
    assert any(f"1600x1000 to {width}x{height}" in note for note in report.notes)


def test_page_stays_small(tmp_path):
    """A picture with a sensor's noise, as large as the page takes."""
    rng = np.random.default_rng(0)
    noisy = (radiance_of(0, 1250, 800) * rng.normal(1, 0.05, (800, 1250, 3))).astype(np.float32)
    write_frame(tmp_path, 0, 1250, 800)
    write_exr(tmp_path / "hdr" / "000000.exr", noisy)
    for kind in ("ldr", "tonemapped"):
        write_png(tmp_path / kind / "000000.png", ldr_of(noisy.clip(0)))
    write_exr(tmp_path / "uncertainty" / "000000.exr", noisy[..., 0])
    assert len(html_page(gather(tmp_path))) < 15e6


@pytest.mark.parametrize(("exponent", "scale"), [(2.2, 1.0), (1.8, 4.0)])
def test_linearised_ldr_fits_response_and_exposure(tmp_path, exponent, scale):
    write_frame(tmp_path, 0)
    ldr = np.rint(255 * np.clip(radiance_of(0) / scale, 0, 1) ** (1 / exponent)).astype(np.uint8)
    write_png(tmp_path / "ldr" / "000000.png", ldr)
    assert gather(tmp_path).instants[0].linear == pytest.approx((exponent, scale), rel=0.01)


def test_values_that_are_no_radiance(tmp_path):
    write_frame(tmp_path, 0)
    strange = radiance_of(0)
    strange[0, :4, 0] = np.nan, np.inf, -1, 1e9
    write_exr(tmp_path / "hdr" / "000000.exr", strange)
    assert gather(tmp_path).instants[0].pictures["hdr"][0, :4, 0].tolist() == [0, 65504, 0, 65504]


def test_numbers(write_results):
    folder = write_results(frames=3)
    quality = {"mu_psnr": 28.8, "mu_psnr_clipped": 21.9, "mu_psnr_well_exposed": 46.8}
    quality["clipped_log2_rmse"] = 0.95
    demo = {
        "frames": {"in": 40, "out": 40},
        "latency_ms": {"median": 71.5, "p99": 120.25},
        "quality": {"ours": quality},
    }
    (folder / "report.json").write_text(json.dumps(demo))
    tables = number_tables(gather(folder))
    figures = "19\u2009000", "28.8\u00a0dB", "0.950\u00a0stops", "71.5\u00a0ms", "120\u00a0ms"
    for cell in (*figures, ">drive<", ">rehdr_&lt;t&gt;<"):
        assert cell in tables
    assert "/home" not in tables
    assert "out of bounds" in tables and "truncated" not in tables  # damage only where there is some
    network = tables[tables.index(">network<") :]
    mean, median, p99 = map(network.index, (">228<", ">30.0<", ">3\u2009921<"))
    assert mean < median < p99


def test_demo_has_its_figures_in_report_json_alone(write_results):
    folder = write_results(frames=3)
    (folder / "summary.json").unlink()
    demo = {
        "frames": {"in": 3, "out": 3},
        "events": 2000,
        "weights": "rehdr_t",
        "device": "cpu",
        "radiance": "relative",
    }
    (folder / "report.json").write_text(json.dumps(demo))
    report = gather(folder)
    assert report.notes == []
    assert headline(report) == "3 frames · 0.1 s · 2\u2009000 events · rehdr_t on cpu"
    assert "(radiance: relative)" in html_page(report)


def test_a_report_of_nothing(tmp_path):
    with pytest.raises(InputError, match=str(tmp_path)):
        gather(tmp_path)
    with pytest.raises(InputError, match="instant"):
        gather(tmp_path, instants=0)
