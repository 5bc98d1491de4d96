"""rehdr reconstruct of several recordings: names, what ends alone, what goes on, and the table."""

import argparse
import multiprocessing
import os
import shutil
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from rehdr_ros.cli.interruption import Interruption
from rehdr_ros.cli.job import DONE, FAILED, Job, Outcome
from rehdr_ros.cli.local_workers import run_local
from rehdr_ros.cli.many_recordings import names_of
from rehdr_ros.events import Events, make_encoder
from rehdr_ros.recordings import BagWriter
from rehdr_ros.recordings.results.folder import read_rows, remove, write_summary

PATIENCE = 120  # s
LONG = 300  # frames


@pytest.fixture
def network(tiny_weights) -> tuple:
    return ("--weights", tiny_weights, "--device", "cpu", "--engine", "pytorch")


@pytest.fixture
def copies(simulated_bag, tmp_path) -> list[Path]:
    """Two recordings of one name."""
    return [shutil.copytree(simulated_bag, tmp_path / place / "walk") for place in ("kitchen", "hall")]


def contents(folder) -> dict[str, bytes | list]:
    """Every file but for times, as far as a run of one recording has it too."""
    files = {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file()}
    table = [{k: v for k, v in row.items() if not k.endswith("_ms")} for row in read_rows(folder)]
    others = ("frames.csv", "summary.json", "settings.json")
    return {name: path.read_bytes() for name, path in files.items() if name not in others} | {"table": table}


def table_of(text: str) -> dict[str, list[str]]:
    """The words of each row after its name."""
    lines = text.splitlines()
    (first,) = (k for k, line in enumerate(lines) if line.startswith("recording "))
    return {words[0]: words[1:] for words in (line.split() for line in lines[first + 1 :])}


def test_names_are_those_of_the_recordings_and_differ():
    paths = ["day/walk", "walk.mcap", "walk/", "a.b.aedat4", "x.bag.active", "walk_2", "y.db3", "run.2"]
    names = ["walk", "walk_2", "walk_3", "a.b", "x", "walk_2_2", "y", "run.2"]
    assert names_of(paths) == names


def test_a_bad_recording_does_not_end_the_others(copies, network, rehdr, tmp_path):
    out, arguments = tmp_path / "out", (copies[0], tmp_path / "nowhere", copies[1])
    outcome = rehdr("reconstruct", *arguments, "-o", out, *network)
    assert outcome.code == 2
    rows = table_of(outcome.out)
    assert list(rows) == ["walk", "nowhere", "walk_2"]
    assert rows["walk"][0] == rows["walk_2"][0] == "10" and rows["walk"][-1] == rows["walk_2"][-1] == "done"
    assert " ".join(rows["nowhere"]).endswith(f"failed: {tmp_path / 'nowhere'} does not exist")
    assert outcome.err.splitlines()[-1].startswith("rehdr reconstruct: 2 of 3 recordings are done")
    assert sorted(os.listdir(out)) == ["walk", "walk_2"]

    assert rehdr("reconstruct", copies[1], "-o", tmp_path / "alone", *network).code == 0
    assert contents(out / "walk_2") == contents(tmp_path / "alone")

    written = (out / "walk" / "hdr" / "000000.exr").stat().st_mtime_ns
    (out / "walk_2" / "hdr" / "000003.exr").unlink()
    shutil.copytree(copies[0], tmp_path / "nowhere")
    outcome = rehdr("reconstruct", *arguments, "-o", out, *network, "--workers", 2)
    assert outcome.code == 0
    assert {name: row[-1] for name, row in table_of(outcome.out).items()} == dict.fromkeys(rows, "done")
    assert (out / "walk" / "hdr" / "000000.exr").stat().st_mtime_ns == written, "what is finished stays"
    assert contents(out / "walk_2") == contents(tmp_path / "alone"), "what has lost a frame is made again"


@pytest.fixture
def raw(tmp_path) -> Path:
    """A file that doesn't tell the event camera's size; its frames are in frames/."""
    words = make_encoder("evt3", 64, 48).encode(Events([1000, 2000], [1, 2], [3, 4], [0, 1])).data
    (tmp_path / "evt3.raw").write_bytes(b"% format EVT3\n% end\n" + bytes(words))
    (tmp_path / "frames").mkdir()
    for k in range(3):
        assert cv2.imwrite(str(tmp_path / "frames" / f"{k}.png"), np.full((48, 64), 100, np.uint8))
    return tmp_path / "evt3.raw"


def test_another_size_of_the_event_camera_is_another_run(network, rehdr, tmp_path, raw):
    options = "--frames", tmp_path / "frames", "--fps", 10, "--workers", 1, *network
    first, again, other = (
        rehdr("reconstruct", raw, "-o", tmp_path / "out", "--event-size", size, *options)
        for size in ("64x48", "64x48", "96x64")
    )
    assert (first.code, again.code, other.code) == (0, 0, 0), first.err
    assert "finished before" in again.out and "finished before" not in other.out


@pytest.mark.parametrize("lost", ["video.mp4", "bag"])
def test_what_has_lost_its_video_or_bag_is_made_again(network, rehdr, tmp_path, raw, lost):
    options = "--frames", tmp_path / "frames", "--fps", 10, "--event-size", "64x48", "--bag", "--workers", 1
    for _ in range(2):
        assert rehdr("reconstruct", raw, "-o", tmp_path / "out", *options, *network).code == 0
        assert (tmp_path / "out/evt3" / lost).exists()
        remove(tmp_path / "out/evt3" / lost)


