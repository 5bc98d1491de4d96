import numpy as np
import pytest

from rehdr_ros.recordings import write_exr, write_png


@pytest.fixture
def results(tmp_path):
    """As little as a reconstruction can leave."""
    for kind in ("hdr", "tonemapped"):
        (tmp_path / "results" / kind).mkdir(parents=True)
    write_exr(tmp_path / "results" / "hdr" / "000000.exr", np.ones((4, 6, 3), np.float32))
    write_png(tmp_path / "results" / "tonemapped" / "000000.png", np.zeros((4, 6, 3), np.uint8))
    return tmp_path / "results"


def test_page_lies_in_the_folder_or_where_it_is_wanted(rehdr, results, tmp_path):
    outcome = rehdr("report", results)
    assert (outcome.code, outcome.err) == (0, "")
    assert str(results / "report.html") in outcome.out
    assert rehdr("report", results, "-o", tmp_path / "page.html").code == 0
    assert (tmp_path / "page.html").read_text() == (results / "report.html").read_text()


@pytest.mark.parametrize("options", [["-o", "/nowhere/page.html"], ["--instants", "0"]])
def test_wrong_option_of_report(rehdr, results, options):
    outcome = rehdr("report", results, *options)
    assert outcome.code == 2
    assert len(outcome.err.splitlines()) == 1 and ".tmp" not in outcome.err
    assert not (results / "report.html").exists()


def test_report_of_a_folder_without_results(rehdr, tmp_path):
    outcome = rehdr("report", tmp_path)
    assert outcome.code == 2
    (line,) = outcome.err.splitlines()
    assert str(tmp_path) in line and "hdr/NNNNNN.exr" in line
