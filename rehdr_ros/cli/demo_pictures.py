"""What the demo shows of each frame beside the node's pictures: the truth, the tags, and a clip of all."""

from collections.abc import Iterator
from pathlib import Path

import torch

from rehdr_ros.cli.comparison import grid_picture
from rehdr_ros.products import NAMED
from rehdr_ros.reconstruction.tonemap import ToneMapper
from rehdr_ros.recordings import BagRecording
from rehdr_ros.recordings.results.folder import read_picture
from rehdr_ros.recordings.results.video import AnimationWriter
from rehdr_ros.report.truth import write_truth
from rehdr_ros.simulation.april_tags import HAS_TAGS, Found, outlined, tag_finder
from rehdr_ros.simulation.bag import TRUTH_TOPIC
from rehdr_ros.simulation.hall import TAGS, TAGS_IN_THE_YARD
from rehdr_ros.transfer import upload

CLIP = "clip.webp"
_SHOWN = {"camera": "ldr", "ours": "tonemapped"}


class DemoPictures:
    """Of a folder that has a live run's results of the hall.

    tags: after `write`, by picture: how often tags were found where the camera clips ("clipped") and where it
    doesn't ("exposed"), and how often there was none ("false"); empty where OpenCV knows none.
    """

    def __init__(self, folder: Path, bag: Path, operator: str, fps: float):
        self._folder, self._bag, self._fps = folder, bag, fps
        self._tonemapper, self._find = ToneMapper(operator), tag_finder() if HAS_TAGS else None
        self.tags: dict[str, dict[str, int]] = {}

    def write(self) -> Iterator[None]:
        """The truth's pictures and the clip, frame by frame, yielding after each."""
        with AnimationWriter(self._folder / CLIP, self._fps) as clip:
            for number, truth in enumerate(BagRecording(self._bag).frames(TRUTH_TOPIC)):
                tonemapped = self._tonemapper(upload(truth.image, torch.device("cpu")), truth.stamp_ns).pixels
                write_truth(self._folder, number, truth.image, tonemapped)
                row = {name: read_picture(self._folder, NAMED[kind], number) for name, kind in _SHOWN.items()}
                row["truth"] = tonemapped
                found = {name: self._find(image) if self._find else [] for name, image in row.items()}
                self._count(found)
                clip.write(grid_picture([[outlined(row[name], found[name]) for name in row]], list(row)))
                yield

    def _count(self, found: dict[str, Found]) -> None:
        if self._find is None:
            return
        for name, tags in found.items():
            counts = self.tags.setdefault(name, {"clipped": 0, "exposed": 0, "false": 0})
            for number, _ in tags:
                known = "clipped" if number in TAGS_IN_THE_YARD else "exposed"
                counts[known if number in TAGS else "false"] += 1