def test_other_files_beside_the_recording_are_another_run(network, rehdr, tmp_path, raw):
    def runs(recording, *options) -> list[str]:
        options = "-o", tmp_path / "out", "--workers", 1, *network, *options
        outcomes = [rehdr("reconstruct", recording, *options) for _ in range(2)]
        assert [outcome.code for outcome in outcomes] == [0, 0], outcomes[0].err
        return ["finished before" in outcome.out for outcome in outcomes]

    of_raw = "--frames", tmp_path / "frames", "--event-size", "64x48"
    for step in (100, 50):
        (tmp_path / "timestamps.txt").write_text("".join(f"{k * step}\n" for k in range(3)))
        assert runs(raw, *of_raw) == [False, True]
    (tmp_path / "set/LDR").mkdir(parents=True)
    (tmp_path / "frames").rename(tmp_path / "set/LDR/walk")
    (tmp_path / "set/event/walk").mkdir(parents=True)
    for count in (0, 1):
        for k in range(3):
            np.save(tmp_path / f"set/event/walk/{k}.npy", np.full((5, 48, 64), count, np.float32))
        assert runs(tmp_path / "set/LDR/walk") == [False, True]


@pytest.fixture
def long_bags(tmp_path) -> list[Path]:
    """Of hundreds of frames, an event before each."""
    path, grey, encoder = (
        tmp_path / "long_1",
        np.full((48, 64, 3), 100, np.uint8),
        make_encoder("mono", 64, 48),
    )
    with BagWriter(path) as bag:
        for stamp in range(10**9, 10**9 + LONG * 10**8, 10**8):
            bag.write_packet("/events", encoder.encode(Events([stamp], [1], [1], [1]), stamp), "event_camera")
            bag.write_image("/image", stamp, "camera", grey, "rgb8")
    return [path, *(shutil.copytree(path, tmp_path / f"long_{k}") for k in (2, 3))]


def interrupt_at(picture: Path) -> None:
    """Ctrl-C once that is there: a terminal sends it to this process and to those that it has started."""
    deadline = time.monotonic() + PATIENCE
    while not picture.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    for process in (*(child.pid for child in multiprocessing.active_children()), os.getpid()):
        os.kill(process, signal.SIGINT)


def test_ctrl_c_ends_those_that_run_and_begins_no_other(long_bags, network, rehdr, tmp_path):
    out = tmp_path / "out"
    with ThreadPoolExecutor() as pool:
        pool.submit(interrupt_at, out / "long_1" / "hdr" / "000010.exr")
        outcome = rehdr("reconstruct", *long_bags, "-o", out, *network, "--workers", 2)
    assert outcome.code == 130 and "0 of 3 recordings are done" in outcome.err.splitlines()[-1]
    rows = table_of(outcome.out)
    assert [row[1] for row in rows.values()] == ["interrupted:", "interrupted:", "finished"]
    assert (out / "long_1" / "unfinished.safetensors").exists() and not (out / "long_3").exists()

    before = len(list((out / "long_1" / "hdr").iterdir()))
    outcome = rehdr("reconstruct", long_bags[0], "-o", out, *network, "--workers", 1)
    assert outcome.code == 0 and f"long_1: going on after {before} frames" in outcome.out
    assert table_of(outcome.out)["long_1"][0] == str(LONG)


@pytest.mark.parametrize("wrong", ["twice", "frames", "results of one", "something else", "another's"])
def test_what_can_not_be_meant_is_refused_before_the_work(wrong, copies, rehdr, tmp_path):
    out, options = tmp_path / "out", ()
    if wrong == "twice":
        copies, said = [*copies, copies[0]], "is named twice"
    elif wrong == "frames":
        options, said = ("--frames", tmp_path), "--frames goes with one recording"
    elif wrong == "another's":
        (out / "walk").mkdir(parents=True)
        (out / "walk" / "frames.csv").touch()
        write_summary(out / "walk", {"recording": "/elsewhere/walk"})
        said = f"{out / 'walk'} holds the results of /elsewhere/walk"
    else:
        out.mkdir()
        (out / ("frames.csv" if wrong == "results of one" else "mine.txt")).touch()
        said = "results of one recording" if wrong == "results of one" else "mine.txt"
    before = list(out.rglob("*"))
    outcome = rehdr("reconstruct", *copies, "-o", out, *options)
    assert outcome.code == 2 and said in outcome.err and outcome.err.count("\n") == 1
    assert list(out.rglob("*")) == before


def test_without_ray_a_cluster_is_refused_in_one_line(copies, rehdr, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "rehdr_ros.cli.cluster", raising=False)
    outcome = rehdr("reconstruct", *copies, "-o", tmp_path / "out", "--cluster", "auto")
    assert outcome.code == 2 and "`pip install ray`" in outcome.err and outcome.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def kills_itself(args: argparse.Namespace, interruption: Interruption, console) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dies_once(args: argparse.Namespace, interruption: Interruption, console) -> None:
    Path(args.output).mkdir(exist_ok=True)
    write_summary(args.output, {"frames": 1})
    if not (mark := Path(args.output, "mark")).exists():
        mark.touch()
        kills_itself(args, interruption, console)


def test_a_process_that_dies_is_one_recordings_matter(tmp_path):
    args = argparse.Namespace(input="", output=str(tmp_path / "out"))
    jobs = [Job("fatal", args, kills_itself), Job("fine", args, dies_once)]
    reports = [report for report in run_local(jobs, 1, Interruption()) if report is not None]
    outcomes = {job.name: outcome for job, outcome in reports if isinstance(outcome, Outcome)}
    assert outcomes["fine"].state == DONE and "SIGKILL" in outcomes["fine"].lines[0]
    assert outcomes["fatal"].state == FAILED and outcomes["fatal"].code == 1
    assert "SIGKILL" in outcomes["fatal"].reason and "twice" in outcomes["fatal"].reason
