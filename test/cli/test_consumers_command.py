"""rehdr evaluate --odometry, --tunnel and --downstream, on one small drive or scene each."""

import json
import sys

import pytest

from rehdr_ros.simulation import april_tags
from rehdr_ros.training.features import DETECTORS

SMALL = "--drives", 1, "--drive-size", "96x72", "--tonemap", "local"


def test_the_ways_of_drives_are_compared(rehdr, tiny_weights, tmp_path):
    pytest.importorskip("pycolmap", reason="pycolmap is not installed")
    pytest.importorskip("evo", reason="evo is not installed")
    report = tmp_path / "report.json"
    options = [*SMALL, "--seeds", 2, "--weights", tiny_weights, "-o", report]
    outcome = rehdr("evaluate", "--odometry", *options)
    assert outcome.code == 0, outcome.err
    result = json.loads(report.read_text())
    variants = ["LDR", "LDR, CLAHE", "HDR, local", "truth, local"]
    assert [row.split(" | ")[0] for row in outcome.out.splitlines()[4:]] == [f"| {name}" for name in variants]
    assert list(result["summary"]) == ["nothing clipped"]
    assert [(run["seed"], run["variant"]) for run in result["runs"]] == [
        (s, v) for s in (0, 1) for v in variants
    ]


@pytest.mark.skipif(not april_tags.HAS_TAGS, reason="this OpenCV knows no AprilTags; 4.7 does")
def test_drives_out_of_a_tunnel_are_compared(rehdr, tiny_weights, tmp_path):
    report = tmp_path / "report.json"
    outcome = rehdr("evaluate", "--tunnel", *SMALL, "--weights", tiny_weights, "-o", report)
    assert outcome.code == 0, outcome.err
    (run,) = json.loads(report.read_text())["runs"]
    assert run["exposure_range"] > 2
    assert run["drift"]["exposure told"] < 0.1 < 2 < run["drift"]["exposure not told"]
    first = run["first"]
    assert first["truth, local"] <= first["LDR"] < run["frames"]
    told = {name for name in first if name.startswith("HDR")}
    assert told == {"HDR, local, exposure told", "HDR, local, exposure not told"}
    assert "frames earlier than the LDR" in outcome.out


@pytest.mark.skipif(not april_tags.HAS_TAGS, reason="this OpenCV knows no AprilTags; 4.7 does")
def test_features_and_detectors_are_compared(rehdr, tiny_weights, tmp_path):
    report = tmp_path / "report.json"
    options = [*SMALL, "--weights", tiny_weights, "--pictures", tmp_path / "pictures", "-o", report]
    outcome = rehdr("evaluate", "--downstream", *options)
    assert outcome.code == 0, outcome.err
    result = json.loads(report.read_text())
    assert result["summary"]["scenes"] == 1
    assert "| AprilTags found |" in outcome.out and "| HDR, local / LDR |" in outcome.out
    assert (tmp_path / "pictures" / "matches_1.jpg").stat().st_size > 5_000
    assert "holds no .hdr" in rehdr("evaluate", "--downstream", "--radiance", tmp_path, *options).err


def test_features_of_real_recordings_are_compared(rehdr, tiny_weights, tmp_path):
    assert rehdr("simulate", "-o", tmp_path / "bag", "--seconds", 0.4, "--size", "96x72").code == 0
    recording = "--recordings", tmp_path / "bag", "--response", 2.2, "--frames", 7
    options = [*recording, "--weights", tiny_weights, "--tonemap", "highlights"]
    outcome = rehdr("evaluate", "--downstream", "--reclip", "0.4,0.5", *options)
    assert outcome.code == 0, outcome.err
    assert outcome.out.count("| HDR, highlights / LDR |") == 2 * len(DETECTORS)
    assert "50 % clipped" in outcome.out
    assert rehdr("evaluate", "--downstream", *options).code == 2


def test_what_cannot_be(rehdr, tiny_weights, monkeypatch):
    def refused(*options):
        outcome = rehdr("evaluate", *options)
        assert outcome.code == 2
        (line,) = outcome.err.splitlines()
        return line

    assert "--odometry --tunnel don't go together" in refused("--odometry", "--tunnel")
    assert "one network" in refused("--tunnel", "--weights", tiny_weights, "rehdr_t")
    monkeypatch.setattr(april_tags, "HAS_TAGS", False)
    assert "OpenCV 4.7 or later" in refused("--tunnel", *SMALL, "--weights", tiny_weights)
    monkeypatch.setitem(sys.modules, "pycolmap", None)
    assert "pip install 'rehdr_ros[odometry]'" in refused("--odometry", *SMALL, "--weights", tiny_weights)
