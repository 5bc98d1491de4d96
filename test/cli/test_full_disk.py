"""What can't be written, because the disk is full: exit code 1, and one line that names the file."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import pytest

from rehdr_ros.errors import is_of_the_machine
from rehdr_ros.network import load_checkpoint, save_checkpoint
from rehdr_ros.products import written
from rehdr_ros.recordings.results.videos_and_bag import write_bag, write_hdr_video, write_video


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """No file may grow beyond so many bytes, which the system refuses as it does on a full disk.

    Not a moment longer than needed: what pytest says may go into a file, too.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def assert_named(outcome, *paths) -> None:
    assert outcome.code == 1, outcome.err
    *_, line = outcome.err.splitlines()
    assert "Traceback" not in outcome.err
    assert any(str(path) in line for path in paths), line


def test_simulate_names_the_bag(rehdr, tmp_path):
    with small_files(100_000):
        outcome = rehdr("simulate", "-o", tmp_path / "bag", "--seconds", "0.5", "--size", "64x48")
    assert_named(outcome, tmp_path / "bag")


@pytest.mark.parametrize(
    ("size", "names"), [(500, ["frames.csv", "hdr/0000", "ldr/0000"]), (9_000, ["hdr/0000"])]
)
def test_reconstruct_names_the_first_file(rehdr, simulated_bag, tiny_weights, tmp_path, size, names):
    options = ("--weights", tiny_weights, "--device", "cpu", "--engine", "pytorch")
    with small_files(size):
        outcome = rehdr("reconstruct", simulated_bag, "-o", tmp_path / "out", *options)
    assert_named(outcome, *(tmp_path / "out" / name for name in names))


PRODUCTS = {
    "video.mp4": lambda folder: write_video(folder, 10.0),
    "hdr.mp4": lambda folder: write_hdr_video(folder, 10.0, 203.0),
    "bag": lambda folder: write_bag(folder, written(uncertainty=False), "lens"),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_is_named_too(rehdr, simulated_bag, tiny_weights, tmp_path, name):
    options = ("--weights", tiny_weights, "--device", "cpu", "--engine", "pytorch")
    assert rehdr("reconstruct", simulated_bag, "-o", tmp_path, *options).code == 0
    with small_files(1000), pytest.raises(OSError) as caught:
        list(PRODUCTS[name](tmp_path))
    assert is_of_the_machine(caught.value)
    assert str(caught.value.filename).startswith(str(tmp_path)) and name in str(caught.value.filename)


def test_weights_onnx_and_a_report_stay_as_they_were(rehdr, simulated_bag, tiny_weights, tmp_path):
    network = load_checkpoint(tiny_weights)
    options = ("--weights", tiny_weights, "--device", "cpu", "--engine", "pytorch")
    assert rehdr("reconstruct", simulated_bag, "-o", tmp_path / "out", *options).code == 0
    files = {name: tmp_path / name for name in ("net.safetensors", "net.onnx", "page.html")}
    for path in files.values():
        path.write_bytes(b"good")
    with small_files(1000):
        with pytest.raises(OSError, match="net.safetensors"):
            save_checkpoint(network, files["net.safetensors"])
        assert_named(rehdr("report", tmp_path / "out", "-o", files["page.html"]), files["page.html"])
        if find_spec("onnxscript"):
            outcome = rehdr("export", tiny_weights, "-o", files["net.onnx"], "--size", "24x16")
            assert_named(outcome, files["net.onnx"])
    assert {path.read_bytes() for path in files.values()} == {b"good"}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*files, "out"])


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_evaluate_and_report_name_their_files(rehdr, simulated_bag, tiny_weights, tmp_path):
    options = ("--weights", tiny_weights, "--device", "cpu", "--engine", "pytorch")
    assert rehdr("reconstruct", simulated_bag, "-o", tmp_path, *options).code == 0
    assert_named(rehdr("report", tmp_path, "-o", "/dev/full"), "/dev/full")
    outcome = rehdr("evaluate", "--predicted", tmp_path, "--truth", simulated_bag, "-o", "/dev/full")
    assert_named(outcome, "/dev/full")
