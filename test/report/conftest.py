import json
from collections.abc import Callable
from pathlib import Path

import pytest
from results_folder import FRAMES, row_of, write_frame, write_rows


@pytest.fixture(scope="module")
def write_results(tmp_path_factory) -> Callable[..., Path]:
    """A function that writes a results folder, whole but for kinds of pictures left out; returns its path."""

    def write(name: str = "results", frames: int = FRAMES, without: tuple[str, ...] = ()) -> Path:
        folder = tmp_path_factory.mktemp("report") / name
        for frame in range(frames):
            write_frame(folder, frame)
        for kind in without:
            for path in (folder / kind).iterdir():
                path.unlink()
        write_rows(folder, [row_of(frame) for frame in range(frames)])
        summary = {
            "frames": frames,
            "events": 19_000,
            "dropped_events": 0,
            "lost_packets": 2,
            "damaged": {"truncated": 0, "out_of_bounds": 7},
            "recording": "/home/me/drive",
            "weights": "/home/me/rehdr_<t>",
            "device": "cpu",
            "precision": "float32",
            "radiance": "ldr_white",
            "network_ms": 228.5,
        }
        (folder / "summary.json").write_text(json.dumps(summary))
        return folder

    return write
