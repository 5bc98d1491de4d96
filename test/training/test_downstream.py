"""examples/feature_matches.py, in small."""

import importlib
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from rehdr_ros.events import Events
from rehdr_ros.reconstruction import HdrPipeline, PipelineConfig
from rehdr_ros.recordings import write_exr
from rehdr_ros.simulation import SimulationConfig

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


@pytest.fixture
def example(monkeypatch):
    """A function that imports a module of the folder."""
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module


def table(text: str, name: str) -> dict[str, list[float]]:
    """The first number of each cell, by row, of the table whose first heading is `name`."""
    lines = text[text.index(f"| {name} |") :].split("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row: [float(re.match(r"[\d.]+", each)[0]) for each in rest] for row, *rest in cells}


def test_hdr_gives_more_correct_matches_where_the_frame_clips(example, tmp_path, monkeypatch, capsys):
    size = ["--size", "240x180", "--seconds", "0.7", "--seed", "12", "--tonemap", "local"]
    monkeypatch.setattr(sys, "argv", ["feature_matches", "-o", str(tmp_path), *size])
    assert example("feature_matches").main() == 0
    text = capsys.readouterr().out
    assert (tmp_path / "tables.md").read_text() == text
    assert (tmp_path / "matches.jpg").stat().st_size > 10_000

    orb, steadiness = table(text, "ORB"), table(text, "steadiness")
    everywhere, clipped, lost, elsewhere = np.array([orb["LDR"], orb["HDR, local"]]).T
    assert clipped[1] > 1.2 * clipped[0] > 0
    assert lost[1] > 1.5 * lost[0]
    assert everywhere == pytest.approx(clipped + elsewhere, abs=1)
    assert orb["HDR, local / LDR"][1] == pytest.approx(clipped[1] / clipped[0], rel=0.1)
    assert steadiness["HDR, local"][0] < 0.5


@pytest.mark.parametrize("kind", ["procedural", "panorama"])
def test_the_motion_is_the_simulated_cameras(example, tiny_weights, tmp_path, kind):
    scene = kind
    if kind == "panorama":
        rng = np.random.default_rng(0)
        scene = tmp_path / "panorama.exr"
        write_exr(scene, np.exp(rng.normal(0, 1, (32, 64, 3))).repeat(8, 0).repeat(8, 1).astype(np.float32))
    motion = example("simulated_motion")
    config = SimulationConfig(scene=str(scene), width=120, height=90, seconds=0.5, renders=50, seed=1)
    sequence = motion.record(config, str(tiny_weights))

    def error(homography):
        after = motion.warped_back(sequence.truth[7], homography)
        seen = np.isfinite(after)
        assert seen.mean() > 0.5
        return np.abs(np.log2(after[seen] / sequence.truth[2][seen])).mean()

    exact = error(sequence.motion(2, 7))
    assert exact < 0.3 * error(np.eye(3))
    for shift in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        moved = np.eye(3)
        moved[:2, 2] = shift
        assert exact < error(moved @ sequence.motion(2, 7))


def test_what_the_detectors_get_is_what_the_node_publishes(example, tiny_weights):
    motion = example("simulated_motion")
    config = SimulationConfig(width=64, height=48, seconds=0.3, renders=50, seed=1)
    sequence = motion.record(config, str(tiny_weights))
    pipeline = HdrPipeline(PipelineConfig(weights=str(tiny_weights), policy="all", tonemap="local"))
    pipeline.add_events(Events.empty())
    for stamp, image in zip(sequence.stamps, sequence.ldr, strict=True):
        pipeline.add_frame(stamp, image)
    first = next(pipeline.take(flush=True))  # the first frame of a stream has no events
    np.testing.assert_array_equal(sequence.mono8("HDR, local")[0], motion.mono8(first.tonemapped))


@pytest.mark.parametrize("arguments", [["--radiance", "gone"], ["--seconds", "0.1"], ["--weights", "gone"]])
def test_wrong_input_is_told_in_one_line(example, tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.setattr(sys, "argv", ["feature_matches", "-o", str(tmp_path), *arguments])
    assert example("feature_matches").main() == 2
    assert capsys.readouterr().err.count("\n") == 1
